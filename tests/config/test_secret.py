"""Secrets are hidden by their value and by their look; ordinary text stays."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from japagen.config.secret import (
    hidden,
    hidden_keys,
    hidden_values,
    remember,
    remember_all,
    without_secrets,
)

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


LONG_KEY = "sk-Team7_0a1B2c3D4e5F6g7H8i9JkLmN"
HALF = len(LONG_KEY) // 2
GAPS = "\u200b\n\0\u00ad\u2060\u3164 "


@pytest.mark.parametrize(
    "written",
    [
        *(
            LONG_KEY[:HALF] + between + LONG_KEY[HALF:]
            for between in "\u200b\n\0\u00ad\u2060\u3164 "
        ),
        " ".join(LONG_KEY),
        "-".join(LONG_KEY),
        f"bad key …{LONG_KEY[8:]}",
        f"{LONG_KEY[:12]}**** and ****{LONG_KEY[-9:]}",
        LONG_KEY[5:-5],
        LONG_KEY.upper(),
        LONG_KEY.lower(),
        LONG_KEY[::-1],
        "".join(chr(ord(letter) + 0xFEE0) for letter in LONG_KEY),
        "".join(f"%{ord(letter):02X}" for letter in LONG_KEY),
        "".join(f"%25{ord(letter):02x}" for letter in LONG_KEY[9:]),
        "".join(f"\\u{ord(letter):04x}" for letter in LONG_KEY),
        "".join(f"\\\\x{ord(letter):02x}" for letter in LONG_KEY),
        "".join(f"&#{ord(letter)};" for letter in LONG_KEY),
        "".join(f"&amp;#x{ord(letter):x};" for letter in LONG_KEY),
        json.dumps(LONG_KEY[:HALF] + "\n" + LONG_KEY[HALF:]),
        LONG_KEY.encode().hex(),
        LONG_KEY.encode().hex(" ").upper(),
        *(base64.b32encode(b"u" * number + LONG_KEY.encode()).decode() for number in range(5)),
        base64.encodebytes(b"user " * 9 + LONG_KEY.encode()).decode(),
    ],
)
def test_parts_of_a_key_are_hidden_in_any_disguise(written: str) -> None:
    remember(LONG_KEY)
    for shown in (hidden(f"犬 {written} 猫"), hidden(f"{'犬が走る。' * 30_000} {written} 猫")):
        assert "***" in shown
        assert shown.endswith(" 猫")
        # What is left of a key or of its code is too short to help.
        assert len(re.sub(r"[犬が走る。猫*]|and|bad key|user", "", shown).strip()) < 64
        assert not re.search(r"[0-9A-Za-z]{8}", re.sub(r"dXNlc[A-Za-z0-9\s]*|OVZWK\w*", "", shown))


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("my-development-key-of-2024", "development of the key, in my config of 2024"),
        ("release-20241021-x7Kq", "20241021 is a date"),
        ("sk-1234567890abc", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 31, 32, 33, 34, 35, 36"),
        ("correct horse battery", "a horse with a battery is correct"),
        ("Zq7-Xw9-Rt2-Lm4", "Zq7 and Xw9"),
        ("research-nlp", "research NLP"),
        ("correct-horse-battery-staple", "correct horse battery"),
        ("Passw0rd12345678", "0.12345678"),
    ],
)
def test_words_dates_and_tables_stay_though_a_secret_has_them(secret: str, text: str) -> None:
    remember(secret)
    assert hidden(text) == text
    assert hidden(f"<{secret}>") == "<***>"
    if re.search(r"\d", secret):
        assert hidden(f"<{secret.upper()}>") == "<***>"


@pytest.mark.parametrize(
    "unit",
    [
        "犬が公園を走る。",
        "the quick brown fox ",
        "%41",
        "&#65;",
        "\\",
        "\\u0041",
        "a\0",
        "&amp;",
        '{"password": "',
        "password" + " " * 1000,
        "cookie:" + " " * 1000,
        "Digest a=b=c,",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        " -u ",
        "--token ",
        "<password ",
    ],
)
@pytest.mark.timeout(60)  # 0.2 to 1.5 s; 1e12 steps would take hours
def test_a_long_message_takes_seconds_at_most(unit: str) -> None:
    """Twice the length takes about twice the time: no pattern tries all pairs of places."""
    for number in range(20):
        remember(base64.b64encode(f"{number} of the keys of this test".encode() * 2).decode())
    remember(LONG_KEY)
    hidden("")
    assert LONG_KEY[6:] not in hidden(unit * (1_000_000 // len(unit)) + LONG_KEY[6:])


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
        "--api-key hush1234",
        "'--hf-token', 'hush1234'",
        "pwd=hush1234",
        '{"PWD": "hush1234"}',
        "Authorization: ApiKey hush",
        "Authorization: hush is wrong",
        "Authorization: Unknown-Scheme hush",
        "b'Authorization': b'Bearer hush'",
        'Authorization: Digest username="me", nonce="hush", response="hush"',
        'Authorization: Digest username=\\"me\\", response=\\"hush\\", uri=/',
        "('X-Api-Key', 'hush1234')",
        "<password>hush</password>",
        "<ns:apiKey type='a'>hush</ns:apiKey>",
        "password%3Dhush",
        "sk_live_hushhush",
        "whsec_hushhush",
        "curl -u me:hush http://host",
        "curl --user 'me:hush' http://host",
        "machine h login me password hush",
        "https://hooks.slack.com/services/T00/B00/hush",
        "-----BEGIN RSA PRIVATE KEY-----\nhush\nhush\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\nhush",
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
        "--max-tokens 7 --tokenizer mecab",
        "PWD=/home/me/texts OLDPWD=/home/me",
        "docker run -u 1000:1000",
        "columns: ['token', 'label']",
        "use --api-key option, --stop-token 。",
        "PW: 3.5 MW",
        "npm_config_registry_url",
        "digest sha256=abcdef",
        "login user password needed",
        "<token> is a tag</b>",
        "<p>text</p> response=200",
        "a long hyphen line: ------------------",
        "-----BEGIN CERTIFICATE-----\nabc",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert hidden(text) == text


def test_a_configuration_and_the_environment_say_what_is_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAM_LLM", "value-of-the-named-variable")
    monkeypatch.setenv("OTHER_API_KEY", "value-of-another-variable")
    monkeypatch.setenv("OTHER_NAME", "value7of3a-third-variable")
    config = {
        "llm": {
            "api_key_env": "TEAM_LLM",
            "base_url": "http://address-token@host/v1?sig=query%2Ftoken",
            "engine": {
                "headers": {"Authorization": f"Basic {basic('me', 'basic-password')}"},
                "servers": [{"token": ["listed-token"]}],
                "extra_headers": {"X-Custom": "any7header-value5x2", "X-Title": "a-plain-title"},
                "options": [{"other_env": "OTHER_NAME"}],
                "max_tokens": 123456789,
            },
        },
        "mlflow_uri": "http://me:uri-password@host",
        "other_uri": "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dodbc%2Bpassword",
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
        "any7header-value5x2",
        "value7of3a-third-variable",
        "odbc+password",
    ):
        assert hidden(f"<{value}>") == "<***>"
    plain = "123456789 TEAM_LLM a-plain-title"
    assert hidden(plain) == plain


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Environment", "production"),
        ("x-portkey-provider", "openai"),
        ("X-Api-Version", "2024-06-01"),
        ("X-App", "japagen"),
        ("X-Path", "/home/me/japagen2"),
        ("X-Model", "meta-llama/Llama-3.1-8B-Instruct"),
        ("Helicone-Property-Task", "hotel_reviews_2024-10-21-preview"),
        ("X-Priority", "12345678901234"),
    ],
)
def test_words_in_headers_are_no_secrets(name: str, value: str) -> None:
    remember_all({"llm": {"engine": {"headers": {name: value}}}})
    assert hidden_values(f"{value}の意味") == f"{value}の意味"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "a-plain-word"),
        ("X-Auth-Token", "a-plain-word"),
        ("x-portkey-api-key", "a-plain-word"),
        ("X-ApiKey", "a-plain-word"),
        ("X-Custom", "550e8400-e29b-41d4-a716-446655440000"),
        ("X-Custom", "Bearer Zk3Jd82hLq90"),
    ],
)
def test_secrets_in_headers_are_hidden(name: str, value: str) -> None:
    remember_all({"llm": {"engine": {"headers": {name: value}}}})
    assert hidden_values(f"<{value}>") == "<***>"


def test_a_word_that_is_a_key_stays_in_what_an_llm_writes() -> None:
    remember("production")
    remember("Zk3Jd82hLq90")
    assert hidden_keys("production of Zk3Jd82hLq90") == "production of ***"
    assert hidden_values("production of Zk3Jd82hLq90") == "*** of ***"
