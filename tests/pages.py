"""The commands that the documents tell a reader to type, and their smallest substitutes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.documents import ROOT, text

PROGRAMS = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:python3?|japagen|make|mlflow|pip|docker|curl|vllm|export|mutmut|rm|hey|"
    r"echo|mkdir|head|cd|git|tensorboard|wandb|pre-commit|ct2-transformers-converter|\.)(?= )"
)
SHELL = ("mkdir", "head")  # run by a shell
INDENTED = re.compile(r"(?:^|\n)\n((?:    [^\n]+\n)+)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
# Not run, and why. A command that is neither here nor run fails the test.
LISTED = {
    r"python3 -m venv|\. \.venv": "makes an environment",
    r"pip install|CMAKE_ARGS=|pre-commit install|make install": "installs packages",
    r"python -m pytest|make (lint )?test|mutmut|make mutants": "runs tests",
    r"([A-Z_]+=\S+ )*python benchmarks/": "measures for minutes",
    r"make docs": "tests/test_readme.py builds the site",
    r"make tree": "changes the documents; tests/test_readme.py compares them",
    r"docker ": "needs Docker",
    r"vllm serve": "needs a GPU",
    r"wandb |WANDB_": "needs an account",
    r"tensorboard ": "runs until it is stopped",
    r"mlflow (ui|server|models serve)": "runs until it is stopped; tests/test_browser.py starts it",
    r"japagen serve|curl |hey |echo ": "runs until it is stopped; tests/service starts it",
    r"ct2-transformers-converter": "another program, for a comparison",
    r"rm -r ~/\.cache": "deletes the reader's cache",
    r"export [A-Z_]+=": "sets a variable",
    r"python train\.py -m (\.\.\.|hydra/sweeper)": "needs a value for `...`, and a plugin",
    r".*(loss=focal|data=reviews)": "tests/test_examples.py runs it",
}
DATASET = ("llm=fake", "num_per_label=6")  # for every command that names a dataset
TRAINING = (
    *("student.pretrained=random:tiny", "trainer=cpu"),
    *("trainer.max_epochs=1", "trainer.max_steps=2", "trainer.min_steps=0"),
)
FIRST = {"experiment": ("task=jnli", "prompt=zero_shot", "seed=0")}  # of a sweep's many jobs


def commands(path: Path) -> list[str]:
    """The commands of a page in its order: those of blocks, and those in the text."""
    page, found = text(path), list[tuple[int, str]]()
    for block in FENCE.finditer(page):
        lines = block[3].replace("\\\n", " ").strip().splitlines()
        if block[2] not in ("", "bash", "sh") or not any(
            PROGRAMS.match(one.strip()) for one in lines
        ):
            continue
        for line in lines:
            if line.strip():
                assert PROGRAMS.match(line.strip()), f"{path.name}: what runs {line.strip()!r}?"
                found.append((block.start(), line))
    without = FENCE.sub(lambda block: " " * len(block[0]), page)
    for block in INDENTED.finditer(without):
        lines = block[1].replace("\\\n", " ").splitlines()
        found += [(block.start(), line) for line in lines if PROGRAMS.match(line.strip())]
    for span in re.finditer(r"`([^`\n]+)`", without):
        if PROGRAMS.match(span[1]) and not mentioned(span[1]):
            found.append((span.start(), span[1]))
    parts = [part for _, line in sorted(found, key=lambda one: one[0]) for part in split(line)]
    return list(dict.fromkeys(parts))


def files(path: Path) -> dict[str, str]:
    """The files that a page tells the reader to write: a line with the name, then a block."""
    return dict(re.findall(r"[Ww]rite `([^`\n]+)`:\n\n```\w+\n(.*?)```", text(path), re.DOTALL))


def mentioned(span: str) -> bool:
    """Whether the text names a program or a subcommand, without its arguments."""
    return bool(re.fullmatch(r"(japagen|vllm|mlflow( models)?) (serve|predict)", span))


def split(line: str) -> list[str]:
    """The commands of a line, without comments."""
    plain = re.sub(r"\s#\s.*| {2,}#.*", "", line).strip()
    return [part for one in plain.split("&&") if (part := " ".join(one.split()))]


def reason(command: str) -> str | None:
    """The pattern of LISTED that the command matches."""
    return next((pattern for pattern in LISTED if re.match(pattern, command)), None)


def smallest(command: str, home: Path, record: bool = False) -> list[str]:
    """The words after `python`, with substitutes for models, and few rows and steps.

    `record`: with MLflow.
    """
    words = [re.sub(r"^~(?=/)", str(home), word) for word in shlex.split(command)]
    words = [re.sub(r"^(seeds?=\[?\d+,\d+)[\d,]*", r"\1", word) for word in words]  # two seeds
    kind, rest = program(words)
    job = Path(kind[-1]).stem
    if job not in ("generate", "train", "evaluate") or {"--help", "--cfg"} & set(rest):
        return [*kind, *rest]
    forced = [] if "dry_run=true" in rest else list(DATASET)
    forced = forced[:1] if job == "evaluate" and "subject=dataset" not in rest else forced
    forced += TRAINING if job == "train" else ()
    # MLflow takes most of the time of so small a job.
    forced += (
        [] if record or any(word.startswith("experiment=") for word in rest) else ["logger=none"]
    )
    for key, chosen in FIRST.items():
        forced += chosen if any(word.startswith(f"{key}=") for word in rest) else ()
    return [*kind, *replaced(rest, forced)]


def program(words: list[str]) -> tuple[list[str], list[str]]:
    """(script or module, arguments) of `python X.py ...`, `python -m X` or `japagen X`."""
    if words[0] == "japagen":
        return ["-m", "japagen", words[1]], words[2:]
    assert words[0] == "python", words
    if words[1] == "-m":
        return words[1:3], words[3:]
    return [str(ROOT / words[1])], words[2:]


def replaced(words: list[str], forced: list[str]) -> list[str]:
    """`words` without those that `forced` sets, and without options of the LLM that it replaces."""
    keys = {word.split("=")[0] for word in forced}
    kept = [word for word in words if word.split("=")[0] not in keys]
    if "llm" in keys:
        kept = [word for word in kept if not word.lstrip("+").startswith(("llm.", "llm@"))]
    return kept + forced
