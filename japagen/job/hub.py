"""Upload of a finished dataset or student to the Hugging Face hub."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

from japagen.config.error import UserError
from japagen.config.secret import hidden
from japagen.job import sweep

log = logging.getLogger(__name__)

LOGIN = "run `hf auth login`, or set HF_TOKEN"


def check(name: str | None) -> None:
    """Raise UserError if an upload to `name` cannot succeed, before work is spent; None: no upload.

    Only what is certain counts: without a network the upload may still work when the work is done.
    """
    if not name:
        return
    if sweep.state_folder() is not None:
        raise UserError(
            f"push_to_hub={name}: the jobs of a sweep would overwrite each other there; "
            "run the one to upload alone, without -m"
        )
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UserError(f"push_to_hub={name}: {error}; allowed: USER/NAME") from None
    if not get_token():
        raise UserError(f"push_to_hub={name}: there is no token of the hub; {LOGIN}")
    quiet()
    try:
        HfApi().whoami()
    except Exception as error:  # of the hub or of its HTTP library, which its versions change
        if status(error) in (401, 403):
            raise UserError(f"push_to_hub={name}: the hub refuses the token; {LOGIN}") from None
        log.warning("push_to_hub=%s: the hub does not answer yet (%s)", name, hidden(error)[:200])


def status(error: Exception) -> int | None:
    """Return the HTTP status of an error of the hub, if it has one."""
    return getattr(getattr(error, "response", None), "status_code", None)


def quiet() -> None:
    """Drop the line that the hub's HTTP library logs for each request."""
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def push(folder: Path, name: str, kind: str, files: Sequence[str]) -> None:
    """Upload `files` of `folder` as the private repository `name`; files there stay.

    `kind`: dataset or model. Raises UserError if the upload fails.
    """
    from huggingface_hub import HfApi

    quiet()
    try:
        HfApi().create_repo(name, repo_type=kind, private=True, exist_ok=True)
        HfApi().upload_folder(
            repo_id=name, repo_type=kind, folder_path=folder, allow_patterns=list(files)
        )
    except Exception as error:  # of the hub and of the HTTP library
        left_out = "--exclude predictions.jsonl --exclude 'journal.jsonl*'"
        place = shlex.quote(str(folder))
        login = f" {LOGIN}, then" if status(error) in (401, 403) else ""
        raise UserError(
            f"push_to_hub={name} failed: {' '.join(hidden(error).split())[:300]}. The {kind} is "
            f"complete; to upload it again,{login} type: "
            f"hf upload {name} {place} --repo-type {kind} --private {left_out}"
        ) from error
    log.info("uploaded to the hub as the private %s %s", kind, name)
