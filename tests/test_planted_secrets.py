"""Secrets planted wherever one can enter are in nothing that the commands write or print."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote_plus

import pytest

from tests.planted import (
    EVALUATE,
    GENERATE,
    SECRETS,
    SERVER,
    TASK,
    Echo,
    assert_hidden,
    assert_sent,
    ready_folder,
    run,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
