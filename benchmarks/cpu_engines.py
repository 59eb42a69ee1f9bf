"""Speed of CPU engines that answer the same prompts with the same embedded LLM.

    PYTHONPATH=. python benchmarks/cpu_engines.py [--prompts 8] [--tokens 48] [--repeat 2]
        [--threads 1] [--only WORD ...] [--python ENGINE=PATH ...] [--ctranslate2 FOLDER]

ENGINE is xllamacpp, llama_cpp, ctranslate2 or openvino. PATH is the Python that has the engine
installed (default: this one). FOLDER contains weights converted by ct2-transformers-converter and
their tokenizer.json. --only selects the rows whose name contains one of the words; the first row
is always measured.

Each row runs in a separate process: all rows once, then all rows again. The prompts are the
second turns of JNLI without shots, so they share their beginning. Half of the prompts are read
for one token each; the other half is answered with --tokens tokens each, ignoring the end-of-text
token.

Prints means over the repetitions: generated tokens per second of wall-clock time and of CPU time,
with the time for reading the prompts; the ratio of the second to the first row in the same
repetition, with minimum and maximum; prompt tokens per second of CPU time, cached ones counted;
seconds to load; peak MB; the start of the first reply. Decoding is greedy unless the row's name
says otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Any

# From conf/llm/qwen2_5_coder_1_5b.yaml, without max_tokens.
SAMPLING = {
    "temperature": 0.8,
    "top_p": 0.9,
    "min_p": 0.08,
    "dry_multiplier": 0.8,
    "dry_allowed_length": 6,
    "dry_penalty_last_n": 128,
}

# (prompts, tokens to generate for each) -> (tokens read, tokens generated, first reply)
Answer = Callable[[list[str], int], tuple[int, int, str]]

# Row name, which starts with the engine -> arguments of the function with the engine's name.
ROWS: dict[str, dict[str, Any]] = {
    "xllamacpp": {},
    "xllamacpp, 2 in flight": {"in_flight": 2},
    "xllamacpp, 4 in flight": {"in_flight": 4},
    "xllamacpp, no prompt cache": {"sampling": {"cache_prompt": False}},
    "xllamacpp, sampling of conf/llm": {"sampling": SAMPLING},
    "xllamacpp, n_ubatch 64": {"n_batch": 64, "n_ubatch": 64},
    "xllamacpp, no repacking": {"no_extra_bufts": True},
    "xllamacpp, 2 threads": {"threads": 2},
    "llama_cpp": {},
    "llama_cpp, no prompt cache": {"cache": False},
    "ctranslate2": {},
    "ctranslate2, 4 in flight": {"in_flight": 4},
    "ctranslate2, 8 in flight": {"in_flight": 8},
    "openvino": {},
}


def xllamacpp(
    model: str, threads: int, in_flight: int = 1, sampling: Any = None, **engine: Any
) -> Answer:
    """JapaGen's engine, used as in generate.py."""
    from japagen import llm
    from japagen.config.schema import LLM

    engine |= {"n_ctx": 1024, "cpuparams.n_threads": threads}
    chosen = {"temperature": 0.0, "ignore_eos": True, **(sampling or {})}
    loaded = llm.load(
        LLM(
            "japagen.llm.llamacpp.LlamaCpp",
            "qwen",
            model,
            concurrency=in_flight,
            sampling=chosen,
            engine=engine,
        )
    )

    async def all_replies(prompts: list[str], tokens: int) -> tuple[int, int, str]:
        loaded.sampling["max_tokens"] = tokens  # type: ignore[attr-defined]
        replies = await asyncio.gather(
            *(loaded.complete(llm.Request(text=text, seed=0)) for text in prompts)
        )
        return (
            sum(r.prompt_tokens for r in replies),
            sum(r.completion_tokens for r in replies),
            replies[0].text,
        )

    return lambda prompts, tokens: asyncio.run(all_replies(prompts, tokens))


def llama_cpp(model: str, threads: int, cache: bool = True) -> Answer:
    """llama-cpp-python. It caches the last prompt and answers one request at a time."""
    from llama_cpp import Llama

    loaded = Llama(model, n_ctx=1024, n_threads=threads, n_threads_batch=threads, verbose=False)

    def answer(prompts: list[str], tokens: int) -> tuple[int, int, str]:
        pieces, written = (
            [loaded.tokenize(text.encode(), add_bos=False, special=True) for text in prompts],
            list[list[int]](),
        )
        for piece in pieces:
            if not cache:
                loaded.reset()
            written.append(list(islice(loaded.generate(piece, temp=0.0), tokens)))
        return (
            sum(map(len, pieces)),
            sum(map(len, written)),
            loaded.detokenize(written[0]).decode(errors="replace"),
        )

    return answer


def ctranslate2(model: str, threads: int, in_flight: int = 1) -> Answer:
    """CTranslate2 with converted weights. The common prefix of the prompts goes into its cache."""
    import ctranslate2 as engine
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
    loaded = engine.Generator(model, device="cpu", intra_threads=threads, inter_threads=1)

    def answer(prompts: list[str], tokens: int) -> tuple[int, int, str]:
        pieces = [tokenizer.encode(text, add_special_tokens=False).tokens for text in prompts]
        common = (
            len(list(takewhile(lambda column: len(set(column)) == 1, zip(*pieces, strict=False))))
            if len(pieces) > 1
            else 0
        )
        options = {
            "max_length": tokens,
            "min_length": tokens,
            "include_prompt_in_result": False,
            "max_batch_size": in_flight,
        }
        replies = loaded.generate_batch(
            [piece[common:] for piece in pieces],
            static_prompt=pieces[0][:common] or None,
            **options,
        )
        written = [reply.sequences_ids[0] for reply in replies]
        return sum(map(len, pieces)), sum(map(len, written)), tokenizer.decode(written[0])

    return answer


