"""`japagen serve`: its options and its messages at the start."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from japagen.config.error import UserError
from japagen.service import __main__ as command
from japagen.service import address, key
from japagen.student.predictor import Predictor
from tests.commands import ROOT
from tests.service.asgi import ONE
from tests.student.test_labeller import saved

KEY = "s3cret-s3cret"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own key does not reach the tests."""
    monkeypatch.delenv(key.VARIABLE, raising=False)


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The message of a command that cannot start."""
    capsys.readouterr()  # what saving a student for the test printed
    assert command.main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("serve: ")
    return captured.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0"])
def test_other_machines_are_refused_without_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    message = failure(capsys, str(tmp_path), "--host", host, "--port", "0")
    assert "export JAPAGEN_API_KEY=" in message
    assert "--no-key" in message


def test_an_empty_key_is_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key.VARIABLE, " \n")
    assert "there is no API key" in failure(capsys, str(tmp_path), "--host", "0.0.0.0")


@pytest.mark.parametrize("words", [["--no-key"], []])
def test_with_a_key_or_no_key_other_machines_are_allowed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    if not words:
        monkeypatch.setenv(key.VARIABLE, KEY)
    message = failure(capsys, str(tmp_path), "--host", "0.0.0.0", "--port", "0", *words)
    assert "is no folder that train.py saved" in message  # the host was accepted
    assert KEY not in message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "127.1"])
def test_loopback_addresses_need_no_key(host: str) -> None:
    with closing(address.bound(host, 0, guarded=False)) as made:
        assert address.url(made).rpartition(":")[2] == str(made.getsockname()[1])


@pytest.mark.parametrize(
    ("bound", "shown"),
    [(("0.0.0.0", 80), "http://127.0.0.1:80"), (("::1", 81, 0, 0), "http://[::1]:81")],
)
def test_the_url_is_one_that_this_machine_reaches(bound: Any, shown: str) -> None:
    class Made:
        def getsockname(self) -> Any:
            return bound

    assert address.url(Made()) == shown  # type: ignore[arg-type]


def test_a_port_in_use_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        message = failure(capsys, str(tmp_path), "--port", str(port))
    assert message.startswith(f"serve: port {port} of 127.0.0.1 is in use. Stop that process, or")


def test_a_port_that_was_taken_while_the_student_opened_is_one_message() -> None:
    with closing(address.bound("127.0.0.1", 0, guarded=False)) as made:
        port = made.getsockname()[1]
        with closing(address.bound("127.0.0.1", port, guarded=False)) as other:
            other.listen()
            with pytest.raises(UserError, match=f"port {port} of 127.0.0.1 is in use"):
                address.listen(made)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 70, "x..y"])
def test_a_wrong_host_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert "Type --host 127.0.0.1" in failure(capsys, str(tmp_path), "--host", host, "--no-key")


def test_a_wrong_folder_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(capsys, str(tmp_path / "none"), "--port", "0")
    assert message.startswith(f"serve: FOLDER={tmp_path / 'none'} is no folder that train.py saved")


def test_a_wrong_backend_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(saved(tmp_path / "s", ONE))
    message = failure(capsys, folder, "--port", "0", "--backend", "onxx")
    assert "backend is 'onxx'; allowed: auto, torch" in message
    assert "did you mean 'onnx'?" in message
    assert "onnx/model.onnx" in failure(capsys, folder, "--port", "0", "--backend", "onnx")


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_a_missing_package_is_one_message(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    message = failure(capsys, str(tmp_path))
    assert f'serve needs the package {package}, which is not installed: pip install "ja' in message


def test_a_student_that_fails_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(Predictor, "logits", fail)
    message = failure(capsys, str(saved(tmp_path / "s", ONE)), "--port", "0")
    assert "this student fails: RuntimeError: no kernel" in message


def test_the_opened_student_is_the_one_in_the_folder(tmp_path: Path) -> None:
    folder = saved(tmp_path / "name", ONE)
    texts = [["犬"], ["とても長い文がここにある。"], ["海と山"]]
    served = command.opened(command.parser().parse_args([str(folder), "--batch-size", "1"]))
    assert (served.student, served.backend, served.task.labels) == ("name", "torch", ONE.labels)
    expected = Predictor(folder, "torch").predict(texts, 1)
    assert served.predict(texts) == expected
    assert expected[0] != expected[2]  # another order would be noticed


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "65536"],
        ["--port", "-1"],
        ["--batch-size", "0"],
        ["--wait-ms", "nan"],
        ["--wait-ms", "-1"],
        ["--threads", "two"],
        ["--max-chars", "1.5"],
    ],
)
def test_a_wrong_number_is_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["folder", *words])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert f"argument {words[0]}: '{words[1]}'; allowed: a" in error


def test_the_command_and_its_options_are_found_without_heavy_imports() -> None:
    code = (
        "import sys; from japagen.cli import main\n"
        "sys.argv = ['japagen', 'serve', '--help']\n"
        "try: main()\n"
        "finally: print('HEAVY', {'torch', 'transformers', 'fastapi', 'uvicorn'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "--max-waiting" in done.stdout
    assert "HEAVY set()" in done.stdout
