from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student import pretrained, tiny, trim
from japagen.student.tokens import Tokens

JAPANESE = [
    f"{who}が{where}{what}。"
    for who, where, what in itertools.product(
        ["犬", "黒い猫", "子供たち", "Tom"],
        ["公園を", "駅前で3回", "海岸の"],
        ["走る", "見ている", "待っていた"],
    )
]
FOREIGN = [
    "Собака бежит по парку и лает",
    "고양이가 공원을 걷고 있다",
    "สุนัขวิ่งอยู่ในสวน",
    "το σκυλί τρέχει",
]
TASK = Task(name="t", inputs=["sentence"], labels=["a", "b"])


def unigram() -> Any:
    """A tokenizer like XLM-R's: special tokens first, <mask> last, half of it not Japanese."""
    teacher = Tokenizer(models.Unigram())
    teacher.pre_tokenizer = pre_tokenizers.Metaspace()
    teacher.train_from_iterator(
        JAPANESE + FOREIGN * 5, trainers.UnigramTrainer(vocab_size=160, show_progress=False)
    )
    learned = sorted(teacher.get_vocab(), key=teacher.token_to_id)
    pieces = [
        *((word, 0.0) for word in ("<s>", "<pad>", "</s>", "<unk>")),
        *((piece, -2.0 - n / 20) for n, piece in enumerate(learned)),
    ]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("<mask>", 0.0)], unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    roles = {
        "bos": "<s>",
        "cls": "<s>",
        "eos": "</s>",
        "sep": "</s>",
        "unk": "<unk>",
        "pad": "<pad>",
        "mask": "<mask>",
    }
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        model_max_length=32,
        **{f"{role}_token": token for role, token in roles.items()},
    )


def model(size: int) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    return XLMRobertaForSequenceClassification(
        XLMRobertaConfig(vocab_size=size, max_position_embeddings=40, pad_token_id=1, **sizes)
    ).eval()


def saved(folder: Path) -> Any:
    tokenizer = unigram()
    tokenizer.save_pretrained(folder)
    model(len(tokenizer)).save_pretrained(folder)
    return tokenizer


def test_japanese_text_gets_the_same_tokens_and_the_same_answer(tmp_path: Path) -> None:
    full = saved(tmp_path / "full")
    options = {"name": "x", "pretrained": str(tmp_path / "full"), "max_length": 32}
    torch.manual_seed(1)
    large, before, _ = pretrained.load(Student(**options), TASK)
    torch.manual_seed(1)
    small, after, _ = pretrained.load(Student(**options, trim=True), TASK)
    assert 20 < len(after) < 0.8 * len(before) == 0.8 * len(full)
    for texts in [(text,) for text in JAPANESE] + [("犬が走る。", "Tomが🙂待っていた!")]:
        one, two = before(*texts, return_tensors="pt"), after(*texts, return_tensors="pt")
        assert before.convert_ids_to_tokens(one["input_ids"][0]) == after.convert_ids_to_tokens(
            two["input_ids"][0]
        )
        assert torch.allclose(large.eval()(**one).logits, small.eval()(**two).logits, atol=1e-6)
    assert after.mask_token_id == len(after) - 1
    assert small.config.vocab_size == small.get_input_embeddings().weight.shape[0] == len(after)
    assert "<unk>" in after.convert_ids_to_tokens(after("고양이")["input_ids"])


def test_a_trimmed_student_is_saved_and_opened_as_it_is(tmp_path: Path) -> None:
    saved(tmp_path / "full")
    small, tokenizer, _ = pretrained.load(
        Student(name="x", pretrained=str(tmp_path / "full"), max_length=32, trim=True), TASK
    )
    small.save_pretrained(tmp_path / "small")
    tokenizer.save_pretrained(tmp_path / "small")
    opened, words = (
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "small"),
        AutoTokenizer.from_pretrained(tmp_path / "small"),
    )
    batch = tokenizer(JAPANESE[:3], padding=True, return_tensors="pt")
    again = words(JAPANESE[:3], padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], again["input_ids"])
    assert torch.allclose(small.eval()(**batch).logits, opened.eval()(**again).logits, atol=1e-6)


def test_numbers_of_special_tokens_move_wherever_they_stand() -> None:
    processor = {"type": "RobertaProcessing", "sep": ["</s>", 4], "cls": ["<s>", 0]}
    described = {
        "model": {
            "type": "Unigram",
            "unk_id": 1,
            "vocab": [
                ["<s>", 0.0],
                ["<unk>", 0.0],
                ["犬", -1.0],
                ["по", -2.0],
                ["</s>", 0.0],
                ["го", -3.0],
            ],
        },
        "added_tokens": [{"id": 0}, {"id": 1}, {"id": 4}, {"id": 6}],
        "post_processor": {"type": "Sequence", "processors": [processor]},
    }
    rows = trim.kept(described)
    assert rows == [0, 1, 2, 4, 5, 6]
    trim.renumber(described, rows)
    assert [token["id"] for token in described["added_tokens"]] == [0, 1, 3, 5]
    assert [piece for piece, _ in described["model"]["vocab"]] == [
        "<s>",
        "<unk>",
        "犬",
        "</s>",
        "го",
    ]
    assert processor["sep"] == ["</s>", 3]


def test_other_tokenizers_are_refused() -> None:
    with pytest.raises(
        UserError,
        match=r"student.trim=true works with tokenizers of the kind Unigram; this one is WordLevel",
    ):
        trim.description(tiny.characters(16))


def test_the_vocabulary_of_a_corpus_reads_its_texts_as_before(tmp_path: Path) -> None:
    saved(tmp_path / "full")
    student = Student(name="x", pretrained=str(tmp_path / "full"), max_length=32)
    torch.manual_seed(1)
    loaded = pretrained.load(student, TASK)
    before = Tokens(loaded.tokenizer, student, None)
    rows = [Example(str(n), (text,), "a") for n, text in enumerate(JAPANESE[:3])]
    small, after = pretrained.for_corpus(loaded, before, rows)
    assert len(small.tokenizer) < len(loaded.tokenizer)
    assert small.model.get_input_embeddings().weight.shape[0] == len(small.tokenizer)
    for row in rows:
        one, two = (
            words(*row.texts, return_tensors="pt") for words in (before.tokenizer, after.tokenizer)
        )
        names = [
            tokenizer.convert_ids_to_tokens(found["input_ids"][0])
            for tokenizer, found in ((before.tokenizer, one), (after.tokenizer, two))
        ]
        assert names[0] == names[1]
        with torch.no_grad():
            logits = [loaded.model.eval()(**one).logits, small.model.eval()(**two).logits]
        assert torch.allclose(*logits, atol=1e-6)
    # A text of other words falls back to characters, not to unknown tokens.
    other = after.tokenizer("子供たちが海岸の犬")["input_ids"]
    assert after.tokenizer.unk_token_id not in other
    assert len(other) > len(before.tokenizer("子供たちが海岸の犬")["input_ids"])
    # Other seeds of a job train the same loaded model: it stays whole.
    assert loaded.model.get_input_embeddings().weight.shape[0] == len(loaded.tokenizer)
