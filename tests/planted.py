"""Secrets planted wherever one can enter, servers that repeat them, and the search for them."""

from __future__ import annotations

import base64
import html
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from aiohttp import web

from tests.commands import ROOT, start
from tests.loopback import Loopback, good

# A different value for every place. The characters change when a value is URL-encoded.
PLACES = (
    *("key", "query", "header", "authorization", "user_password", "tracking", "hub", "cookie"),
    *("wandb", "aws", "proxy", "mlflow_query", "serve", "numbered", "typed", "body"),
)
SECRETS = {place: f"{place[:4]}+Planted/{place[::-1]}9f3Q==" for place in PLACES}
VARIABLES = {
    "TEAM_LLM": SECRETS["key"],
    "HEADER_VALUE": SECRETS["header"],
    "AUTHORIZATION_VALUE": f"Basic {base64.b64encode(SECRETS['authorization'].encode()).decode()}",
    "COOKIE_VALUE": f"session={SECRETS['cookie']}",
    "BODY_VALUE": SECRETS["body"],
    "MLFLOW_TRACKING_TOKEN": SECRETS["tracking"],
    "HF_TOKEN": SECRETS["hub"],
    "WANDB_API_KEY": SECRETS["wandb"],
    "AWS_SECRET_ACCESS_KEY": SECRETS["aws"],
    "ALL_PROXY_OF_THE_TEAM": f"http://me:{quote(SECRETS['proxy'], safe='')}@127.0.0.1:1",
    "DEPLOY_TOKEN_2": SECRETS["numbered"],
}
# Secret by their names or by the form of their values; the first five because an option names them.
OTHERS = list(VARIABLES)[5:]
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
    "+llm.sampling.gateway_api_key=${oc.env:BODY_VALUE}",
]


def forms(secret: str) -> Iterator[str]:
    """The ways in which `secret` may be written: plain, URL-encoded, in JSON, and in base64."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], html.escape(secret), repr(secret.encode())[2:-1])
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
        app = web.Application(client_max_size=1 << 30)  # weights are uploaded
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


class Hub(Echo):
    """A hub that takes every upload; `taken` has all that was sent to it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.taken = list[bytes]()

    async def refuse(self, request: web.Request) -> web.Response:
        """Take an upload, and repeat the headers of the request."""
        self.headers.append(dict(request.headers))
        body, said = await request.read(), echoed(request)
        self.taken.append(body)
        if request.path.endswith("/validate-yaml"):
            return web.json_response({"errors": [], "warnings": [], "said": said})
        if "/preupload/" in request.path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return web.json_response({"files": files, "said": said})
        if "/commit/" in request.path:
            self.taken += committed(body)
            return web.json_response(
                {
                    "commitUrl": f"http://127.0.0.1:{self.port}/me/student/commit/{'0' * 40}",
                    "commitOid": "0" * 40,
                    "success": True,
                }
            )
        if request.path.endswith("/create"):
            return web.json_response({"url": "http://127.0.0.1/me/x", "id": "me/x", "said": said})
        return web.json_response({"error": said}, status=404)


def committed(body: bytes) -> Iterator[bytes]:
    """The files in a commit."""
    for line in body.splitlines():
        entry = json.loads(line)
        if entry["key"] == "file":
            yield base64.b64decode(entry["value"]["content"])


def echoed(request: web.Request) -> str:
    """All that came with a request, with and without names, and other secrets of the machine."""
    others = [VARIABLES[name] for name in OTHERS]
    values = [*request.headers.values(), *request.query.values(), *others]
    return json.dumps(
        [{**request.headers, "query": request.query_string, **request.query}, *values]
    )


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


GENERATE, TRAIN, EVALUATE = (str(ROOT / f"{name}.py") for name in ("generate", "train", "evaluate"))


def assert_sent(headers: list[Mapping[str, str]], *places: str) -> None:
    """The secrets were used, so that the server could repeat them."""
    sent = "\n".join(value for header in headers for value in header.values())
    assert all(SECRETS[place] in sent for place in places)
