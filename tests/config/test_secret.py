"""Secrets are hidden by their value and by their look; ordinary text stays."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from japagen.config.secret import hidden, remember, remember_all, without_secrets

KEY = 'hush/hush+"Zaubertrank"=42 鍵'


pytestmark = pytest.mark.usefixtures("forgotten")


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        f"refused: {KEY}.",
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        html.escape(KEY),
        json.dumps({"a": KEY}),
        repr([KEY]),
        *(f"x {basic('u' * number, KEY)} y" for number in range(4)),
        base64.urlsafe_b64encode(f"ab:{KEY}".encode()).decode(),
        f"a body cut off inside the key: {KEY[:12]}",
    ],
)
def test_a_remembered_value_is_hidden_however_it_is_written(written: str) -> None:
    remember(KEY)
    shown = hidden(written)
    assert "***" in shown
    for part in ("Zauber", basic("", KEY)[8:20], quote(KEY)[9:20]):
        assert part not in shown


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic aHVzaDpodXNoaHVzaA==",
        '{"authorization": "Bearer hush"}',
        "{'Proxy-Authorization': 'Digest hush'}",
        "http://hush@host/v1",
        "postgresql://me:hush@host/db",
        "http://me:hush@hush@host/",
        "https://h/v1?sig=hush&n=1",
        "https://h/v1?n=1&key=hush",
        "https://h/v1?access_token=hush",
        "https://h/?X-Amz-Signature=hush",
        "AZURE_STORAGE_KEY=hush",
        "AccountKey=hush;EndpointSuffix=core",
        "Ocp-Apim-Subscription-Key: hush",
        "x-api-key: hush",
        "Set-Cookie: session=hush; Path=/",
        "the key sk-hushhushhushhush was refused",
        "hf_hushhushhushhushhush",
        "ghp_hushhushhushhush",
        "eyJhdXNoaHVzaA.eyJhushhushhush.hushhush",
        "refused Bearer hushhushhush",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    for shown in (hidden(text), hidden("犬が走る。\n" * 20_000 + text)):
        assert "***" in shown
        assert "hush" not in shown
        assert "aHVzaDp" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=7, tokenizer: mecab, author: me",
        "http://host:8000/v1?n=1&model=a",
        "犬が公園を走る。 token は多い。",
        "sqlite:///mlflow.db",
        "me@example.org wrote to https://example.org/a@b",
        "task-specific sk-learn",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert hidden(text) == text


def test_a_configuration_and_the_environment_say_what_is_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAM_LLM", "value-of-the-named-variable")
    monkeypatch.setenv("OTHER_API_KEY", "value-of-another-variable")
    config = {
        "llm": {
            "api_key_env": "TEAM_LLM",
            "base_url": "http://address-token@host/v1?sig=query%2Ftoken",
            "engine": {
                "headers": {"Authorization": f"Basic {basic('me', 'basic-password')}"},
                "servers": [{"token": ["listed-token"]}],
                "max_tokens": 123456789,
            },
        },
        "mlflow_uri": "http://me:uri-password@host",
    }
    remember_all(config)
    for value in (
        "value-of-the-named-variable",
        "value-of-another-variable",
        "address-token",
        "query/token",
        "query%2Ftoken",
        "basic-password",
        "listed-token",
        "uri-password",
    ):
        assert hidden(f"<{value}>") == "<***>"
    assert hidden("123456789 TEAM_LLM") == "123456789 TEAM_LLM"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("WANDB_API_KEY", "/begins/like/a/path+5", "/begins/like/a/path+5"),
        ("TEAM_APIKEY", "value-of-it", "value-of-it"),
        ("DEPLOY_TOKEN_2", "value-of-it", "value-of-it"),
        ("DB_PASS", "eight888", "eight888"),
        ("HTTPS_PROXY", "http://me:pass%2Bword@proxy:3128", "pass+word"),
        ("MLFLOW_TRACKING_URI", "https://h/?sig=value%2Fof", "value/of"),
        ("AZURE_STORAGE", "AccountName=a;AccountKey=abc123456==;Suffix=core", "abc123456=="),
    ],
)
def test_secrets_of_the_environment(
    name: str, value: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    remember_all({})
    assert hidden(f"<{secret}>") == "<***>"


@pytest.mark.parametrize(
    ("name", "value"),
    [("SSH_KEY", "/etc/hosts"), ("GIT_REMOTE", "ssh://git@host/x"), ("MONKEYS", "chimpanzees")],
)
def test_paths_and_users_of_the_environment_are_no_secrets(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    remember_all({})
    assert hidden("/etc/hosts of git, chimpanzees") == "/etc/hosts of git, chimpanzees"


def test_a_key_given_as_the_name_of_its_variable_is_hidden() -> None:
    remember_all({"llm": {"api_key_env": "abcdef0123456789"}})
    assert hidden("no variable abcdef0123456789") == "no variable ***"


@pytest.mark.parametrize("value", ["", "none", "EMPTY", None])
def test_short_values_are_words_and_stay(value: str | None) -> None:
    remember(value)
    assert hidden("none is EMPTY, None") == "none is EMPTY, None"


def test_a_configuration_is_given_without_its_secrets() -> None:
    remember("known-secret")
    given = {
        "token": "x",
        "a": {"api_key": "y", "url": "http://u:v@h", "n": 1},
        "b": ["known-secret"],
    }
    assert without_secrets(given) == {"a": {"url": "http://u:***@h", "n": 1}, "b": ["***"]}
