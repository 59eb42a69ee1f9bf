"""Every architecture of conf/student and every loss train, with tiny random models, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers
import yaml

from japagen.command import train
from japagen.config import component
from japagen.config.schema import CONF
from japagen.dataset import identity
from japagen.gold.example import Example
from japagen.student import tiny
from japagen.training.sources import synthetic
from tests.conftest import Compose
from tests.toys import write_rows

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 80,
}
MODERN = {key: value for key, value in SMALL.items() if key != "max_position_embeddings"} | {
    "max_position_embeddings": 128
}
RELATIVE = {
    "relative_attention": True,
    "position_buckets": 16,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
# Architecture -> (its config, what it needs, the hub models of conf/student that have it).
KINDS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "bert": (
        "BertConfig",
        SMALL,
        ["tohoku-nlp/bert-base-japanese-v3", "intfloat/multilingual-e5-small"],
    ),
    "modernbert": (
        "ModernBertConfig",
        MODERN,
        [f"sbintuitions/modernbert-ja-{size}" for size in ("30m", "70m", "130m", "310m")],
    ),
    "deberta_v2": (
        "DebertaV2Config",
        SMALL | RELATIVE | {"type_vocab_size": 0},
        ["ku-nlp/deberta-v3-base-japanese", "globis-university/deberta-v3-japanese-base"],
    ),
    "xlm_roberta": (
        "XLMRobertaConfig",
        SMALL | {"type_vocab_size": 1},
        ["intfloat/multilingual-e5-base"],
    ),
}


@pytest.fixture
def gold_dir(tmp_path: Path) -> Path:
    """A few made-up pairs for JNLI and JSTS."""
    labels = ["entailment", "contradiction", "neutral"]
    for part, number in (("train", 45), ("valid", 9)):
        pairs = [
            {
                "sentence1": f"{part}の犬が{n}匹走る。",
                "sentence2": f"{part}で{n % 7}匹。",
                "sentence_pair_id": n,
            }
            for n in range(number)
        ]
        write_rows(
            tmp_path / f"gold/jnli-v1.3/{part}-v1.3.json",
            [pair | {"label": labels[n % 3]} for n, pair in enumerate(pairs)],
        )
        write_rows(
            tmp_path / f"gold/jsts-v1.3/{part}-v1.3.json",
            [pair | {"label": n % 6} for n, pair in enumerate(pairs)],
        )
    return tmp_path / "gold"


def made(kind: str, folder: Path) -> str:
    """A folder with a tiny random encoder of the architecture and a tokenizer of characters."""
    name, options, _ = KINDS[kind]
    tokenizer: Any = tiny.characters(64)
    if kind not in ("bert",):
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    roles = {
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    }
    config = getattr(transformers, name)(vocab_size=len(tokenizer), **options, **roles)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["jnli", "jsts"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_trains_and_opens_again(
    composed: Compose, gold_dir: Path, tmp_path: Path, kind: str, task: str
) -> None:
    folder = made(kind, tmp_path / "model")
    words = [
        f"task={task}",
        "data=gold",
        f"gold_dir={gold_dir}",
        "student=hub",
        "student.max_length=64",
        "trainer=debug",
    ]
    train.run(composed("train", *words, f"student.pretrained={folder}"))
    (saved,) = Path("students").iterdir()
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(saved)
    assert opened.config.model_type == transformers.AutoConfig.from_pretrained(folder).model_type
    assert opened.config.num_labels == (1 if task == "jsts" else 3)


LOSSES = component.all_of(CONF / "loss")


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains(
    composed: Compose, gold_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    labels = ["entailment", "neutral", "contradiction"]
    rows = [
        Example(f"{labels[n % 3]}-{n}", (f"猫が{n}匹いる。", f"{n}匹だ。"), labels[n % 3])
        for n in range(60)
    ]
    monkeypatch.setattr(synthetic, "read", lambda origin: rows)
    task = (
        ["task=jnli", "data=mixed"]
        if LOSSES[name].kind != "regression"
        else ["task=jsts", "data=gold"]
    )
    cfg = composed(
        "train", *task, f"loss={name}", "student=tiny", "trainer=debug", f"gold_dir={gold_dir}"
    )
    if name == "soft":
        config = train.check(cfg, train.TrainConfig)
        shares = [
            [0.8 if label == row.label else 0.1 for label in config.task.labels] for row in rows
        ]
        write_rows(
            identity.of(config).folder / "soft.jsonl",
            [{"id": row.id, "probabilities": part} for row, part in zip(rows, shares, strict=True)],
        )
    train.run(cfg)
    (saved,) = Path("students").iterdir()
    assert (saved / "predictions.jsonl").exists()


def test_every_hub_model_is_of_an_architecture_that_is_tried() -> None:
    named = [
        yaml.safe_load(path.read_text(encoding="utf-8"))["pretrained"]
        for path in (CONF / "student").glob("*.yaml")
    ]
    known = {model for _, _, models in KINDS.values() for model in models}
    assert {model for model in named if "/" in model} == known
