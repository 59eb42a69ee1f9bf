"""Uploads to the hub are checked before any work."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError

from japagen.config.error import UserError
from japagen.job import hub


def refused(status: int) -> Any:
    def whoami(*_given: object, **_named: object) -> None:
        response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
        raise HfHubHTTPError("refused", response=response)

    return whoami


def test_without_an_upload_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: asked.append("token"))
    monkeypatch.setattr(huggingface_hub.HfApi, "whoami", lambda _self: asked.append("whoami"))
    hub.check(None)
    hub.check("")
    assert asked == []


def test_a_missing_token_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="push_to_hub=me/x: there is no token") as error:
        hub.check("me/x")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a/b/c", "me/x y", "../x"])
def test_a_name_that_the_hub_cannot_have(name: str) -> None:
    with pytest.raises(UserError, match="allowed: USER/NAME"):
        hub.check(name)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "t")
    monkeypatch.setattr(huggingface_hub.HfApi, "whoami", refused(status))
    with pytest.raises(UserError, match="refuses the token"):
        hub.check("me/x")


def test_a_hub_that_does_not_answer_may_answer_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def offline(_self: object) -> None:
        raise RuntimeError("no network")  # the HTTP libraries' errors have no common class

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "t")
    for whoami in (offline, refused(500)):
        caplog.clear()
        monkeypatch.setattr(huggingface_hub.HfApi, "whoami", whoami)
        hub.check("me/x")
        assert "push_to_hub=me/x: the hub does not answer yet" in caplog.text


def test_a_sweep_would_overwrite_its_own_upload(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("japagen.job.sweep.state_folder", lambda: tmp_path)
    with pytest.raises(UserError, match="without -m"):
        hub.check("me/x")


def test_a_failed_upload_says_how_to_repeat_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_given: object, **_named: object) -> None:
        raise RuntimeError("connection refused")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", unreachable)
    with pytest.raises(UserError, match=r"hf upload me/x .* --repo-type model") as error:
        hub.push(tmp_path / "my student", "me/x", "model", [])
    assert "\n" not in str(error.value)
    assert "login" not in str(error.value)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refused(403))
    with pytest.raises(UserError, match=r"hf auth login.*, then type: hf upload"):
        hub.push(tmp_path / "my student", "me/x", "model", [])


def test_only_the_named_files_are_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda *_a, **_k: None)
    monkeypatch.setattr(
        huggingface_hub.HfApi, "upload_folder", lambda _self, **given: sent.update(given)
    )
    hub.push(tmp_path, "me/x", "model", ["README.md", "config.json"])
    assert sent["allow_patterns"] == ["README.md", "config.json"]
    assert (sent["repo_id"], sent["repo_type"]) == ("me/x", "model")
