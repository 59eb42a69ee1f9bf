"""Generation with the fake engine, from the config to the files on disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from japagen import files, llm, tracking
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, GenerateConfig
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL, Journal
from japagen.dataset.table import CARD, MANIFEST, TABLE, read
from japagen.job import hub
from japagen.llm import fake
from japagen.quality.show import PAGE
from tests.conftest import Compose

TASKS = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))


def dataset(composed: Compose, *overrides: str) -> Path:
    """Generate a dataset and return its folder."""
    cfg = composed("generate", "num_per_label=4", *overrides)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of train.jsonl."""
    return [json.loads(line) for line in (folder / TABLE).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("prompt", ["zero_shot", "knowledge"])
def test_every_task_gets_exactly_n_per_label(composed: Compose, task: str, prompt: str) -> None:
    cfg = composed(
        "generate",
        f"task={task}",
        f"prompt={prompt}",
        "num_per_label=4",
        "llm.engine.malformed_rate=0.2",
    )
    config = check(cfg, GenerateConfig)
    generate.run(cfg)
    examples = read(identity.of(config))
    assert {
        label: sum(e.label == label for e in examples) for label in config.task.labels
    } == dict.fromkeys(config.task.labels, 4)
    assert len({e.texts for e in examples}) == len({e.id for e in examples}) == len(examples)
    assert all(len(e.texts) == len(config.task.inputs) for e in examples)


def test_the_folder_has_manifest_and_card(composed: Compose) -> None:
    folder = dataset(composed, "llm.engine.malformed_rate=0.3")
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["accepted"] == 12
    assert manifest["replies"] == 12 + sum(manifest["rejected_by_reason"].values())
    assert manifest["identity"]["task"]["name"] == "jnli"
    assert "python generate.py task=jnli" in (folder / CARD).read_text(encoding="utf-8")
    assert not list(folder.glob("*.part"))


@pytest.mark.slow
def test_running_again_changes_nothing(composed: Compose) -> None:
    folder = dataset(composed)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    dataset(composed)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_more_per_label_extends_the_same_dataset(composed: Compose) -> None:
    folder = dataset(composed)
    first = table(folder)
    replies = (folder / JOURNAL).read_text(encoding="utf-8")
    assert dataset(composed, "num_per_label=6") == folder
    assert table(folder)[: len(first)] == first
    assert len(table(folder)) == 18
    assert (folder / JOURNAL).read_text(encoding="utf-8").startswith(replies)


@pytest.mark.slow
def test_fewer_per_label_reads_the_first_rows(composed: Compose) -> None:
    dataset(composed)
    config = check(composed("generate", "num_per_label=2"), GenerateConfig)
    examples = read(identity.of(config))
    assert [example.id[-6:] for example in examples] == ["000000"] * 3 + ["000001"] * 3


def test_an_unfinished_dataset_is_not_read(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopping(fake.Fake):
        calls = 0

        async def complete(self, request: llm.Request) -> llm.Completion:
            Stopping.calls += 1
            if Stopping.calls > 9:
                raise KeyboardInterrupt
            return await super().complete(request)

    cfg = composed("generate", "num_per_label=4")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fake, "Fake", Stopping)
        generate.run(cfg)
    config = check(cfg, GenerateConfig)
    with pytest.raises(UserError, match=r"is not there\. Make it with"):
        read(identity.of(config))
    interrupted = (identity.of(config).folder / JOURNAL).read_text(encoding="utf-8")
    generate.run(cfg)
    assert len(read(identity.of(config))) == 12
    assert (
        (identity.of(config).folder / JOURNAL).read_text(encoding="utf-8").startswith(interrupted)
    )


def test_engine_errors_are_retried(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    async def now(_: float) -> None: ...

    monkeypatch.setattr("asyncio.sleep", now)
    assert len(table(dataset(composed, "llm.engine.error_rate=0.3"))) == 12


def test_a_dead_engine_stops_the_job_and_keeps_the_replies(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def now(_: float) -> None: ...

    monkeypatch.setattr("asyncio.sleep", now)
    with pytest.raises(
        UserError, match=r"(?s)failed 5 times on one request: llm=fake: .*type the same command"
    ):
        dataset(composed, "llm.engine.error_rate=1.0")


def test_a_shortfall_is_reported_by_label_and_reason(composed: Compose) -> None:
    missing = (
        r"12 of 12 examples are missing after 3 attempts each:\n"
        r"  entailment: 4 missing; rejected: too_long 12"
    )
    with pytest.raises(UserError, match=missing) as caught:
        dataset(composed, "task.clean.max_chars=20", "max_attempts=3")
    assert "max_attempts=6" in str(caught.value)


def test_a_shortfall_can_be_allowed(composed: Compose) -> None:
    folder = dataset(
        composed, "llm.engine.malformed_rate=0.5", "max_attempts=1", "max_shortfall=0.9"
    )
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert 0 < manifest["accepted"] < 12
    assert manifest["accepted"] + sum(manifest["missing"].values()) == 12
    assert len(table(folder)) == manifest["accepted"]


def test_dry_run_shows_a_prompt_per_label_and_writes_nothing(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = composed("generate", "dry_run=true", "llm=llamacpp", "llm.model=no.gguf")
    generate.run(cfg)
    shown = capsys.readouterr().out
    for label in cfg.task.labels:
        assert f"jnli: {label}" in shown
    assert not list(tmp_path.iterdir())


def test_shots_without_gold_explain_how_to_get_it(composed: Compose) -> None:
    with pytest.raises(UserError, match=r"shots=5 needs gold examples.*JAPAGEN_DATA"):
        generate.run(composed("generate", "task=marc_ja", "shots=5"))


def test_an_unknown_engine_is_an_error(composed: Compose) -> None:
    with pytest.raises(
        UserError, match=r"llm\._target_ is 'no\.such\.Engine'.*allowed: classes of japagen"
    ):
        generate.run(composed("generate", "llm._target_=no.such.Engine"))


def test_a_full_disk_keeps_all_complete_replies(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Journal.write

    def full(self: Journal, entry: dict[str, object]) -> None:
        assert self.file is not None
        if self.file.tell() > 1500:
            self.file.write(b'{"k": 5, "attem')
            self.file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        write(self, entry)

    cfg = composed("generate", "num_per_label=4")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(Journal, "write", full)
        generate.run(cfg)
    config = check(cfg, GenerateConfig)
    journal = identity.of(config).folder / JOURNAL
    whole = journal.read_bytes()[: journal.read_bytes().rfind(b"\n") + 1]
    assert whole.count(b"\n") > 2
    with pytest.raises(UserError, match="is not there"):
        read(identity.of(config))
    generate.run(cfg)
    assert journal.read_bytes().startswith(whole)
    assert len(read(identity.of(config))) == 12


def test_a_full_disk_at_the_end_leaves_no_partial_table(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        path.with_name(path.name + ".part").write_text(text[:20], encoding="utf-8")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    cfg = composed("generate", "num_per_label=4")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(files, "write_whole", full)
        generate.run(cfg)
    config = check(cfg, GenerateConfig)
    with pytest.raises(UserError, match="is not there"):
        read(identity.of(config))
    generate.run(cfg)
    assert len(read(identity.of(config))) == 12


def test_replies_that_are_always_rejected_stop_after_max_attempts(composed: Compose) -> None:
    with pytest.raises(
        UserError,
        match=r"12 of 12 examples are missing after 3 attempts each:\n  entailment: 4 missing; ",
    ):
        dataset(composed, "llm.engine.malformed_rate=1.0", "max_attempts=3")


def test_load_dataset_opens_the_folder(composed: Compose, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    folder = dataset(composed)
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "datasets"))
    assert loaded.column_names == ["id", "sentence1", "sentence2", "label"]
    names = loaded.features["label"].names
    assert [names[label] for label in loaded["label"]] == [row["label"] for row in table(folder)]


@pytest.mark.slow
def test_an_allowed_shortfall_is_filled_when_it_is_no_longer_allowed(
    composed: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    folder = dataset(
        composed, "llm.engine.malformed_rate=0.5", "max_attempts=1", "max_shortfall=0.9"
    )
    short = table(folder)
    assert len(short) < 12
    config = check(composed("generate", "num_per_label=4"), GenerateConfig)
    assert len(read(identity.of(config))) == len(short)
    assert "examples missing" in caplog.text
    assert dataset(composed, "num_per_label=2") == folder, (
        "with a smaller num_per_label, the missing examples of the larger dataset are generated"
    )
    assert len(table(folder)) == 12


def test_a_mistake_in_a_gold_file_leaves_a_complete_dataset(
    composed: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("sentence1,sentence2,label\n前提です,仮説です,entailmend\n", encoding="utf-8")
    words = ["task.gold.format=csv", f"task.gold.train=[{gold}]", "~task.gold.columns.id"]
    generate.run(composed("generate", *words, f"gold_dir={tmp_path}", "num_per_label=2"))
    (folder,) = Path("synthetic").glob("*/*")
    assert (folder / MANIFEST).exists()
    assert "The rows are measured without gold rows. " in caplog.text
    assert "entailmend" in caplog.text


@pytest.mark.slow
def test_a_changed_gold_file_with_other_shots_is_refused(composed: Compose, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    rows = [
        f"前提です{i},仮説です{i},{label}"
        for label in ("entailment", "contradiction", "neutral")
        for i in range(2)
    ]
    words = [
        "task.gold.format=csv",
        f"task.gold.train=[{gold}]",
        f"gold_dir={tmp_path}",
        "~task.gold.columns.id",
        "shots=2",
    ]
    gold.write_text("\n".join(["sentence1,sentence2,label", *rows]), encoding="utf-8")
    dataset(composed, *words)
    gold.write_text(
        "\n".join(["sentence1,sentence2,label", *rows]).replace("仮説", "結論"), encoding="utf-8"
    )
    with pytest.raises(UserError, match="made with other shots"):
        dataset(composed, *words)
    with pytest.raises(UserError, match="made with other shots"):
        dataset(composed, *words, "num_per_label=6")


def test_dry_run_of_a_joint_prompt_shows_the_joint_prompt(
    composed: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.run(composed("generate", "dry_run=true", "prompt.joint=inputs"))
    shown = capsys.readouterr().out
    assert "JSON" in shown
    assert "turn 2" not in shown


def test_a_failed_upload_leaves_a_finished_run(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = list[str]()

    def unreachable(*_given: object) -> None:
        assert ended == ["FINISHED"]
        raise UserError("no hub")

    monkeypatch.setattr(hub, "check", lambda _name: None)
    monkeypatch.setattr(hub, "push", unreachable)

    def close(_run: tracking.Run, status: str) -> None:
        ended.append(status)

    monkeypatch.setattr(tracking.Run, "close", close)
    with pytest.raises(UserError, match="no hub"):
        dataset(composed, "push_to_hub=me/x")
    assert ended == ["FINISHED"]


@pytest.mark.slow
def test_the_seconds_of_all_processes_are_added(composed: Compose) -> None:
    words = ["task=jcola", "llm.engine.latency=0.02", "llm.concurrency=1"]
    folder = dataset(composed, *words)
    first = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert first["total_seconds"] == pytest.approx(first["seconds"], abs=0.01)
    dataset(composed, *words, "num_per_label=8")
    both = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    expected = first["total_seconds"] + both["seconds"]
    assert both["total_seconds"] == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_a_job_killed_after_its_manifest_is_measured_and_paid_by_the_next(
    composed: Compose, recorded: dict[str, float]
) -> None:
    folder = dataset(composed, "task=jcola")
    (folder / PAGE).unlink()
    recorded.clear()
    dataset(composed, "task=jcola")
    assert (folder / PAGE).exists()
    assert {"cost", "total_seconds", "accepted"} <= set(recorded)
    assert "seconds" not in recorded
