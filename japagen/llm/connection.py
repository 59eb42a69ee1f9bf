"""How a server is reached: its address, API key, headers, proxy, certificates and reply size."""

from __future__ import annotations

import math
import os
import re
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import LLM
from japagen.config.secret import (
    PLAIN_HEADERS,
    hidden,
    is_key,
    is_secret_header,
    is_variable,
    remember,
)

if TYPE_CHECKING:
    import aiohttp

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names that a user would give to a variable. A key pasted in its place must not be printed.
PRINTABLE_VARIABLE = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH|API", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """The server's address without its query, the query ("" or `?...`), and as it may be shown."""

    base: str
    query: str = ""

    def url(self, path: str) -> str:
        """The URL of `path`; a query such as Azure's `?api-version=...` stays at the end."""
        return f"{self.base}{path}{self.query}"


@dataclass(frozen=True)
class Options:
    """The options of llm.engine for the HTTP client.

    `timeout`: seconds for one reply. `headers`: sent with each request. `key_header`: the header
    that carries the API key; one other than Authorization gets the key without `Bearer`. `ca_file`:
    a file of certificates to trust, in PEM.
    """

    timeout: float = 300.0
    headers: Mapping[str, str] = field(default_factory=dict)
    key_header: str = "Authorization"
    ca_file: str | None = None

    @classmethod
    def split(cls, engine: Mapping[str, Any]) -> tuple[Options, dict[str, Any]]:
        """These options in llm.engine, checked, and the rest of it."""
        rest = dict(engine)
        known = {key: rest.pop(key) for key in cls.__dataclass_fields__ if key in rest}
        given = known.get("headers") or {}
        if not isinstance(given, Mapping):
            raise UserError(
                "llm.engine.headers is not a set of names with values (not shown: it may be a "
                "secret). Allowed: +llm.engine.headers.X-Team=VALUE"
            )
        headers = {str(key): str(value) for key, value in given.items()}
        for name, value in headers.items():
            plain = name.lower() in PLAIN_HEADERS or not is_key(value)
            if is_secret_header(name) or not plain:
                remember(value)
                remember(value.rpartition(" ")[2])
            if not (re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name) and value.isprintable()):
                raise UserError(
                    "llm.engine.headers has a name or a value that HTTP does not allow (not shown, "
                    "because it may be a secret). Allowed: names such as X-Team, one-line values."
                )
        return cls(**{**known, "headers": headers, "timeout": seconds(known)}), rest


def seconds(options: Mapping[str, Any]) -> float:
    """llm.engine.timeout, checked."""
    value = options.get("timeout", Options.timeout)
    try:
        timeout = float(value)
    except (TypeError, ValueError):
        timeout = math.nan
    if not 0 < timeout < math.inf:
        raise UserError(
            f"llm.engine.timeout={value} is not a number of seconds above 0, such as "
            "llm.engine.timeout=300"
        )
    return timeout


def address(llm: LLM, unknown: Mapping[str, Any]) -> Address:
    """llm.base_url, checked. `unknown`: options of llm.engine that the client does not have."""
    if unknown:
        name, known = min(unknown), list(Options.__dataclass_fields__)
        raise UserError(
            f"llm.engine.{name} is not an option of llm={llm.name}{did_you_mean(name, known)}; "
            f"allowed: {', '.join(known)}; with llm.serve=true also every flag of `vllm serve`"
        )
    text = llm.base_url or ""
    if "@" in re.split(r"[/?#]", text.rpartition("://")[2], maxsplit=1)[0]:
        raise UserError(
            "llm.base_url has a name or a password before an @ (not shown), which would be saved "
            "with the config. Put the key into an environment variable and give its name: "
            "llm.api_key_env=NAME"
        )
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UserError(
            f"llm.base_url={text.partition('?')[0]}: give the server's address, e.g. "
            "llm.base_url=http://127.0.0.1:8000/v1, or start one: llm.serve=true"
        )
    for name, value in parse_qsl(parts.query):
        if is_secret_header(name) or is_key(value):
            remember(value)
    base = text.partition("#")[0].partition("?")[0].rstrip("/")
    return Address(base, f"?{parts.query}" if parts.query else "")


