from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from japagen.command import train
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from japagen.config.student import FewRows, Student
from japagen.config.task import Task
from japagen.student import pretrained, tokens
from japagen.student.head import last_layer
from japagen.student.predictor import Predictor
from japagen.training import data, few_rows, identity, split
from japagen.training.folder import RESUME
from japagen.training.module import Module
from japagen.training.trainer import make_trainer
from tests.conftest import Compose
from tests.toys import FAST, write_rows


def clusters(counts: list[int], spread: float = 0.2) -> tuple[Tensor, Tensor]:
    """Vectors of as many labels as `counts` has numbers, far from the origin, and their labels."""
    torch.manual_seed(0)
    target = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    centres = 50 + 0.1 * torch.eye(len(counts), 8)
    return centres[target] + 0.1 * spread * torch.randn(len(target), 8), target


@pytest.mark.parametrize("counts", [[6, 6], [5, 7, 6], [40, 3]])
def test_a_regression_separates_labels_that_are_far_from_the_origin_or_unevenly_frequent(
    counts: list[int],
) -> None:
    vectors, target = clusters(counts)
    weight, bias = few_rows.logistic(vectors, target, len(counts))
    assert weight.shape == (len(counts), 8)
    logits = vectors @ weight.T + bias
    assert torch.equal(logits.argmax(1), target)


def test_a_regression_follows_the_majority_where_a_third_of_the_labels_are_wrong() -> None:
    vectors, right = clusters([60, 60], spread=0.3)
    given = torch.where(torch.arange(120) % 3 == 0, 1 - right, right)
    weight, bias = few_rows.logistic(vectors, given, 2)
    assert ((vectors @ weight.T + bias).argmax(1) == right).float().mean() > 0.9


def batch(texts: int, labels: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    target = torch.arange(texts) % labels
    # Each label has tokens of its own, so that even random vectors differ.
    ids = torch.randint(10, 40, (texts, 7)) + 40 * target[:, None]
    return {"input_ids": ids, "target": target, "row": torch.arange(texts)}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_fitted_head_does_not_depend_on_its_random_start(composed: Compose, pooling: str) -> None:
    config = check(composed("train", "task=jnli", "student=tiny"), TrainConfig)
    config.student.pooling = pooling
    torch.manual_seed(2)
    model: Any = pretrained.load(config.student, config.task).model
    rows, found = batch(12, 3), []
    for seed in (3, 4):
        torch.manual_seed(seed)
        pooler = model.bert.pooler.dense if pooling == "mean" else model.classifier
        torch.nn.init.normal_(pooler.weight)
        torch.nn.init.normal_(model.classifier.weight)
        module = Module(model, identity.of(config), None, lambda values, step: None)
        few_rows.fit(module, [rows])
        assert module.training
        found.append(module.eval()(rows))
    assert torch.allclose(found[0], found[1], atol=1e-4)
    assert torch.equal(found[0].argmax(1), rows["target"])


# No step changes anything, so no validation is better than the first.
SLOW = ["student.learning_rate=1e-12", "student.few_rows.min_steps=100"]


@pytest.mark.slow
def test_few_rows_are_trained_on_to_the_end_and_more_stop_early(
    composed: Compose, gold_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST, "trainer.patience=1"]
    caplog.set_level("INFO")
    steps = []
    for few in (0, 144):
        cfg = composed("train", *words, f"student.few_rows.rows={few}", *SLOW)
        caplog.clear()
        train.run(cfg)
        steps.append(sum("valid/loss" in line for line in caplog.messages))
    assert steps[0] == 2 < steps[1]


@pytest.mark.slow
def test_the_score_of_the_last_weights_is_recorded_when_these_are_kept(
    composed: Compose, gold_dir: Path, recorded: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def worse_each_time(self: Module, logits: Tensor, target: Tensor) -> dict[str, float]:
        given.append(0.9 / (len(given) + 1))
        return {"mcc": given[-1]}

    monkeypatch.setattr(Module, "scores", worse_each_time)
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST, *SLOW]
    for few, kept in ((0, 0), (144, -1)):
        given.clear()
        train.run(composed("train", *words, f"student.few_rows.rows={few}"))
        assert len(given) > 1
        assert recorded["valid/best"] == given[kept]


def test_the_limit_is_of_training_rows_and_scores_are_those_of_a_bi_encoder() -> None:
    few = Student(name="s", few_rows=FewRows(rows=50))
    labels = Task(name="t", inputs=["a"], labels=["x", "y"])
    scores = Task(name="s", kind="regression", inputs=["a"], labels=["0", "5"])
    pairs = replace(scores, inputs=["a", "b"])
    assert few_rows.applies(50, few, labels)
    assert not few_rows.applies(51, few, labels)
    assert not few_rows.applies(50, few, scores)
    assert not few_rows.applies(50, few, pairs)
    assert few_rows.applies(50, replace(few, pairs="bi_encoder"), pairs)
    compared = replace(few, few_rows=FewRows(rows=50, pairs="bi_encoder"))
    assert few_rows.applies(50, compared, pairs)
    crossed = replace(compared, pairs="bi_encoder", few_rows=FewRows(50, pairs="cross_encoder"))
    assert not few_rows.applies(50, crossed, pairs)
    assert not few_rows.applies(51, compared, pairs)
    assert not few_rows.applies(50, compared, scores)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "number", "rate", "steps"),
    [
        ("data=few_gold", 2, 0.2, 60),
        ("data=few_gold", 3, 0.2, 60),
        ("data=few_gold", 9, 0.6, 180),
        ("data=gold", 9, 0.6, 180),
        ("data=synthetic", 9, 0.2, 60),
        ("data=mixed", 9, 0.2, 60),
        ("data=few_gold", 40, 1, 200),
        ("data=few_gold student.few_rows.labels=9", 9, 0.2, 60),
        ("data=few_gold student.few_rows.rate=2", 9, 2, 180),
        ("data=few_gold trainer.min_steps=50", 9, 0.6, 50),
        ("data=few_gold task=jsts", 9, 0.2, 60),
    ],
)
def test_gold_rows_of_many_labels_get_a_higher_rate_and_more_steps(
    composed: Compose, words: str, number: int, rate: float, steps: int
) -> None:
    options = ["task=jcola", "trainer=cpu", *words.split()]
    config = check(composed("train", *options), TrainConfig)
    training = identity.of(config)
    labels = [str(label) for label in range(number)]
    training = replace(training, task=replace(training.task, labels=labels))
    found = few_rows.adapted(training)
    assert found.student.learning_rate == pytest.approx(rate * training.student.learning_rate)
    assert found.trainer.min_steps == steps


