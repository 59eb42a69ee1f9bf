"""Addresses, keys, headers and certificates of servers."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from japagen import llm
from japagen.command import generate
from japagen.config.error import UserError
from japagen.config.schema import LLM
from japagen.config.secret import hidden
from japagen.llm import connection
from tests.conftest import Compose
from tests.loopback import Loopback, ask, good, healthy

REQUEST = llm.Request(messages=({"role": "user", "content": "書いてください。"},))


def options(**changes: Any) -> LLM:
    return LLM("japagen.llm.server.Server", "test", "m", **changes)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://h:1/v1", "http://h:1/v1/models"),
        ("http://h:1/v1/", "http://h:1/v1/models"),
        ("https://h/a/b?api-version=2024-10-21", "https://h/a/b/models?api-version=2024-10-21"),
        ("https://h/a/?x=1&y=%2F#part", "https://h/a/models?x=1&y=%2F"),
        ("https://h?x=1", "https://h/models?x=1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/models"),
    ],
)
def test_the_path_goes_before_the_query(base_url: str, url: str) -> None:
    assert connection.address(options(base_url=base_url), {}).url("/models") == url


def test_a_query_reaches_the_server_and_its_secret_no_message() -> None:
    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        return good(n) if n == 0 else web.json_response({}, status=404)

    with Loopback(script) as loopback:
        url = loopback.url.replace("/v1", "/deployments/m?api-version=1&sig=Zm9vYmFyYmF6")
        ask(url, REQUEST)
        with pytest.raises(UserError, match="answered 404") as caught:
            ask(url, REQUEST)
    query = "?api-version=1&sig=Zm9vYmFyYmF6"
    assert loopback.paths[0] == f"/deployments/m/chat/completions{query}"
    assert "Zm9vYmFyYmF6" not in str(caught.value)
    assert (
        hidden("the signature Zm9vYmFyYmF6 of api-version 1")
        == "the signature *** of api-version 1"
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "http://user:pass-word@h/v1",
        "http://pass-word@h/v1",
        "user:pass-word@h/v1",
        "pass-word@h",
        "https://?key=pass-word",
        "ftp://h/?key=pass-word",
    ],
)
def test_a_wrong_address_is_refused_without_its_secrets(base_url: str) -> None:
    with pytest.raises(UserError, match=r"llm\.base_url") as caught:
        connection.address(options(base_url=base_url), {})
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", [None, "", "127.0.0.1:8000", "http://", "http://h:99999/v1", "http://[h/v1"]
)
def test_an_address_that_is_none_is_named_with_an_example(base_url: str | None) -> None:
    with pytest.raises(UserError, match=r"give the server's address, e\.g\. llm\.base_url=http"):
        connection.address(options(base_url=base_url), {})


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"timeuot": 3}, "timeuot is not an option of llm=test; did you mean 'timeout'"),
        ({"timeout": "long"}, "timeout=long is not a number of seconds above 0"),
        ({"timeout": 0}, "timeout=0 is not a number"),
        ({"timeout": float("nan")}, "timeout=nan is not a number"),
        ({"headers": {"X-Team": "a\nb"}}, "headers has a name or a value that HTTP does not allow"),
        ({"headers": {"X Team": "a"}}, "headers has a name or a value that HTTP does not allow"),
        ({"headers": "abc"}, r"headers is not a set of names .*\+llm.engine.headers.X-Team=VALUE"),
        ({"headers": [1]}, "headers is not a set of names"),
        ({"ca_file": "/no/such.pem"}, "ca_file=/no/such.pem cannot be read"),
    ],
)
def test_a_wrong_option_is_named(engine: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ask("http://127.0.0.1:1/v1", REQUEST, engine=engine)


def test_a_key_is_read_from_the_environment_alone(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    name = "OPENAI_API_KEY"
    with pytest.raises(
        UserError, match=f"llm=openai needs an API key in the environment variable {name}.*{name}="
    ):
        generate.run(composed("generate", "llm=openai"))


@pytest.mark.parametrize(
    "key",
    [
        "ab-12345678-secret",
        "hf_QqWwEeRrTtYy1234",
        "QQWWEERRTTYY1234",
        "a b c d e f g",
        "キーキーキーキー",
        "",
    ],
)
def test_a_key_in_the_place_of_its_variable_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(UserError, match=r"llm\.api_key_env must be the name") as caught:
        connection.api_key(options(api_key_env=key))
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("value", ["two words", "ключ-ключ", "tab\tkey"])
def test_a_damaged_key_is_refused_and_not_repeated(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("my_own_name", value)
    with pytest.raises(UserError, match="my_own_name has a space or a character") as caught:
        connection.api_key(options(api_key_env="my_own_name"))
    assert value not in str(caught.value)


def test_the_key_goes_into_the_header_that_the_option_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_KEY", "k-11223344")
    with Loopback(healthy) as loopback:
        ask(loopback.url, REQUEST, api_key_env="TEST_KEY")
        ask(loopback.url, REQUEST, api_key_env="TEST_KEY", engine={"key_header": "api-key"})
    assert loopback.headers[0]["Authorization"] == "Bearer k-11223344"
    assert "Authorization" not in loopback.headers[1]
    assert loopback.headers[1]["api-key"] == "k-11223344"


def certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate for `host` with its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(signed.public_bytes(pem) + key.private_bytes(pem, form, plain))
    return path


class Silent(BaseHTTPRequestHandler):
    """Answers 404 and logs nothing."""

    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a server with a self-signed certificate, and the certificate's file."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        path = certificate(tmp_path, "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/v1", str(path)
        server.shutdown()
        thread.join()


def test_an_untrusted_certificate_is_named_and_can_be_trusted(
    encrypted: tuple[str, str], tmp_path: Path
) -> None:
    url, path = encrypted
    with pytest.raises(
        UserError, match=r"certificate of .*not trusted \(self.signed.*ca_file=FILE"
    ):
        ask(url, REQUEST)
    other = certificate(tmp_path, "127.0.0.2")
    with pytest.raises(UserError, match="not trusted"):
        ask(url, REQUEST, engine={"ca_file": str(other)})
    with pytest.raises(UserError, match="answered 404"):
        ask(url, REQUEST, engine={"ca_file": path})


def test_a_certificate_for_another_host_is_named(encrypted: tuple[str, str]) -> None:
    url, path = encrypted
    with pytest.raises(
        UserError, match=r"not trusted \(.*(mismatch|not valid for).*must name the host"
    ):
        ask(url.replace("127.0.0.1", "localhost"), REQUEST, engine={"ca_file": path})


def test_https_to_a_port_without_encryption_is_named() -> None:
    with (
        Loopback(healthy) as loopback,
        pytest.raises(UserError, match=r"no encrypted connection.*http:// instead of https://"),
    ):
        ask(loopback.url.replace("http:", "https:"), REQUEST)