def openvino(model: str, threads: int) -> Answer:
    """OpenVINO GenAI, which opens the GGUF file itself."""
    import openvino_genai as engine

    loaded = engine.LLMPipeline(model, "CPU", INFERENCE_NUM_THREADS=threads)

    def answer(prompts: list[str], tokens: int) -> tuple[int, int, str]:
        options = engine.GenerationConfig(
            max_new_tokens=tokens, do_sample=False, ignore_eos=True, apply_chat_template=False
        )
        replies = [loaded.generate([text], options) for text in prompts]
        counts = [
            (
                reply.perf_metrics.get_num_input_tokens(),
                reply.perf_metrics.get_num_generated_tokens(),
            )
            for reply in replies
        ]
        return (
            sum(read for read, _ in counts),
            sum(written for _, written in counts),
            replies[0].texts[0],
        )

    return answer


def measure(job: dict[str, Any]) -> None:
    """Print the measurements of one row. Runs in a separate process."""
    begin = time.perf_counter()
    answer: Answer = globals()[job["engine"]](**job["options"])
    found: dict[str, Any] = {"load": time.perf_counter() - begin}
    first, *prompts = job["prompts"]
    answer([first], 2)
    for name, part, tokens in (
        ("prompt", prompts[len(prompts) // 2 :], 1),
        ("written", prompts[: len(prompts) // 2], job["tokens"]),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        read, written, text = answer(part, tokens)
        count = read if name == "prompt" else written
        found |= {
            f"{name}_wall": count / (time.perf_counter() - wall),
            f"{name}_cpu": count / (time.process_time() - cpu),
        }
    found |= {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "text": text}
    print("\n" + json.dumps(found))


def workload(count: int) -> tuple[str, list[str]]:
    """(GGUF file, prompts).

    The prompts are second turns of JNLI without shots in Qwen's chat format: they contain
    sentence 1 and ask for sentence 2.
    """
    from hydra import compose, initialize_config_dir

    from japagen.config import schema
    from japagen.config.check import check
    from japagen.dataset import identity
    from japagen.embedded import assemble
    from japagen.synthesis import plan

    schema.register()
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        job = check(
            compose("generate", overrides=["task=jnli", "shots=0", f"num_per_label={count}"]),
            schema.GenerateConfig,
        )
    assert job.task.knowledge
    values, made = job.task.knowledge.values, plan.make(identity.of(job), None)
    firsts = [
        f"{place}の前で、二つの{thing}が並んでいます。" for place in values for thing in values
    ]
    turns = [
        (*made.request(k, 0, [first]).messages, {"role": "assistant", "content": ""})
        for k, first in enumerate(firsts[:count])
    ]
    texts = [
        "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in turn).removesuffix(
            "<|im_end|>\n"
        )
        for turn in turns
    ]
    return str(assemble.llm("qwen2_5_coder_1_5b")), texts


def child(python: str, job: dict[str, Any]) -> dict[str, Any]:
    """The result of `measure` in a process of `python`, or the reason why it failed."""
    done = subprocess.run(
        [python, __file__, "--measure"], input=json.dumps(job), capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"skipped": f"exit {done.returncode}: {last}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(name: str, found: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    """One line of the printed table."""
    if skipped := [one["skipped"] for one in [*found, *base] if "skipped" in one]:
        return f"{name:<33}skipped: {skipped[0]}"
    mean = {key: statistics.fmean(one[key] for one in found) for key in found[0] if key != "text"}
    ratios = sorted(
        one["written_cpu"] / own["written_cpu"] for one, own in zip(found, base, strict=True)
    )
    ratio = f"{statistics.fmean(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    written = f"{mean['written_wall']:7.2f}{mean['written_cpu']:9.2f}  {ratio:<22}"
    rest = f"{mean['prompt_cpu']:8.1f}{mean['load']:7.1f}{mean['peak']:7.0f}"
    return f"{name:<33}{written}{rest}  {' '.join(found[0]['text'].split())[:24]}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, number in (("prompts", 8), ("tokens", 48), ("repeat", 2), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--python", nargs="+", default=[])
    parser.add_argument("--ctranslate2", default="")
    asked = parser.parse_args()
    pythons = dict(word.split("=", 1) for word in asked.python)
    gguf, prompts = workload(2 * asked.prompts + 1)
    names = [
        name for name in ROWS if name == "xllamacpp" or any(word in name for word in asked.only)
    ]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for name in names * asked.repeat:
        engine = name.split(",")[0]
        options = {
            "model": asked.ctranslate2 if engine == "ctranslate2" else gguf,
            "threads": asked.threads,
            **ROWS[name],
        }
        job = {"engine": engine, "options": options, "prompts": prompts, "tokens": asked.tokens}
        found[name].append(child(pythons.get(engine, sys.executable), job))
        print(name, json.dumps(found[name][-1], ensure_ascii=False), file=sys.stderr, flush=True)
    print(f"{'':<33}{'wall':>7}{'CPU':>9}  {'ratio':<22}", end="")
    print(f"{'prompt':>8}{'load':>7}{'MB':>7}  first reply")
    print("\n".join(row(name, found[name], found[names[0]]) for name in names))


if __name__ == "__main__":
    measure(json.load(sys.stdin)) if sys.argv[1:] == ["--measure"] else main()
