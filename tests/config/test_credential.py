"""Secrets typed as options."""

from __future__ import annotations

import pytest

from japagen.config.credential import as_arguments, credential_problems

VALUE = "PLANTED7secret"


@pytest.mark.parametrize(
    "argument",
    [
        f"+llm.engine.headers={{Authorization: 'Bearer {VALUE}'}}",
        f"+llm.engine.headers.X-Api-Key={VALUE}",
        f"+llm.sampling.extra_headers={{Cookie: a={VALUE}}}",
        f"mlflow_uri=http://me:{VALUE}@127.0.0.1:5000",
        f"mlflow_uri=postgresql://me:{VALUE}@db/runs",
        f"llm.base_url=https://{VALUE}@host/v1",
        f"llm.base_url=https://host/v1?sig={VALUE}",
        f"llm.base_url=https://host/v1?api-version=1&api_key={VALUE}",
        f"llm.api_key_env=sk-{VALUE}",
        f"+llm.engine.password={VALUE}",
        f"+hydra.job.env_set.HF_TOKEN={VALUE}",
        f"+llm.engine.note=hf_{VALUE}",
    ],
)
def test_a_typed_secret_is_refused_without_repeating_it(argument: str) -> None:
    (problem,) = credential_problems([argument])
    assert VALUE not in problem
    assert "export " in problem


@pytest.mark.parametrize(
    "argument",
    [
        "llm.api_key_env=MY_KEY",
        "llm.sampling.max_tokens=64",
        "+llm.sampling.stop_token_ids=[1,2]",
        "+llm.sampling.eos_token=</s>",
        "+llm.engine.skip_special_tokens=true",
        "mlflow_uri=http://127.0.0.1:5000",
        "mlflow_uri=${oc.env:TRACKING_ADDRESS}",
        '+llm.engine.headers={Authorization: "${oc.env:AUTH}"}',
        '+llm.engine.headers={X-Api-Key: "${oc.env:KEY}", Cookie: "${oc.env:COOKIE}"}',
        "+llm.engine.headers={Set-Cookie: '${oc.env:COOKIE}'}",
        "llm.base_url=https://host/v1?api-version=2024-02-01",
        'task.wording.system="パスワード (password: 秘密) の話"',
        "-m",
    ],
)
def test_references_and_ordinary_options_are_not_secrets(argument: str) -> None:
    assert not list(credential_problems([argument]))


def test_secrets_at_any_depth_of_a_config() -> None:
    config = {"llm": {"engine": {"headers": [{"Authorization": f"Bearer {VALUE}"}]}}, "seed": 1}
    (problem,) = credential_problems(as_arguments(config))
    assert problem.startswith("llm.engine.headers.Authorization contains")
