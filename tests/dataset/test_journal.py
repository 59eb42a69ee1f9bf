"""Datasets on disk."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.journal import Journal, shots_head
from japagen.gold.example import Example
from japagen.job import sweep
from tests.conftest import Compose

HEAD = {"fingerprint": "0123456789", "shots": {}}


def entry(k: int) -> dict[str, object]:
    return {"k": k, "texts": [f"文 {k}"]}


def test_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "made" / "journal.jsonl"
    for start in (0, 3):
        with Journal(path, HEAD) as journal:
            assert [line["k"] for line in journal.lines()] == list(range(start))
            for k in range(start, start + 3):
                journal.write(entry(k))


@pytest.mark.parametrize("torn", ['{"k": 3, "te', "x" * 200_000, '{"k": 3}'])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEAD) as journal:
        journal.write(entry(0))
    with path.open("a", encoding="utf-8") as file:
        file.write(torn)
    with Journal(path, HEAD) as journal:
        assert [line["k"] for line in journal.lines()] == [0]
        journal.write(entry(1))
    with Journal(path, HEAD) as journal:
        assert [line["k"] for line in journal.lines()] == [0, 1]


@pytest.mark.parametrize("length", range(65_533, 65_539))
def test_a_torn_line_as_long_as_a_block_takes_no_other_line_along(
    tmp_path: Path, length: int
) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEAD) as journal:
        journal.write(entry(0))
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * length)
    with Journal(path, HEAD) as journal:
        assert list(journal.lines()) == [entry(0)]
    assert path.read_bytes() == whole


def test_an_entry_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEAD) as journal:
        journal.write(entry(0))
        assert [json.loads(line) for line in path.read_bytes().splitlines()] == [HEAD, entry(0)]


def test_half_of_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    reply = {"texts": ["犬\ud83d", "\udc36猫"]}
    with Journal(tmp_path / "journal.jsonl", HEAD) as journal:
        journal.write(reply)
        assert list(journal.lines()) == [reply]


def test_writing_to_a_journal_that_is_not_open_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^the journal is not open$"):
        Journal(tmp_path / "journal.jsonl", HEAD).write(entry(0))


@pytest.mark.parametrize("torn", ["{", '{"finger'])
def test_a_journal_torn_in_its_first_line_is_begun_anew(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(torn, encoding="utf-8")
    with Journal(path, HEAD) as journal:
        assert list(journal.lines()) == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(HEAD) + '\n{"k": 0\n{"k": 1}\n', encoding="utf-8")
    with (
        Journal(path, HEAD) as journal,
        pytest.raises(UserError, match=r"journal\.jsonl, line 2 is damaged") as caught,
    ):
        list(journal.lines())
    assert str(caught.value).endswith(" Delete the line to continue without that reply.")


@pytest.mark.parametrize(
    "line",
    ["5", "null", "[]", '"k"', "[" * 100_000, '{"k":' * 100_000, '{"k": 0} {"k": 1}', "\u2028"],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    content = f'{json.dumps(HEAD)}\n{{"k": 0}}\n{line}\n{{"k": 1}}\n'
    path.write_text(content, encoding="utf-8")
    with (
        Journal(path, HEAD) as journal,
        pytest.raises(UserError, match=r"journal\.jsonl, line 3 is damaged \(") as caught,
    ):
        list(journal.lines())
    assert str(caught.value).endswith(" Delete the line to continue without that reply.")
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("line", ["5", "{", "[]"])
def test_a_damaged_first_line_can_be_written_again(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f'{line}\n{{"k": 0}}\n', encoding="utf-8")
    with Journal(path, HEAD) as journal, pytest.raises(UserError, match="line 1 is") as caught:
        list(journal.lines())
    _, right = str(caught.value).split(" Write this line instead: ")
    path.write_text(f'{right}\n{{"k": 0}}\n', encoding="utf-8")
    with Journal(path, HEAD) as journal:
        assert list(journal.lines()) == [{"k": 0}]


def test_white_space_around_a_line_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(f' {json.dumps(HEAD)} \r\n\t{{"k": 0}}\r\n'.encode())
    with Journal(path, HEAD) as journal:
        assert list(journal.lines()) == [{"k": 0}]


def test_a_journal_of_other_shots_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEAD):
        pass
    with (
        Journal(path, {**HEAD, "shots": {"a": ["1"]}}) as journal,
        pytest.raises(UserError, match="begun with other shots"),
    ):
        list(journal.lines())


def test_every_differing_option_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, {**HEAD, "old": 1}):
        pass
    with (
        Journal(path, {**HEAD, "fingerprint": "9876543210", "new": 2}) as journal,
        pytest.raises(UserError) as caught,
    ):
        list(journal.lines())
    assert str(caught.value) == (
        f"{path} was begun with other fingerprint, old, new. "
        f"Delete the folder {tmp_path} to start again."
    )


SHOTS = {"同": [Example("7", ("犬が走る。", "犬が駆ける。"), "同")], "別": []}


def test_head_names_the_shots_and_a_digest_of_their_texts() -> None:
    # Stored in journals and manifests: another digest would refuse to continue them.
    assert shots_head(SHOTS) == {
        "shots": {"同": ["7"], "別": []},
        "shots_digest": "715a99da07fd7823",
    }
    assert shots_head({"同": []}) == {"shots": {"同": []}, "shots_digest": ""}


@pytest.mark.parametrize("texts", [("犬が走る。", "犬が跳ねる。"), ("犬が走る。犬が駆ける。",)])
def test_digest_changes_with_an_edited_text(texts: tuple[str, ...]) -> None:
    edited = {**SHOTS, "同": [Example("7", texts, "同")]}
    assert shots_head(edited)["shots"] == shots_head(SHOTS)["shots"]
    assert shots_head(edited)["shots_digest"] != shots_head(SHOTS)["shots_digest"]


class Released(logging.Handler):
    """Calls `release` when the first line is logged."""

    def __init__(self, release: Callable[[], object]) -> None:
        super().__init__()
        self.release, self.lines = release, list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.release()


def test_a_job_of_a_sweep_says_that_it_waits_for_the_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "state_folder", lambda: tmp_path)
    other = FileLock(tmp_path / "journal.lock")
    other.acquire()
    handler = Released(other.release)
    logger = logging.getLogger("japagen.dataset.journal")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.INFO)
    with Journal(tmp_path / "journal.jsonl", HEAD) as journal:
        assert list(journal.lines()) == []
    assert handler.lines == [f"another process is writing {tmp_path}; waiting for it"]


def hold(path: Path, held: object, release: object) -> None:
    with Journal(path, HEAD):
        held.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "journal.jsonl", held, release))
    process.start()
    assert held.wait(30)
    with (
        pytest.raises(UserError, match="Another process is writing"),
        Journal(tmp_path / "journal.jsonl", HEAD),
    ):
        pass
    release.set()
    process.join(30)
    with Journal(tmp_path / "journal.jsonl", HEAD):
        pass


def fingerprint(composed: Compose, *overrides: str) -> str:
    return identity.of(check(composed("generate", *overrides), GenerateConfig)).fingerprint


@pytest.mark.parametrize(
    "override",
    [
        "task=jsts",
        "prompt=knowledge",
        "shots=1",
        "seed=1",
        "llm=gemma3_270m",
        "+llm.sampling.temperature=0.5",
        'task.wording.system="別の指示です。"',
        "task.clean.max_chars=71",
    ],
)
def test_the_fingerprint_covers_what_changes_the_text(composed: Compose, override: str) -> None:
    assert fingerprint(composed, override) != fingerprint(composed)


@pytest.mark.parametrize(
    "override",
    [
        "num_per_label=3",
        "llm.concurrency=2",
        "llm.engine.latency=1",
        "max_attempts=2",
        "logger=mlflow",
    ],
)
def test_the_fingerprint_leaves_out_what_does_not(composed: Compose, override: str) -> None:
    assert fingerprint(composed, override) == fingerprint(composed)


def test_zero_shot_with_shots_is_few_shot(composed: Compose) -> None:
    assert (
        fingerprint(composed, "shots=5")
        == fingerprint(composed, "prompt=few_shot")
        == fingerprint(composed, "prompt=few_shot", "shots=5")
    )


def test_reading_an_absent_dataset_names_the_command(composed: Compose) -> None:
    config = check(composed("generate", "task=jcola", "num_per_label=7"), GenerateConfig)
    with pytest.raises(
        UserError,
        match=r"python generate\.py task=jcola llm=fake prompt=zero_shot .*num_per_label=7",
    ):
        table.read(identity.of(config))
