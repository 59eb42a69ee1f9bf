"""Every command of the README and the documents is run, in the order of its page, or is listed."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import pages
from tests.documents import DOCUMENTS, ROOT, text
from tests.forked import Runner, runner
from tests.toys import sentences, write_rows, write_toys

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
# A page that says the same in another language runs in the folder of the first.
WITH = {ROOT / "README.md": ROOT / "README.ja.md"}
PAGES = [path for path in DOCUMENTS if path not in (ROOT / "CHANGELOG.md", *WITH.values())]
# Pages whose reader has datasets and students already. The others start in an empty folder.
LATER = {"add_a_student.md", "embedded.md", "evaluate.md", "export.md", "performance.md"}
LATER |= {"predict.md", "serve.md", "reliability.md"}
# YAML of a page -> where the page says that it belongs.
OWN = {"add_a_student.md": "student/mine.yaml", "add_an_llm.md": "llm/my_model.yaml"}
OWN |= {"add_a_task.md": "task/weather.yaml"}
INPUTS = {
    "rows.parquet": "jnli",
    "reviews.csv": "hotel_reviews",
    "pairs.tsv": "jnli",
    "new.csv": "messages",
}
BEFORE = [  # what such a reader has typed
    f"python {script}.py task={task} shots=0"
    for task in ("jnli", "jsts", "hotel_reviews")
    for script in ("generate", "train")
]


def write_gold(folder: Path) -> Path:
    """Write small gold files of five tasks into `folder` and return it."""
    write_toys(folder)
    labels = ("entailment", "contradiction", "neutral")
    for part in ("train", "valid"):
        rows = [
            {
                "sentence_pair_id": n,
                "sentence1": f"{part}の{one}",
                "sentence2": "犬。",
                "label": labels[n % 3],
            }
            for n, (one, _) in enumerate(sentences(60, len(part)))
        ]
        write_rows(folder / f"jnli-v1.3/{part}-v1.3.json", rows)
        levels = [{**row, "label": float(n % 6)} for n, row in enumerate(rows)]
        write_rows(folder / f"jsts-v1.3/{part}-v1.3.json", levels)
    reviews = [
        f"{n}\t{2 * label - 1}\t{part}の{one}\t{{}}\t{part}\n"
        for part in ("train", "dev", "test")
        for n, (one, label) in enumerate(sentences(40, len(part)))
    ]
    (folder / "jrte-corpus").mkdir()
    (folder / "jrte-corpus/pn.tsv").write_text("".join(reviews), encoding="utf-8")
    for category in yaml.safe_load(text(ROOT / "conf/task/news.yaml"))["labels"]:
        place = folder / "livedoor/text" / category
        place.mkdir(parents=True, exist_ok=True)
        for n in range(20):
            article = f"http://news\n2012-01-01\n{category}の話題{n}番\n本文{n}です。\n"
            (place / f"{category}-{n}.txt").write_text(article, encoding="utf-8")
    return folder


def write_inputs(folder: Path) -> None:
    """Write the files that `japagen predict` reads."""
    import pandas

    pairs = {"id": [1, 2], "a": ["犬が走る。", "猫が眠る。"], "b": ["動物が動く。", "犬が走る。"]}
    table = pandas.DataFrame(pairs)
    table.to_csv(folder / "pairs.tsv", sep="\t", index=False)
    renamed = table.rename(columns={"a": "sentence1", "b": "sentence2"})
    renamed.to_parquet(folder / "rows.parquet")
    table.rename(columns={"a": "body"}).to_csv(folder / "reviews.csv", index=False)


@pytest.fixture(scope="module")
def forked() -> Iterator[Runner]:
    """The process that runs the commands."""
    with runner() as running:
        yield running


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for JAPAGEN_DATA."""
    return write_gold(tmp_path_factory.mktemp("gold"))


@pytest.fixture(scope="module")
def later(
    tmp_path_factory: pytest.TempPathFactory, forked: Runner, gold: Path, ready: Path
) -> Path:
    """A folder with datasets and students."""
    folder = tmp_path_factory.mktemp("later")
    shutil.copy(ready / "mlflow.db", folder)
    for command in BEFORE:
        assert run(forked, command, folder, gold, record=True) == "", command
    return folder


def run(forked: Runner, command: str, folder: Path, gold: Path, record: bool = False) -> str:
    """Run a command, or those of a target of the Makefile; what a failing one printed."""
    if command.startswith("make "):
        words = ["make", "-n", *command.split()[1:]]
        lines = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return "".join(run(forked, line, folder, gold, record) for line in lines.splitlines())
    if command.startswith(pages.SHELL):
        shell = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
        return shell.stderr
    words = [placed(word, command, folder) for word in pages.smallest(command, folder, record)]
    code, printed = forked.run(words, folder, JAPAGEN_DATA=str(gold))
    return "" if code == 0 else f"\n$ {command}\n(exit code {code})\n{printed[-3000:]}"


def placed(word: str, command: str, folder: Path) -> str:
    """`word` with the name of a student, or with the run that trained it, for its placeholder."""
    found = re.search(r"task=(\w+)|--input (\S+)", command)
    task = (found[1] or INPUTS[found[2]]) if found else "jnli"
    if "students/NAME" in word:
        student = next(path for path in sorted((folder / "students").glob(f"{task}-*")))
        return word.replace("students/NAME", f"students/{student.name}")
    return word.replace("MLFLOW_RUN_ID", run_id(folder, task)) if "MLFLOW" in word else word


def run_id(folder: Path, task: str) -> str:
    """The run of a training."""
    query = (
        "select run_uuid from tags where key = 'stage' and value = 'train' and run_uuid in "
        "(select run_uuid from tags where key = 'task' and value = ?)"
    )
    with sqlite3.connect(folder / "mlflow.db") as store:
        return str(store.execute(query, [task]).fetchone()[0])


@pytest.mark.parametrize(
    "page", [page for page in PAGES if pages.commands(page)], ids=lambda page: page.name
)
def test_every_command_of_a_page_runs(
    page: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    forked: Runner,
    gold: Path,
    ready: Path,
) -> None:
    every = dict.fromkeys(pages.commands(page))
    every |= dict.fromkeys(pages.commands(WITH[page])) if page in WITH else {}
    todo = [one for one in every if pages.reason(one) is None]
    folder = tmp_path / "home"
    if page.name in LATER and todo:
        shutil.copytree(request.getfixturevalue("later"), folder)
    else:
        folder.mkdir()
        shutil.copy(ready / "mlflow.db", folder)
    write_inputs(folder)
    for name, content in pages.files(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    if page.name in OWN:
        place = folder / "mine" / OWN[page.name]
        place.parent.mkdir(parents=True)
        place.write_text(re.findall(r"```yaml\n(.*?)```", text(page), re.S)[0], encoding="utf-8")
    record = any("japagen.report" in one or "japagen report" in one for one in todo)
    failed = [run(forked, command, folder, gold, record) for command in todo]
    assert not any(failed), "".join(failed)


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    every = [one for page in DOCUMENTS for one in pages.commands(page)]
    for pattern in pages.LISTED:
        assert any(re.match(pattern, one) for one in every), pattern
