"""vLLM with a tiny random model: inside the process and as `vllm serve`.

`.ci/vllm-env FOLDER` makes an environment that has vLLM.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import LLM, GenerateConfig
from japagen.dataset import identity, table
from japagen.llm import engine_cache
from tests import tiny_qwen2
from tests.conftest import Compose
from tests.tiny_qwen2 import CPU_ENGINE, KANA

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]
vllm = pytest.importorskip(
    "vllm",
    reason="vLLM is not installed here: .ci/vllm-env FOLDER makes an environment that has it",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that loads in a second or two."""
    return tiny_qwen2.write(tmp_path_factory.mktemp("model") / "tiny-qwen2")


@pytest.fixture
def overrides(model: Path) -> list[str]:
    """Options for a small pair task with that model."""
    return [*tiny_qwen2.overrides(model), "num_per_label=3"]


@pytest.fixture(scope="module", autouse=True)
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Little memory, no network; the engine is stopped at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("VLLM_CACHE_ROOT", str(tmp_path_factory.mktemp("cache")))
        yield
        engine_cache.CACHE.close()


def texts(composed: Compose, *overrides: str) -> list[tuple[str, ...]]:
    """Generate a dataset and return its texts; none may be missing."""
    cfg = composed("generate", *overrides)
    generate.run(cfg)
    config = check(cfg, GenerateConfig)
    examples = list(table.read(identity.of(config)))
    assert {
        label: sum(e.label == label for e in examples) for label in config.task.labels
    } == dict.fromkeys(config.task.labels, 3)
    assert all(
        len(e.texts) == 2 and set("".join(e.texts)) <= set(KANA) and not e.texts[0].endswith("ん")
        for e in examples
    )
    assert not list(identity.of(config).folder.glob("*.part"))
    return [e.texts for e in examples]


def tiny(folder: Path, **changes: Any) -> LLM:
    fields: dict[str, Any] = {
        "_target_": "japagen.llm.vllm.VLLM",
        "name": "tiny",
        "model": str(folder),
        "concurrency": 4,
    }
    return LLM(**{**fields, "engine": dict(CPU_ENGINE), "sampling": {"max_tokens": 16}, **changes})


def test_inside_the_process_two_jobs_share_one_engine(
    composed: Compose, overrides: list[str]
) -> None:
    first = texts(composed, "llm=vllm", *overrides)
    engine = engine_cache.CACHE.engine
    assert texts(composed, "llm=vllm", *overrides, "seed=1") != first
    assert engine is not None
    assert engine_cache.CACHE.engine is engine
    assert engine.engine.vllm_config.cache_config.enable_prefix_caching  # type: ignore[attr-defined]


def test_structured_output_a_base_model_and_a_seed(model: Path) -> None:
    async def ask(config: LLM, request: llm.Request) -> llm.Completion:
        return await llm.load(config).complete(request)

    chat: dict[str, Any] = {"messages": ({"role": "user", "content": "どちらですか。"},), "seed": 1}
    passed = {"max_tokens": 16, "structured_outputs": {"choice": ["はい", "いいえ"]}}
    assert asyncio.run(ask(tiny(model, sampling=passed), llm.Request(**chat))).text in (
        "はい",
        "いいえ",
    )
    assert asyncio.run(
        ask(tiny(model), llm.Request(**chat, choices=("1", "2"), temperature=0.0))
    ).text in ("1", "2")
    told = asyncio.run(
        ask(tiny(model), llm.Request(**chat, choices=("1", "2"), temperature=0.0, top=20))
    )
    assert 0 < len(told.top) <= 20
    assert max(told.top.values()) <= 0
    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["い", "ろ"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    held = asyncio.run(
        ask(tiny(model, sampling={"max_tokens": 60}), llm.Request(**chat, schema=schema))
    )
    assert held.finish == "length" or json.loads(held.text)["a"] in ("い", "ろ")
    text = llm.Request(text="むかし、", seed=1, stop=("\n",))
    replies = [asyncio.run(ask(tiny(model, chat=False), text)) for _ in range(2)]
    assert replies[0] == replies[1]
    assert (replies[0].finish, replies[0].completion_tokens) in (
        ("length", 16),
        ("stop", replies[0].completion_tokens),
    )
    assert replies[0].prompt_tokens > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling": {"max_tokenz": 3}}, "llm.sampling is not what vLLM's SamplingParams takes"),
        (
            {"engine": {"max_model_length": 5}},
            "max_model_length is not an option .* did you mean 'max_model_len'",
        ),
        ({"model": "/no/such/model"}, "vLLM cannot load llm.model=/no/such/model"),
    ],
)
def test_a_wrong_option_is_named(model: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        llm.load(tiny(model, **changes))


def test_a_server_started_for_the_job_serves_two_and_is_stopped(
    composed: Compose, overrides: list[str]
) -> None:
    first = texts(composed, "llm=server", "llm.serve=true", *overrides)
    serving = engine_cache.CACHE.engine
    assert texts(composed, "llm=server", "llm.serve=true", *overrides, "seed=1") != first
    assert serving is not None
    assert engine_cache.CACHE.engine is serving
    engine_cache.CACHE.close()
    assert not serving.alive()


def test_kill_9_leaves_no_process_behind(model: Path, tmp_path: Path) -> None:
    """The engine's core is another process, which must not keep a GPU after a kill."""
    script = tmp_path / "hold.py"
    arguments = json.dumps([str(model), CPU_ENGINE])
    script.write_text(
        "import json, sys, time\nfrom japagen.llm.vllm import Running\n"
        "if __name__ == '__main__':\n    running = Running(*json.loads(sys.argv[1]))\n"
        "    print('ready', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script), arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as holder:
        assert holder.stdout is not None
        while "ready" not in (line := holder.stdout.readline()):
            assert line, "the process ended early"
        holder.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while members(holder.pid) and time.monotonic() < deadline:
            time.sleep(0.2)
        left = members(holder.pid)
        for number in left:
            os.kill(number, signal.SIGKILL)
    assert left == []


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(number) == session and state != "Z":
            found.append(int(path.parent.name))
    return found