def test_a_ridge_regression_finds_scores_far_from_the_origin() -> None:
    torch.manual_seed(0)
    vectors = 50 + 0.1 * torch.randn(60, 4)
    target = (vectors[:, 1] - 50) * 2 + 0.5
    weight, bias = few_rows.ridge(vectors, target)
    found = vectors @ weight[0] + bias
    assert (found - target).abs().max() < 0.1 * (target.max() - target.min())


@pytest.mark.slow
@pytest.mark.parametrize("task", ["jnli", "jsts"])
def test_a_bi_encoder_is_trained_on_few_pairs(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    """Pairs of equal texts belong to one label, and the highest level, others to the others."""
    draw = random.Random(0)
    words, rows = "犬猫鳥馬牛羊象熊", list[dict[str, Any]]()
    labels = {"jnli": ["entailment", "contradiction", "neutral"], "jsts": [5, 0, 3]}[task]
    for number in range(90):
        first = "".join(draw.sample(words, 6))
        second = [first, "空海山川森池", first[:3] + "空海山"][number % 3]
        pair = {"sentence1": first, "sentence2": second, "label": labels[number % 3]}
        rows.append({**pair, "sentence_pair_id": number})
    folder = tmp_path / f"gold/{task}-v1.3"
    write_rows(folder / "train-v1.3.json", rows[:60])
    write_rows(folder / "valid-v1.3.json", rows[60:])
    few = ["student.few_rows.rows=60", "student.few_rows.pairs=bi_encoder"]
    words_of = [f"task={task}", "data=gold", f"gold_dir={tmp_path / 'gold'}", *FAST, *few]
    score = train.run(composed("train", *words_of))
    assert score > 0.85
    (saved,) = Path("students").iterdir()
    readme = (saved / "README.md").read_text(encoding="utf-8")
    assert "import japagen.student.pair" in readme
    code = readme.split("```python\n")[1].split("```")[0].replace("FOLDER", str(saved))
    exec(code, found := dict[str, Any]())
    assert found["predict"].model.config.model_type == "japagen_pair"
    card = json.loads((saved / "japagen.json").read_text(encoding="utf-8"))
    assert card["student"]["pairs"] == "bi_encoder"
    assert Predictor(saved).backend.model.config.model_type == "japagen_pair"  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [("rows", -1), ("rate", 0), ("max_epochs", 0), ("min_steps", -5), ("labels", 0)],
)
def test_impossible_options_are_refused(composed: Compose, key: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"student\.few_rows\.{key} is {value}.*; it must be"):
        check(composed("train", f"student.few_rows.{key}={value}"), TrainConfig)


@pytest.mark.slow
def test_a_training_that_resumes_keeps_the_head_of_its_checkpoint(
    composed: Compose, gold_dir: Path, tmp_path: Path
) -> None:
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST, "trainer.save_steps=1"]
    config = check(composed("train", *words), TrainConfig)
    training = identity.of(config)
    loaded, heads = pretrained.load(config.student, config.task), []
    seen = tokens.Tokens(loaded.tokenizer, config.student, None)
    table = data.DataModule(split.read(training), training, seen)
    for checkpoint in (None, tmp_path / RESUME):
        module = Module(loaded.fresh(), training, None, lambda values, step: None)
        trainer = make_trainer(config.trainer, table.steps(), tmp_path, few=True)
        trainer.fit(module, datamodule=table, ckpt_path=checkpoint)
        heads.append(last_layer(module.model).weight.detach().clone())
    assert torch.equal(heads[0], heads[1])