def api_key(llm: LLM) -> str:
    """The key in the environment variable that llm.api_key_env names; "" if it names none."""
    name = llm.api_key_env
    if name is None:
        return ""
    if not VARIABLE.fullmatch(name):
        remember(name)
        raise UserError(
            "llm.api_key_env must be the name of an environment variable (letters, digits, _), not "
            "the key. The value given is not shown. Type: export MY_KEY=... and "
            "llm.api_key_env=MY_KEY"
        )
    key = os.environ.get(name, "").strip()
    if not key and not (is_variable(name) and PRINTABLE_VARIABLE.search(name)):
        remember(name)
        raise UserError(
            "llm.api_key_env must be the name of an environment variable that is set. The value "
            "given is not shown, because it may be the key. Type: export MY_KEY=... and "
            "llm.api_key_env=MY_KEY"
        )
    if not key:
        raise UserError(
            f"llm={llm.name} needs an API key in the environment variable {name}, which is not "
            f"set: export {name}=..."
        )
    remember(key)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(
            f"The key in the environment variable {name} has a space or a character that no key "
            f"has (not shown). Set it again: export {name}=..."
        )
    return key


def proxy(base_url: str) -> str | None:
    """The proxy by HTTPS_PROXY, HTTP_PROXY and NO_PROXY; looked up once, none for this machine."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies().get(parts.scheme)
    remember(urlsplit(found or "").password or "")
    return found


def certificates(options: Options) -> ssl.SSLContext | bool:
    """The trusted certificates: llm.engine.ca_file, else those of the system or SSL_CERT_FILE."""
    if options.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=Path(options.ca_file).expanduser())
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            f"llm.engine.ca_file={options.ca_file} cannot be read ({error}). It must be a file of "
            "certificates in PEM."
        ) from error


def open_session(
    options: Options, base_url: str, key: str, concurrency: int, trusted: ssl.SSLContext | bool
) -> aiohttp.ClientSession:
    """A session of the running event loop with `concurrency` connections.

    `trusted`: what `certificates` returned.
    """
    import aiohttp

    # The size limit of `read` must see the compressed bytes, and replies are small.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **options.headers}
    if key:
        plain = options.key_header.lower() != "authorization"
        headers[options.key_header] = key if plain else f"Bearer {key}"
    return aiohttp.ClientSession(
        # Uvicorn, below vLLM and others, closes a connection after 5 idle seconds.
        connector=aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=4.0, ssl=trusted),
        timeout=aiohttp.ClientTimeout(total=options.timeout, sock_connect=30.0),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy(base_url),
        auto_decompress=False,
    )


def import_aiohttp(llm: LLM) -> Any:
    """The HTTP library, or UserError with the command that installs it."""
    try:
        import aiohttp
    except ImportError as error:
        raise UserError(
            f'llm={llm.name} needs aiohttp, which is not installed: pip install -e ".[openai]"'
        ) from error
    return aiohttp


def untrusted(base_url: str, error: Exception) -> str:
    """What to do if no encrypted connection can be made: about the certificate, or no TLS."""
    reason = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    reason = getattr(reason, "verify_message", "") or getattr(reason, "reason", "") or reason
    if not isinstance(getattr(error, "certificate_error", None), ssl.SSLError):
        return (
            f"{hidden(base_url)} makes no encrypted connection ({reason}). Should llm.base_url "
            "begin with http:// instead of https://, or have another port?"
        )
    return (
        f"The certificate of {hidden(base_url)} is not trusted ({reason}). If you trust it, "
        "save its certificate, or that of the authority that signed it, as a PEM file and type: "
        "+llm.engine.ca_file=FILE (or export SSL_CERT_FILE=FILE). The certificate must name the "
        "host in llm.base_url."
    )


def without_start(text: str, start: str) -> str:
    """`text` without the words that begin with `start`, the beginning of a key that was cut."""
    return re.sub(re.escape(start) + r"[^\s'\",;<>]*", "***", text)
