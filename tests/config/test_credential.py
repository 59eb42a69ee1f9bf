"""Secrets typed as options."""

from __future__ import annotations

import pytest

from japagen.config.credential import as_arguments, credential_problems
from japagen.config.secret import hidden, remember

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
        f"+llm.engine.headers={{X-Session: {VALUE}}}",
        f"+llm.engine.headers={{X-Title: a, X-Custom: '{VALUE}'}}",
        f"+llm.engine.headers={{X-Custom: '${{oc.env:NAME,{VALUE}}}'}}",
        f"+llm.engine.headers={{X-Custom: '{VALUE}${{oc.env:NAME}}'}}",
        f"+llm.engine.headers={{X-Custom: {VALUE}}},{{X-Title: a}}",
        f"+llm.engine.headers=[Authorization,{VALUE}]",
        f"+llm.engine.headers='X-Custom {VALUE}'",
        f"+llm.engine.headers={{X-Custom: {VALUE}",
        f"+llm.engine.headers.X-Pw={VALUE}",
        f"+llm.engine={{timeout: 9, headers: {{X-Pw: {VALUE}}}}}",
        f"+llm.sampling.extra_headers={{X-Pw: {VALUE}}}",
        f"+llm.sampling.extra_body={{auth: {VALUE}}}",
        f"+llm.sampling={{extra_body: [{{pwd: {VALUE}}}]}}",
        f"mlflow_uri='mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Du%3BPWD%3D{VALUE}'",
        f"mlflow_uri='mssql+pyodbc:///?odbc_connect=PWD%3D{VALUE}'",
        f"mlflow_uri='mssql+pyodbc:///?odbc_connect=UID=u;PWD={VALUE}'",
        f"mlflow_uri=me:{VALUE}@db/runs",
        f"llm.base_url=me:{VALUE}@host/v1",
        f"llm.base_url={VALUE}@host/v1",
        f"llm.base_url=http:////me:{VALUE}@host/v1",
        f"llm.base_url=http://host\\@me:{VALUE}@x/v1",
        f"llm.base_url='http://127.0.0.1:1/v1?k={VALUE}'",
        f"llm.base_url='http://127.0.0.1:1/v1?api-version=2024-10-21&k={VALUE}'",
        f"llm.base_url='http://127.0.0.1:1/v1#k={VALUE}'",
        f"llm.base_url='http://127.0.0.1:1/v1;k={VALUE}'",
        f"llm.api_key_env={VALUE}99",
        f"llm.api_key_env=hf_{VALUE}",
        "+llm.engine.headers={X-Api-Key: PLANTED7secret}",
        f"+llm.engine.other_env={VALUE}99",
        f"+llm.engine.webhook=https://hooks.slack.com/services/T00/B00/{VALUE}",
        f"+llm.engine.note=https://hooks.slack.com/services/T00/B00/{VALUE}",
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
        "llm.base_url='https://host/v1?api-version=2024-10-21-preview&n=3&team=nlp'",
        "llm.base_url='https://host/v1?sig=${oc.env:SIGNATURE}'",
        "llm.base_url=https://host/v1/@cf/meta",
        "llm.api_key_env=AZURE_OPENAI_KEY_2",
        "llm.api_key_env=team_key",
        "llm.api_key_env=LLM_API_KEY_2026",
        "llm.api_key_env=AZURE_OPENAI_KEY_GPT4o",
        "llm.api_key_env=API_KEY_V2b",
        "+llm.engine.headers={X-Env: production, X-Priority: low}",
        "+llm.engine.headers.X-Tenant=research",
        "llm.base_url=https://host/v1?tenant=TeamA",
        "llm.base_url=https://host/v1?project=nlp_team",
        "llm.base_url=https://host/v1?deployment-id=GPT4o-jp",
        "llm.base_url=https://host/v1?apiVersion=2024-10-21-preview",
        "llm.api_key_env=TeamKey",
        "+llm.engine.headers={X-Custom: '${oc.env:MYHDR}'}",
        "+llm.engine.headers={Authorization: 'Bearer ${oc.env:MYHDR}', Cookie: 'a=${oc.env:C}'}",
        "+llm.engine.headers={X-Custom: '${oc.decode:${oc.env:MYHDR}}'}",
        "+llm.engine.headers={HTTP-Referer: 'https://example.org', X-Title: '日本語', X-Team: a}",
        "+llm.engine.headers.User-Agent=japagen/1.0",
        "+llm.engine.headers={}",
        "+llm.engine.headers=null",
        "+llm.engine.command=[vllm]",
        "mlflow_uri=postgresql://db/runs?sslmode=require",
        "+hydra.job.env_set.OMP_NUM_THREADS=1",
        'task.wording.system="パスワード (password: 秘密) の話"',
        "-m",
    ],
)
def test_references_and_ordinary_options_are_not_secrets(argument: str) -> None:
    assert not list(credential_problems([argument]))


def test_the_variables_that_options_refer_to_are_hidden(
    monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    values = {
        "MYHDR": VALUE,
        "MYKEY": "another1secret",
        "HOOK": "https://hooks.example.org/T00/B00/longer-secret-4",
        "KIND": "cuda",
        "DTYPE": "bfloat16",
        "PLACE": "/data/of/the/team",
        "HOST": "http://host:8000/v1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    arguments = [
        "+llm.engine.headers={X-Custom: '${oc.env:MYHDR}'}",
        "+llm.engine.anything=a-${oc.env:MYKEY,none}",
        "+llm.engine={hook: '${oc.env:HOOK}', device: '${oc.env:KIND}', dtype: '${oc.env:DTYPE}'}",
        "gold_dir=${oc.env:PLACE}",
        "llm.base_url=${oc.env:HOST}",
    ]
    assert not list(credential_problems(arguments))
    plain = "cuda bfloat16 /data/of/the/team http://host:8000/v1"
    assert hidden(f"{VALUE} another1secret {plain}") == f"*** *** {plain}"
    assert "longer-secret" not in hidden("to T00/B00/longer-secret-4")


def test_a_part_of_a_known_secret_is_not_refused_and_the_whole_is(forgotten: None) -> None:
    remember("4a7-noitazirohtua-weather-2024-9f3")
    assert not list(credential_problems(["experiment=weather-2024", "+llm.engine.a=authorization"]))
    assert list(credential_problems(["experiment=4a7-noitazirohtua-weather-2024-9f3"]))


def test_the_key_in_place_of_its_variable_is_taken_if_it_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("Team7Key99", "a-value")
    assert not list(credential_problems(["llm.api_key_env=Team7Key99"]))


def test_secrets_at_any_depth_of_a_config() -> None:
    config = {"llm": {"engine": {"headers": [{"Authorization": f"Bearer {VALUE}"}]}}, "seed": 1}
    (problem,) = credential_problems(as_arguments(config))
    assert problem.startswith("llm.engine.headers.Authorization contains")
