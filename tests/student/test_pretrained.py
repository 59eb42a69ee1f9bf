from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from transformers import (
    AutoModelForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import Student, TrainConfig
from japagen.config.task import Task
from japagen.student import head, pretrained, tiny

Compose = Callable[..., DictConfig]


def config(composed: Compose, *overrides: str) -> TrainConfig:
    return check(composed("train", "student=tiny", *overrides), TrainConfig)


def test_the_tiny_tokenizer_knows_japanese_and_ascii_characters() -> None:
    tokenizer = tiny.characters(16)
    assert len(tokenizer) > 6800
    ids = tokenizer("漢字かなカナ、ABC１２")["input_ids"]
    assert ids[0] == 2
    assert ids[-1] == 3
    assert 1 not in ids
    assert len(ids) == 14
    assert tokenizer("😀")["input_ids"] == [2, 1, 3]


@pytest.mark.slow
def test_the_head_follows_the_task(composed: Compose) -> None:
    news = config(composed, "task=news")
    model, *_ = pretrained.load(news.student, news.task)
    assert model.config.id2label == dict(enumerate(news.task.labels))
    assert head.last_layer(model).out_features == 9
    jsts = config(composed, "task=jsts")
    model, *_ = pretrained.load(jsts.student, jsts.task)
    assert model.config.problem_type == "regression"
    assert head.last_layer(model).out_features == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tiny_student(composed: Compose) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        task = config(composed, "task=jcola")
        weights.append(head.last_layer(pretrained.load(task.student, task.task)[0]).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.slow
def test_dropout_is_the_models_own_unless_given(composed: Compose) -> None:
    model, *_ = pretrained.load(
        config(composed, "task=jcola").student, config(composed, "task=jcola").task
    )
    assert model.config.hidden_dropout_prob == 0.1
    without = config(composed, "task=jcola", "student.dropout=0.0")
    assert pretrained.load(without.student, without.task)[0].config.hidden_dropout_prob == 0.0


TASK = Task(name="t", inputs=["sentence"], labels=["a", "b"])


def test_an_unknown_random_student_is_an_error() -> None:
    with pytest.raises(UserError, match="the only random student is random:tiny"):
        pretrained.load(Student(name="x", pretrained="random:huge"), TASK)


def test_a_folder_that_is_no_model_says_what_works(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"student=x: cannot load '/[\s\S]*student=e5_small_ja needs no hub"
    ):
        pretrained.load(Student(name="x", pretrained=str(tmp_path)), TASK)


def test_a_hub_that_does_not_answer_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "offline", lambda model: True)
    with pytest.raises(
        UserError, match="cannot load 'nobody/nothing', no folder here, from the Hugging Face hub"
    ):
        pretrained.load(Student(name="x", pretrained="nobody/nothing"), TASK)


def test_a_missing_mecab_is_named() -> None:
    text = pretrained.cannot_load(
        Student(name="x", pretrained="tohoku-nlp/x"),
        ImportError("You need to install fugashi to use it"),
    )
    assert 'pip install -e ".[mecab]"' in text


def test_max_length_beyond_the_models_positions_is_an_error(tmp_path: Path) -> None:
    model, tokenizer, _ = pretrained.load(
        Student(name="x", pretrained="random:tiny", max_length=32), TASK
    )
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"student.max_length is 64; .* takes 32 tokens at most"):
        pretrained.load(Student(name="x", pretrained=str(tmp_path), max_length=64), TASK)


@pytest.mark.slow
def test_the_embedded_student_gets_a_head() -> None:
    model, tokenizer, _ = pretrained.load(
        Student(name="e5_small_ja", pretrained="embedded:e5_small_ja"), TASK
    )
    assert model.dtype == torch.float32
    assert tokenizer.model_max_length == 128
    assert model(**tokenizer("犬が公園を走っている。", return_tensors="pt")).logits.shape == (1, 2)


def test_mean_pooling_of_a_bert_opens_with_transformers(tmp_path: Path) -> None:
    model, tokenizer, _ = pretrained.load(
        Student(name="x", pretrained="random:tiny", max_length=32), TASK
    )
    model.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    pooled = pretrained.load(
        Student(name="x", pretrained=str(tmp_path / "plain"), max_length=32, pooling="mean"), TASK
    ).model.eval()
    pooled.save_pretrained(tmp_path / "pooled")
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "pooled").eval()
    batch = tokenizer(["犬がいる。", "猫と犬が公園にいる。"], padding=True, return_tensors="pt")
    with torch.no_grad():
        states = pooled.bert(**batch, output_hidden_states=True).hidden_states
        assert torch.allclose(opened(**batch).logits, pooled(**batch).logits, atol=1e-6)
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = (states[-2] * mask).sum(1) / mask.sum(1)
    wanted = torch.nn.functional.layer_norm(states[-2][:, 0] + head.MEAN * mean, (64,))
    assert torch.allclose(states[-1][:, 0], wanted, atol=1e-2)
    copies = []
    for seed in (1, 2, 1):  # each in what would be another process
        loaded = pretrained.load(
            Student(name="x", pretrained=str(tmp_path / "plain"), max_length=32, pooling="mean"),
            TASK,
        )
        torch.manual_seed(seed)
        copies.append(loaded.fresh().state_dict())
    assert all(torch.equal(copies[0][name], copies[2][name]) for name in copies[0])
    random = "bert.encoder.layer.2.intermediate.dense.weight"
    assert not torch.equal(copies[0][random], copies[1][random])
    assert torch.equal(copies[0]["bert.encoder.layer.2.output.dense.weight"], torch.zeros(64, 128))


