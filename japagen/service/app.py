"""The HTTP application: POST /predict, GET /health and the page /docs."""

# No `from __future__ import annotations`: FastAPI reads the annotations of its endpoints, whose
# types are imported inside functions.
import asyncio
import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from japagen import __version__
from japagen.config.task import Task
from japagen.service import body, openapi
from japagen.service.batcher import Batcher, Predict
from japagen.service.drain import Drain
from japagen.service.key import Guard
from japagen.service.limit import Limits, Refused

if TYPE_CHECKING:
    from fastapi import FastAPI

PATHS = "POST /predict, GET /health, GET /docs, GET /openapi.json"


@dataclass(frozen=True)
class Served:
    """A student that is served: its task, the names that /health reports, and its model."""

    task: Task
    student: str
    backend: str
    predict: Predict

    def about(self) -> dict[str, Any]:
        """Return the answer of /health."""
        return {
            "status": "ok",
            "task": self.task.name,
            "labels": list(self.task.labels),
            "student": self.student,
            "backend": self.backend,
            "version": __version__,
        }


def application(served: Served, limits: Limits, key: str = "") -> "FastAPI":
    """Return the application; with a `key`, only requests that have it are answered."""
    from fastapi import FastAPI

    batcher = Batcher(served.predict, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batcher:
            yield

    app = FastAPI(
        # FastAPI writes both into its page as they are.
        title=f"JapaGen: {html.escape(served.task.name)}",
        description=f"The student `{html.escape(served.student)}`.",
        version=__version__,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    if key:
        app.add_middleware(Guard, key=key)
    app.add_middleware(Drain)  # the last one added is the outermost
    add_errors(app)
    add_health(app, served)
    add_predict(app, served, limits, batcher, bool(key))
    return app


def add_health(app: "FastAPI", served: Served) -> None:
    """Add GET /health."""
    about = served.about()

    async def health() -> dict[str, Any]:
        """Return what is served."""
        return about

    app.add_api_route("/health", health, responses=openapi.health(about), response_model=None)


def add_predict(
    app: "FastAPI", served: Served, limits: Limits, batcher: Batcher, guarded: bool
) -> None:
    """Add POST /predict."""
    from fastapi import Depends, Request
    from fastapi.responses import JSONResponse
    from fastapi.security import HTTPBearer

    async def predict(request: Request) -> JSONResponse:
        """Return a prediction for each text, in the order of the request."""
        length = request.headers.get("content-length")
        try:
            content = await body.received(request.stream(), length, limits.max_bytes)
            found = await batcher.ask(body.examples(content, served.task.inputs, limits))
        except asyncio.CancelledError:  # the server does so when its time to end is over
            raise Refused(503, "the service ends", {"Retry-After": "10"}) from None
        names = {"task": served.task.name, "student": served.student}
        return JSONResponse({"predictions": found, **names})

    app.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        response_class=JSONResponse,
        responses=openapi.responses(served.task, served.student),
        openapi_extra={"requestBody": openapi.request(served.task.inputs, limits)},
        # For /docs only: Guard checks the key.
        dependencies=[Depends(HTTPBearer(auto_error=False))] if guarded else [],
    )


def add_errors(app: "FastAPI") -> None:
    """Answer every error with one field, `detail`."""
    from fastapi import Request
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect

    def answer(status: int, detail: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"detail": detail}, status, headers)

    async def refused(_: Request, error: Any) -> JSONResponse:
        return answer(error.status, error.detail, error.headers)

    async def unknown(_: Request, error: Any) -> JSONResponse:
        what = "this method is not allowed" if error.status_code == 405 else error.detail
        return answer(error.status_code, f"{what}; allowed: {PATHS}", error.headers)

    async def left(_: Request, __: Exception) -> JSONResponse:
        return answer(400, "the client closed the connection before the end of the body")

    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return answer(500, f"unexpected error: {type(error).__name__}")

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, unknown)
    app.add_exception_handler(ClientDisconnect, left)
    app.add_exception_handler(Exception, unexpected)
