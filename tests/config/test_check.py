"""The schema, the YAMLs of conf/, and check(cfg)."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import yaml
from hydra.errors import ConfigCompositionException
from hydra.utils import get_class
from omegaconf import OmegaConf

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, EvaluateConfig, GenerateConfig, TrainConfig
from tests.conftest import Compose

ROOT = CONF.parent
YAMLS = sorted(str(path.relative_to(CONF)) for path in CONF.rglob("*.yaml"))
# Options that a choice needs.
NEEDED = {
    "few_shot": ["shots=1"],
    "vllm": ["llm.model=x"],
    "server": ["llm.model=x"],
    "llamacpp": ["llm.model=x"],
    "mse": ["task=jsts"],
    "huber": ["task=jsts"],
    "hub": ["student.pretrained=x"],
    "llm": ["prompt=knowledge"],
    "balanced": ["prompt=knowledge"],
    "japagen_json": [f"prompt.path={ROOT / 'tests' / 'published.json'}"],
}
GROUPS = {"generate": GenerateConfig, "train": TrainConfig, "evaluate": EvaluateConfig}


@pytest.mark.slow
@pytest.mark.parametrize("name", YAMLS)
def test_every_yaml_composes_and_passes_check(composed: Compose, name: str) -> None:
    group, _, choice = name.removesuffix(".yaml").rpartition("/")
    for command, schema in GROUPS.items():
        defaults = yaml.safe_load((CONF / f"{command}.yaml").read_text(encoding="utf-8"))[
            "defaults"
        ]
        if name == f"{command}.yaml":
            assert check(composed(command), schema).task.name == "jnli"
        elif group != "experiment" and any(
            isinstance(entry, dict) and group in entry for entry in defaults
        ):  # experiments: test_sweep.py
            config = check(composed(command, f"{group}={choice}", *NEEDED.get(choice, [])), schema)
            # With llm=mixed, the names of its LLMs.
            assert choice == "mixed" or getattr(config, group).name == choice


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in YAMLS if name.startswith("llm/")])
def test_every_llm_names_a_class_that_takes_its_options(composed: Compose, name: str) -> None:
    choice = Path(name).stem
    llm = check(composed("generate", f"llm={choice}", *NEEDED.get(choice, [])), GenerateConfig).llm
    named = get_class(llm._target_)
    assert named.__module__.startswith("japagen.llm.")
    inspect.signature(named).bind(llm)


def test_only_llms_and_the_callback_name_a_class() -> None:
    found = {
        name.split("/")[0]
        for name in YAMLS
        if "_target_" in (CONF / name).read_text(encoding="utf-8")
    }
    assert found == {"data", "llm", "loss", "paths.yaml"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in YAMLS if name.startswith(("loss/", "data/"))])
def test_a_loss_or_source_has_the_same_options_with_and_without_its_yaml(
    composed: Compose, name: str
) -> None:
    group, choice = Path(name).parent.name, Path(name).stem
    kind = ["task=jsts"] if choice in ("mse", "huber") else []
    config = check(composed("train", f"{group}={choice}", *kind), TrainConfig)
    made = getattr(config, group)
    assert made == type(made)(choice)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_per_label=0", "num_per_label is 0; it must be 1 or more"),
        ("num_per_label=-3", "num_per_label is -3"),
        ("shots=-1", "shots is -1"),
        ("prompt=few_shot shots=0", "prompt=few_shot needs shots of 1 or more"),
        ("~task.wording.labels.neutral", "wording.labels has no text for label 'neutral'"),
        (
            "+task.wording.labels.neutrl=x",
            "has 'neutrl', which is not in labels; did you mean 'neutral'?",
        ),
        (
            "task.wording.turns.sentence2=x",
            "does not contain {label}, so the prompt would not contain the label",
        ),
        (
            "'task.wording.turns.sentence2=\"{labl}{label}\"'",
            "{labl} is not known; allowed: {label}",
        ),
        ("~task.wording.turns.sentence1", "no instruction for input 'sentence1'"),
        ("task.kind=clasification", "kind is 'clasification'; allowed: classification, regression"),
        ("task.metric=acuracy", "metric is 'acuracy'; allowed: .*; did you mean 'accuracy'?"),
        ("task.metric=pearson", "metric pearson is not for classification"),
        ("task.labels=[a]", "labels must be two or more different names"),
        ("task=jsts task.labels=[zero,one]", "label 'zero' is not a finite number"),
        ("task.inputs=[a,b,c]", "inputs has 3 names"),
        ("prompt=knowledge task.knowledge=null", "prompt=knowledge needs `knowledge`"),
        ("task.knowledge.sentence=x", "knowledge.sentence must contain {slot}"),
        (
            "task=news task.knowledge.sentence=x",
            "task news: knowledge.sentence must contain {slot}",
        ),
        ("+task.knowledge.turns.sentence2=x", "knowledge.turns.sentence2 does not contain {label}"),
        ("task.knowledge.turns.sentence1=''", "knowledge.turns.sentence1 is empty"),
        ("+task.knowledge.turns.sentence3=x", "knowledge.turns has 'sentence3', which is not in"),
        ("task.knowledge.turns.sentence1='x{lable}'", "turns.sentence1: {lable} is not known"),
        ("+task.knowledge.label_values.neutral=[a]", "label_values is for tasks with one sent"),
        ("task=news +task.knowledge.label_values.smx=[a]", "which is not in labels; did you mean"),
        ("task=news task.knowledge.label_values.smax=[]", "label_values has no value for 'smax'"),
        ("task=news ~task.knowledge.label_values.smax", "label_values has no values for smax"),
        ("task=news prompt=knowledge prompt.joint=labels", "gives each label its own"),
        ("task=news prompt=knowledge knowledge=llm", "and some values as examples"),
        (
            "task=news prompt=knowledge knowledge=llm task.knowledge.values=[a,b]",
            "proposes values for all labels together",
        ),
        ("task.name=../x", "task.name is '../x', but it becomes a folder name"),
        ("llm.name=org/model", "e.g. llm.name=org-model"),
        ("filter.name=.hidden", "filter.name is '.hidden'"),
        ("task.inputs=[sentence1,label]", "inputs has 'label', which is reserved"),
        ("task.labels=[Yes,yes]", "'Yes' and 'yes' differ only by case"),
        ("task.clean.near_duplicate=nan", "task.clean.near_duplicate is nan; it must be a finite"),
        ("task.clean.min_chars=90", "clean.min_chars is 90, more than clean.max_chars"),
        ("llm.price_prompt=-1", "llm.price_prompt is -1.0; it must be 0 or more"),
        ("llm.price_completion=inf", "llm.price_completion is inf; it must be a finite number"),
        ("llm.max_cost=nan llm.price_prompt=1", "llm.max_cost is nan"),
        ("llm.max_cost=0 llm.price_prompt=1", "llm.max_cost is 0.0; it must be above 0"),
        ("+llm.sampling.top_p=nan", "llm.sampling.top_p is nan"),
        ("seed=5000000000", "seed is 5000000000; it must be 0 or more, at most 4,294,967,295"),
        ("estimate_examples=0", "estimate_examples is 0; it must be 1 or more"),
        ("llm._target_=subprocess.Popen", "add allowed_targets=[subprocess]"),
        ("llm=server", "llm.model is missing: add llm.model=NAME llm.base_url="),
        ("logger.name=wandbb", "logger is 'wandbb'; allowed: mlflow, tensorboard, wandb, none"),
    ],
)
def test_check_names_the_problem(composed: Compose, override: str, message: str) -> None:
    overrides = [override.strip("'")] if override.startswith("'") else override.split()
    with pytest.raises(UserError) as caught:
        check(composed("generate", *overrides), GenerateConfig)
    text = str(caught.value)
    assert all(part in text for part in message.split(".*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data=few_gold data.shots=null",
            "data.shots is None; it must be a whole number, e.g. data.shots=16",
        ),
        ("data=few_gold data.shots=0", "data.shots is 0; it must be 1 or more"),
        ("data=gold +data.shots=3", "data.shots is not an option of data=gold; options: batch"),
        (
            "data.fraction=0",
            "data.fraction is 0; it must be above 0, at most 1, e.g. data.fraction=1.0",
        ),
        ("data.valid=1", "data.valid is 1; it must be above 0, below 1, e.g. data.valid=0.1"),
        ("data.near_duplicate=2", "data.near_duplicate is 2; it must be 0 or more, at most 1"),
        (
            "data=mixed data.order=gold_first",
            "data.order is 'gold_first'; allowed: together, synthetic_first",
        ),
        (
            "+data.order=synthetic_first",
            "data.order is not an option of data=synthetic; options:",
        ),
        ("data=mixed data.gold_weight=0", "data.gold_weight is 0; it must be above 0"),
        (
            "loss=generalized_ce loss.q=0",
            "loss.q is 0; it must be above 0, at most 1, e.g. loss.q=0.7",
        ),
        (
            "loss=label_smoothing loss.epsilon=1",
            "loss.epsilon is 1; it must be 0 or more, below 1",
        ),
        ("loss=symmetric_ce loss.alpha=0 loss.beta=0", "loss.alpha and loss.beta are both 0"),
        ("loss=huber +loss.qq=1", "loss.qq is not an option of loss=huber; options: class_weights"),
        (
            "loss=generalized_ce loss.q=much",
            "loss.q is 'much'; it must be a number, e.g. loss.q=0.7",
        ),
        ("data.batch_size=2.5", "data.batch_size is 2.5; it must be a whole number"),
        ("loss.name=huber", "To use another loss type loss=huber"),
        ("objective=train", "objective is 'train'; allowed: test, valid"),
        ("loss=huber", "loss is 'huber'; allowed for classification: auto, cross_entropy"),
        ("loss=huber task=jsts loss.delta=0", "loss.delta is 0; it must be above 0"),
        ("loss=sungen loss.step=2", "loss.step is 2;"),
        ("loss=sungen data=mixed data.gold_weight=2", "loss=sungen learns the weight of each row"),
        ("loss=soft data=gold", "loss=soft is for the labels of an LLM; data=gold has none"),
        (
            "data=mixed data.gold_weight=2 data.order=synthetic_first",
            "data.gold_weight is for data.order=together",
        ),
    ],
)
def test_check_names_the_problem_of_a_training(
    composed: Compose, override: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        check(composed("train", *override.split()), TrainConfig)
    assert message in str(caught.value)


@pytest.mark.slow
def test_check_reports_all_problems_at_once(composed: Compose) -> None:
    with pytest.raises(UserError, match="3 problems in the configuration") as caught:
        check(composed("generate", "num_per_label=0", "shots=-1", "max_attempts=0"), GenerateConfig)
    assert str(caught.value).count("\n  - ") == 3


@pytest.mark.slow
def test_a_wrong_type_is_refused_when_composing(composed: Compose) -> None:
    with pytest.raises(ConfigCompositionException):
        composed("generate", "num_per_label=many")


@pytest.mark.slow
def test_a_class_of_a_listed_package_is_allowed(composed: Compose) -> None:
    options = ["llm._target_=mine.engine.Engine", "allowed_targets=[mine]"]
    assert check(composed("generate", *options), GenerateConfig).llm._target_ == options[0][13:]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["${oc.env:JAPAGEN_PLANTED}", "a ${llm.model}", "${x:1}円"])
def test_references_in_a_task_are_not_replaced(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("JAPAGEN_PLANTED", "planted-value")
    cfg = composed("generate")
    cfg.task.wording.labels.neutral = text
    with pytest.raises(UserError, match=r"task\.wording\.labels\.neutral contains \$") as caught:
        check(cfg, GenerateConfig)
    assert "planted-value" not in str(caught.value)


@pytest.mark.slow
def test_an_escaped_reference_is_text(composed: Compose) -> None:
    cfg = composed("generate", r'task.wording.system="\${price}円"')
    assert check(cfg, GenerateConfig).task.wording.system == "${price}円"


@pytest.mark.slow
def test_check_leaves_the_composed_config_as_it_is(composed: Compose) -> None:
    cfg = composed("generate", "shots=2")
    assert check(cfg, GenerateConfig).prompt.name == "few_shot"
    assert cfg.prompt.name == "zero_shot"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("student.name=org/model", "student.name is 'org/model'"),
        ("student.learning_rate=nan", "student.learning_rate is nan"),
        ("student.dropout=2", "student.dropout is 2.0; it must be 0 or more, below 1"),
        ("student.max_length=99999999999999999999", "student.max_length is"),
        ("trainer.patience=-1", "trainer.patience is -1; it must be 0 or more"),
        ("seeds=[1,1]", "seeds is [1, 1]; allowed: different numbers"),
        ("+trainer.options.gradient_clip_val=inf", "trainer.options.gradient_clip_val is inf"),
    ],
)
def test_options_of_a_student_outside_their_bounds(
    composed: Compose, override: str, message: str
) -> None:
    override = override.replace("+trainer.options.grad", "trainer.options.grad")
    with pytest.raises(UserError) as caught:
        check(composed("train", override), TrainConfig)
    assert message in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("seed=${nope}", "seed has no value: Interpolation key 'nope' not found"),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", "Environment variable 'NO_SUCH_VARIABLE' not found"),
        ("synthetic_dir=${nope.deeper}", "synthetic_dir has no value"),
        ("seed=${oc.decode:'['}", "seed has no value"),
    ],
)
def test_a_reference_to_nothing_is_one_message(word: str, reason: str, composed: Compose) -> None:
    with pytest.raises(UserError, match=re.escape(reason)) as caught:
        check(composed("generate", "task=jcola", word), GenerateConfig)
    assert "Allowed: a value" in str(caught.value)


@pytest.mark.parametrize("key", ["task.wording.system", "task.wording.turns.sentence"])
def test_half_a_character_is_one_message(key: str, composed: Compose) -> None:
    config = composed("generate", "task=jcola", "llm=fake")
    OmegaConf.update(config, key, "{label} の文 \ud83d")
    with pytest.raises(UserError, match=rf"{re.escape(key)} contains '\\ud83d', half a character"):
        check(config, GenerateConfig)