def test_a_head_that_pools_in_one_way_says_so(tmp_path: Path) -> None:
    config = RobertaConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="head of roberta models pools in one way only"):
        pretrained.load(Student(name="x", pretrained=str(tmp_path), pooling="mean"), TASK)


def test_a_fresh_copy_differs_with_the_seed_where_no_file_had_values() -> None:
    loaded = pretrained.load(Student(name="tiny", pretrained="random:tiny"), TASK)
    copies = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        copies.append(
            loaded._replace(new=frozenset({"classifier.weight", "classifier.bias"}))
            .fresh()
            .state_dict()
        )
    assert torch.equal(copies[0]["classifier.weight"], copies[1]["classifier.weight"])
    assert not torch.equal(copies[0]["classifier.weight"], copies[2]["classifier.weight"])
    word = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(copies[0][word], copies[2][word])
    assert torch.equal(copies[0][word], loaded.model.state_dict()[word])


def on_disk(folder: Path) -> Path:
    """A small BERT with its tokenizer, as transformers saves them."""
    model, tokenizer, _ = pretrained.load(
        Student(name="x", pretrained="random:tiny", max_length=32), TASK
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def open_again(folder: Path) -> pretrained.Pretrained:
    return pretrained.load(Student(name="x", pretrained=str(folder), max_length=32), TASK)


def test_a_folder_without_tokenizer_files_is_refused(tmp_path: Path) -> None:
    folder = on_disk(tmp_path / "model")
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(UserError, match=r"(has no vocabulary|cannot load)[\s\S]*oken"):
        open_again(folder)


def test_a_tokenizer_of_special_tokens_alone_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]"))
    roles = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, **roles)
    with pytest.raises(UserError, match="has no vocabulary"):
        pretrained.check_vocabulary(tokenizer, Student(name="x", pretrained="folder"))


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"\0" * 99]
)
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_file_is_one_message(tmp_path: Path, name: str, content: bytes) -> None:
    folder = on_disk(tmp_path / "model")
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match="student=x: cannot load"):
        open_again(folder)


def test_weights_cut_off_are_one_message(tmp_path: Path) -> None:
    path = on_disk(tmp_path / "model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="A file may be damaged, or a Git LFS pointer"):
        open_again(path.parent)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = on_disk(tmp_path / "model")
    save_file({"other.weight": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"has 0 of \d+ parameters of the bert enc"):
        open_again(folder)


@pytest.mark.parametrize(
    ("lost", "config", "message"),
    [
        (r"word_embeddings", {}, "word_embeddings.weight is absent"),
        (r"layer\.1\.", {}, "layer.1.* is absent"),
        (r"$^", {"vocab_size": 7}, "word_embeddings.weight is absent or of another shape"),
        (r"$^", {"num_hidden_layers": -1}, "more layers than config.json describes"),
        (r"$^", {"num_hidden_layers": 1}, "more layers than config.json describes"),
    ],
)
def test_an_encoder_that_is_partly_random_is_refused(
    lost: str, config: dict[str, int], message: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = on_disk(tmp_path / "model")
    path, about = folder / "model.safetensors", folder / "config.json"
    kept = {key: one for key, one in load_file(path).items() if not re.search(lost, key)}
    save_file(kept, path, {"format": "pt"})
    about.write_text(json.dumps(json.loads(about.read_text()) | config))
    with pytest.raises(UserError, match=message):
        open_again(folder)


def test_parameters_of_layers_that_the_model_has_may_be_left_over(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = on_disk(tmp_path / "model") / "model.safetensors"
    more = {"bert.encoder.layer.0.attention.self.e2e_query.bias": torch.zeros(2)}
    save_file(load_file(path) | more, path, {"format": "pt"})
    assert not any("layer.0" in name for name in open_again(path.parent).new)


def test_an_encoder_without_a_pooler_is_opened(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = on_disk(tmp_path / "model") / "model.safetensors"
    save_file(
        {key: one for key, one in load_file(path).items() if "pooler" not in key},
        path,
        {"format": "pt"},
    )
    assert any("pooler" in name for name in open_again(path.parent).new)


def test_pickled_objects_in_weights_are_not_loaded(tmp_path: Path) -> None:
    folder, mark = on_disk(tmp_path / "model"), tmp_path / "executed"

    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (mark,)

    (folder / "model.safetensors").unlink()
    torch.save({"bert.pooler.dense.bias": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot load"):
        open_again(folder)
    assert not mark.exists()


def test_code_in_a_models_folder_is_not_run(tmp_path: Path) -> None:
    folder, mark = on_disk(tmp_path / "model"), tmp_path / "executed"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "foreign", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "code.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: pass\n")
    with pytest.raises(UserError, match="cannot load"):
        open_again(folder)
    assert not mark.exists()


@pytest.mark.parametrize("padding", [0, 1, 5])
def test_roberta_takes_fewer_tokens_than_it_has_positions(padding: int) -> None:
    config = RobertaConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=40,
        pad_token_id=padding,
    )
    model = RobertaForSequenceClassification(config)
    limit = 40 - padding - 1
    assert pretrained.positions(model) == limit
    model(input_ids=torch.full((1, limit), 7))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, limit + 1), 7))
    student = Student(name="x", pretrained="folder", max_length=limit + 1)
    with pytest.raises(UserError, match=f"takes {limit} tokens at most"):
        pretrained.check_positions(model, student)
