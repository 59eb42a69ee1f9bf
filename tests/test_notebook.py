"""The functions for notebooks: the same configs, datasets and students as the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

import japagen
from japagen import notebook
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, GenerateConfig
from japagen.dataset import identity
from japagen.job.typed import CALL, called


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAPAGEN_DATA", raising=False)
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (1e-4, "0.0001"),
        (True, "true"),
        (None, "null"),
        ("jnli", "jnli"),
        ("a,b", '"a,b"'),
        ("日本", '"日本"'),
        ('"', '"\\""'),
        ([0, "x y"], '[0,"x y"]'),
        ({"a": 1}, "{a:1}"),
    ],
)
def test_values_are_written_in_hydra_s_grammar(value: object, text: str) -> None:
    assert notebook.written(value) == text


def test_options_reach_the_config(folder: Path) -> None:
    options = {"task": "jcola", "num_per_label": 4, "synthetic_dir": folder / "my data"}
    cfg = notebook.config_of("generate", GenerateConfig, ["llm=fake"], options)
    assert (cfg.task.name, cfg.llm.name, cfg.num_per_label) == ("jcola", "fake", 4)
    assert cfg.synthetic_dir == str(folder / "my data")


def test_the_command_that_makes_a_dataset_has_all_options_of_the_call(folder: Path) -> None:
    words = ["+llm.sampling.temperature=0.5"]
    cfg = notebook.config_of("generate", GenerateConfig, words, {"task": "jcola", "llm": "fake"})
    with called([*words, "task=jcola", "llm=fake"], ""):
        command = identity.of(check(cfg, GenerateConfig)).command
    assert "llm.sampling.temperature=0.5" in command
    assert "task=jcola llm=fake" in command
    assert "temperature" not in identity.of(check(cfg, GenerateConfig)).command


def test_a_task_from_outside(folder: Path) -> None:
    (folder / "mine" / "task").mkdir(parents=True)
    text = (CONF / "task" / "jcola.yaml").read_text(encoding="utf-8")
    (folder / "mine" / "task" / "own.yaml").write_text(
        text.replace("name: jcola", "name: own"), encoding="utf-8"
    )
    options = {"task": "own", "llm": "fake"}
    cfg = notebook.config_of("generate", GenerateConfig, [], options, folder / "mine")
    assert cfg.task.name == "own"
    with called(["task=own", "llm=fake"], notebook.outside(folder / "mine")):
        command = identity.of(check(cfg, GenerateConfig)).command
    assert f"--config-dir {folder}/mine" in command
    with pytest.raises(UserError, match="task=own is unknown"):
        notebook.config_of("generate", GenerateConfig, [], options)


@pytest.mark.slow
def test_wrong_options_are_errors_with_a_suggestion(folder: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'jnli'"):
        japagen.generate(task="jnil")
    with pytest.raises(UserError, match="num_per_label"):
        japagen.generate(num_per_labl=3)
    with pytest.raises(UserError, match="call train"):
        japagen.train(task="jnli", seeds=[0, 1])
    with pytest.raises(UserError, match="command line"):
        japagen.generate(task="jnli", llm="fake", dry_run=True)
    with pytest.raises(UserError, match="is no folder"):
        japagen.load_student("students/none")
    with pytest.raises(AttributeError, match="nothing"):
        _ = japagen.nothing  # type: ignore[attr-defined]


@pytest.mark.slow
def test_generate_train_and_predict(folder: Path) -> None:
    before = CALL.get()
    dataset = japagen.generate(task="jnli", llm="fake", num_per_label=4, logger="none")
    assert CALL.get() == before
    assert "num_per_label=4" in (dataset.path / "README.md").read_text(encoding="utf-8")
    assert len(dataset) == 12
    assert dataset.path.is_relative_to(folder)
    assert dataset.manifest["accepted"] == 12
    frame = dataset.to_pandas()
    assert list(frame.columns) == ["id", "sentence1", "sentence2", "label"]
    assert frame["label"].value_counts().to_dict() == {
        "entailment": 4,
        "contradiction": 4,
        "neutral": 4,
    }
    assert len(dataset.to_datasets()) == 12
    again = japagen.generate(task="jnli", llm="fake", num_per_label=4, logger="none")
    assert again.path == dataset.path
    fewer = japagen.generate(task="jnli", llm="fake", num_per_label=2, logger="none")
    assert fewer.path == dataset.path
    assert len(fewer) == len(fewer.to_pandas()) == len(fewer.to_datasets()) == 6

    student = japagen.train(
        "trainer.max_epochs=1",
        "trainer.min_steps=1",
        task="jnli",
        llm="fake",
        num_per_label=4,
        student="tiny",
        trainer="cpu",
        logger="none",
    )
    assert 0 <= student.scores["heldout/accuracy"] <= 1
    pairs = [("犬が走る。", "動物が走る。"), ("雨だ。", "晴れだ。")]
    labels = student.predict(pairs)
    assert set(labels) <= {"entailment", "contradiction", "neutral"}
    opened = japagen.load_student(student.path)
    assert opened.predict(pairs) == labels
    assert opened.scores == {}
    assert opened.predict([]) == []
    with pytest.raises(UserError, match="row 1 has 1 texts; the student's task has 2"):
        opened.predict([("犬", "猫"), "犬"])
    assert not (folder / "mlflow.db").exists()
