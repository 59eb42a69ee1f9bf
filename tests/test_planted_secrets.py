"""Secrets planted wherever one can enter are in nothing that the commands write or print."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from aiohttp import web

from tests.commands import ROOT, start
from tests.loopback import Loopback, good

pytestmark = pytest.mark.slow

# A different value for every place. The characters change when a value is URL-encoded.
PLACES = ("key", "query", "header", "authorization", "user_password", "tracking", "hub", "cookie")
SECRETS = {place: f"{place[:4]}+Planted/{place[::-1]}9f3Q==" for place in PLACES}
VARIABLES = {
    "TEAM_LLM": SECRETS["key"],
    "HEADER_VALUE": SECRETS["header"],
    "AUTHORIZATION_VALUE": f"Basic {base64.b64encode(SECRETS['authorization'].encode()).decode()}",
    "COOKIE_VALUE": f"session={SECRETS['cookie']}",
    "MLFLOW_TRACKING_TOKEN": SECRETS["tracking"],
    "HF_TOKEN": SECRETS["hub"],
}
TASK = ["task=jcola", "task.clean.max_chars=500"]
SERVER = [
    "llm=server",
    "llm.model=swallow-8b",
    "llm.concurrency=1",
    "llm.api_key_env=TEAM_LLM",
    "llm.base_url=${oc.env:LLM_ADDRESS}",
    "+llm.engine.headers={X-Api-Key: '${oc.env:HEADER_VALUE}', Cookie: '${oc.env:COOKIE_VALUE}', "
    "Authorization: '${oc.env:AUTHORIZATION_VALUE}'}",
    "+llm.engine.key_header=X-Team-Key",
]


def forms(secret: str) -> Iterator[str]:
    """The ways in which `secret` may be written: plain, URL-encoded, in JSON, and in base64."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield json.dumps(secret)[1:-1]
    for before in ("", "user:", "x", "xy"):
        # Without the last characters, which depend on what follows, and the first, which depend
        # on what stands before.
        coded = base64.b64encode((before + secret).encode()).decode()
        yield coded.rstrip("=")[len(before) * 4 // 3 + 1 : -2]


def assert_hidden(folder: Path, printed: str) -> None:
    """No file below `folder`, no name of one, and nothing printed has a planted secret."""
    texts = {"the output": printed.encode()}
    for path in folder.rglob("*"):
        texts[f"the name {path.name}"] = path.name.encode()
        if path.is_file():
            texts[str(path)] = path.read_bytes()
    found = [
        f"{place} in {where}"
        for place, secret in SECRETS.items()
        for where, content in texts.items()
        if any(form.encode() in content for form in forms(secret))
    ]
    assert not found, found


class Echo(Loopback):
    """Repeats headers and query of each request: in good replies, and in faults.

    `last`: how it answers all chat requests after the first few; None: with good replies.
    """

    def __init__(self, last: str | None) -> None:
        super().__init__(self.reply)
        self.last = last

    async def begin(self) -> None:
        """Also listen for the requests of MLflow and of the hub."""
        await super().begin()
        await self.runner.cleanup()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_get("/api/whoami-v2", self.known)
        app.router.add_route("*", "/{path:.*}", self.refuse)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def known(self, request: web.Request) -> web.Response:
        """Say that the hub knows the token."""
        self.headers.append(dict(request.headers))
        return web.json_response({"name": "me", "said": echoed(request)})

    async def refuse(self, request: web.Request) -> web.Response:
        """Refuse a request of MLflow or of the hub."""
        self.headers.append(dict(request.headers))
        said = echoed(request)
        return web.json_response({"error_code": said, "message": said, "error": said}, status=403)

    async def reply(self, _server: Loopback, n: int, request: web.Request) -> web.Response:
        """Some faults and good replies, then `last`."""
        said = echoed(request)
        begun = [
            good(n, f"犬が公園を走って{SECRETS['key']}という札を見つけた。"),
            web.json_response({"error": said}, status=429, headers={"retry-after-ms": "1"}),
            good(n, f"<think>{said}</think>I cannot say {said}"),
            good(n, f"猫が眠っている。{said}", usage=None),
            good(n, "鳥が空を飛んでいるのが見える。", id=said, model=said),
            web.json_response({"choices": [{"message": {"content": said, "refusal": said}}]}),
            web.json_response({"choices": [{"text": "犬だ。", "finish_reason": said}]}),
            web.json_response({"error": {"code": "content_filter", "message": said}}, status=400),
        ]
        if n < len(begun):
            return begun[n]
        if self.last is None:
            return good(n)
        if self.last == "redirect":
            headers = {"Location": f"http://127.0.0.1:1/?{quote(said)}", "X-Echo": said}
            return web.Response(status=307, headers=headers)
        return web.json_response({"detail": said}, status=int(self.last), reason="Bad")


def echoed(request: web.Request) -> str:
    """All that came with a request, as servers repeat it."""
    return json.dumps({**request.headers, "query": request.query_string, **request.query})


def ready_folder(ready: Path, folder: Path) -> None:
    """Put a prepared MLflow store into `folder`."""
    for path in ready.iterdir():
        if path.name.startswith("mlflow.db"):
            shutil.copy(path, folder / path.name)


def run(folder: Path, script: str, url: str, *words: str, **environment: str) -> tuple[int, str]:
    """The exit code and all output of a command with every secret planted."""
    found = {**VARIABLES, "LLM_ADDRESS": f"{url}?key={quote_plus(SECRETS['query'])}"}
    done = start(folder, script, *words, **{**found, **environment})
    return done.returncode, done.stdout + done.stderr


GENERATE, EVALUATE = (str(ROOT / f"{name}.py") for name in ("generate", "evaluate"))


def assert_sent(headers: list[Mapping[str, str]], *places: str) -> None:
    """The secrets were used, so that the server could repeat them."""
    sent = "\n".join(value for header in headers for value in header.values())
    assert all(SECRETS[place] in sent for place in places)


@pytest.mark.parametrize("last", ["404", "redirect"])
def test_a_job_that_a_server_stops(last: str, tmp_path: Path, ready: Path) -> None:
    ready_folder(ready, tmp_path)
    with Echo(last) as server:
        code, printed = run(tmp_path, GENERATE, server.url, *TASK, *SERVER, "num_per_label=20")
    assert code == 1, printed
    assert "***" in printed
    assert_sent(server.headers, "key", "header", "cookie")
    assert SECRETS["query"] in unquote_plus(server.paths[0])
    assert_hidden(tmp_path, printed)


def test_a_finished_dataset_and_its_upload(tmp_path: Path, ready: Path) -> None:
    ready_folder(ready, tmp_path)
    with Echo(None) as server:
        endpoint = server.url.removesuffix("/v1")
        code, printed = run(
            tmp_path,
            GENERATE,
            server.url,
            *[*TASK, *SERVER, "num_per_label=5", "push_to_hub=me/weather"],
            HF_ENDPOINT=endpoint,
        )
    assert "push_to_hub=me/weather failed" in printed
    assert code == 1
    assert_sent(server.headers, "key", "hub")
    (folder,) = tmp_path.glob("synthetic/jcola/*")
    assert "python generate.py" in (folder / "README.md").read_text(encoding="utf-8")
    assert_hidden(tmp_path, printed)


def test_answers_to_gold_rows(tmp_path: Path, ready: Path, gold_dir: Path) -> None:
    ready_folder(ready, tmp_path)
    with Echo(None) as server:
        code, printed = run(
            tmp_path,
            EVALUATE,
            server.url,
            *[*TASK, *SERVER, f"gold_dir={gold_dir}", "limit=20"],
        )
    assert code == 0, printed
    assert_sent(server.headers, "key", "header")
    assert_hidden(tmp_path, printed)


@pytest.mark.parametrize("given", ["typed", "from a variable"])
def test_a_password_in_an_address_is_refused(given: str, tmp_path: Path) -> None:
    address = f"http://user:{quote(SECRETS['user_password'], safe='')}@127.0.0.1:1/v1"
    word = f"llm.base_url={address}" if given == "typed" else SERVER[4]
    words = [*TASK, *SERVER[:3], word, "logger=none"]
    code, printed = run(tmp_path, GENERATE, "", *words, LLM_ADDRESS=address)
    assert code == 1
    assert "llm.base_url" in printed
    assert_hidden(tmp_path, printed)


@pytest.mark.parametrize("given", ["typed", "from a variable", "MLFLOW_TRACKING_URI"])
def test_a_password_in_the_address_of_mlflow(given: str, tmp_path: Path) -> None:
    """The server refuses all, so that the run is kept in files."""
    with Echo(None) as server:
        password = quote(SECRETS["user_password"], safe="")
        uri = f"http://user:{password}@127.0.0.1:{server.port}"
        typed = f"mlflow_uri={uri}" if given == "typed" else "mlflow_uri=${oc.env:TRACKING}"
        by_variable = given == "MLFLOW_TRACKING_URI"
        words = ["task=jcola", "llm=fake", "num_per_label=2", *([] if by_variable else [typed])]
        found = {given if by_variable else "TRACKING": uri}
        code, printed = run(tmp_path, GENERATE, "", *words, **found)
    if given == "typed":
        assert code == 1
        assert "MLFLOW_TRACKING_PASSWORD" in printed
    else:
        assert code == 0, printed
        assert (tmp_path / "mlflow-unsent").exists()
        assert server.headers
    assert_hidden(tmp_path, printed)
