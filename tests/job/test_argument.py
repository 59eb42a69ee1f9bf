"""Arguments that cannot be right."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from japagen.config.schema import EvaluateConfig, GenerateConfig, TrainConfig
from japagen.job.argument import argument_problems


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("task=jnil", "did you mean 'jnli'?"),
        ("task=jnli,jstss", "task=jstss is unknown"),
        ("llm=vlm", "did you mean 'vllm'?"),
        ("student=bert", "did you mean 'bert_base_japanese_v3'?"),
        ("shot=3", "did you mean 'shots'?"),
        ("loss.epsilom=0.1", "did you mean 'epsilon'?"),
        ("+data.batchsize=3", "did you mean 'batch_size'?"),
        ("task.clean.max_char=3", "did you mean 'max_chars'?"),
        ("dry-run=true", "type dry_run="),
        ("--dry-run", "type dry_run=true"),
        ("--num-per-label=3", "type num_per_label=3"),
        ("--shots", "type shots=VALUE"),
        ("task.wording.system=晴れ", """type 'task.wording.system="晴れ"'"""),
        ("task.labels=[晴れ,雨]", """type 'task.labels=["...", "..."]'"""),
        ("日本語", "'日本語' is not an option: type NAME=VALUE"),
        ("prompt.path=置き場/p.json", "'置' without quotes"),
        ("mlflow_uri=http://me:planted@host", "mlflow_uri contains a password"),
    ],
)
def test_each_mistake_is_one_line_with_what_to_type(argument: str, problem: str) -> None:
    training = argument.lstrip("+").startswith(("student", "loss", "data"))
    schema = TrainConfig if training else GenerateConfig
    (found,) = [line for line in argument_problems([argument], schema) if "dry_run is" not in line]
    assert problem in found


@pytest.mark.parametrize("argument", ["loss.q=0.5", "data.shots=3", "+data.order=x", "loss=huber"])
def test_own_options_of_losses_and_sources_pass(argument: str) -> None:
    assert not list(argument_problems([argument], TrainConfig))


@pytest.mark.parametrize("value", ["晴れ", 'それは"雨"です', "it's 雨", "逆\\斜線"])
def test_the_quoted_argument_works_when_typed(value: str) -> None:
    (problem,) = argument_problems([f"task.wording.system={value}"], GenerateConfig)
    typed = problem.partition(": type ")[2].removesuffix(", with both quotes")
    (word,) = shlex.split(typed)
    assert OverridesParser.create().parse_override(word).value() == value


@pytest.mark.parametrize(
    "arguments",
    [
        ["shots=1", "task.clean.max_chars=3", "+llm.sampling.top_k=3", "-m"],
        ["-cn", "generate", "--config-dir", "mine", "~llm.sampling.top_k"],
        ["task=choice(jnli,jsts)", "task=jnli,jsts", "experiment=main", "task=[jnli]"],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "--cfg", "job", "--multirun"],
        ['task.wording.system="日本語"', "task.labels=['晴れ', \"雨\"]", "~llm.sampling"],
        ["hydra.searchpath=[file:///somewhere]", "task=not_here", "mygroup=x"],
        ["llm@llm=fake", "num_per_label=range(1,3)"],
    ],
)
def test_right_arguments_pass(arguments: list[str]) -> None:
    assert not list(argument_problems(arguments, GenerateConfig))
    assert not list(argument_problems(["student.path=a/b"], EvaluateConfig))


@pytest.mark.parametrize("form", ["--config-dir {}", "--config-dir={}", "-cd {}"])
def test_choices_of_another_folder_are_known(tmp_path: Path, form: str) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "weather.yaml").touch()
    arguments = [*form.format(tmp_path).split(), "task=weather"]
    assert not list(argument_problems(arguments, GenerateConfig))


@pytest.mark.parametrize("argument", ["=5", "+=5", "~=", "++=a=b"])
def test_an_option_without_a_name_is_one_message(argument: str) -> None:
    (line,) = argument_problems([argument], GenerateConfig)
    assert line == f"{argument} has no name before '='; type NAME=VALUE"


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("llm.writers.first.concurency=3", "did you mean 'concurrency'"),
        ("llm.writers.first=fake", "type llm@llm.writers.first=NAME"),
    ],
)
def test_options_of_the_llms_of_a_mixture(argument: str, line: str) -> None:
    (problem,) = argument_problems(["llm=mixed", argument], GenerateConfig)
    assert line in problem


def test_a_list_of_llms_is_answered_with_the_mixture_to_type() -> None:
    (problem,) = argument_problems(["llm=[qwen3_4b, fake,phi4]"], GenerateConfig)
    assert (
        "llm=mixed llm@llm.writers.first=qwen3_4b llm@llm.writers.second=fake "
        "+llm@llm.writers.third=phi4;" in problem
    )
    (problem,) = argument_problems(["task=[jnli,jsts]"], GenerateConfig)
    assert problem == (
        "task=[jnli,jsts] is a list; allowed: one choice, e.g. task=jnli; for a sweep, -m task=A,B"
    )
