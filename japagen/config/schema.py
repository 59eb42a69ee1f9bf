"""Every knob as dataclasses in Hydra's ConfigStore."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from japagen.config.task import Task

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass
class Prompt:
    """How the wording is used. `shots` is the default of the option of the same name.

    `premise`: per_label (each example has a sentence 1 of its own) or shared (one sentence 1 serves every label).
    `joint`: both sentences of a pair in one structured reply. `path`: a prompt file in the published JSON format.
    """

    name: str = MISSING
    shots: int = 0
    knowledge: bool = False
    premise: str = "per_label"
    joint: bool = False
    path: str | None = None


@dataclass
class LLM:
    """An engine and a model. `sampling` and `engine` go to the engine as they are."""

    _target_: str = MISSING
    name: str = MISSING
    model: str = MISSING
    chat: bool = True
    # false: the chat template has no system role; the system text goes before the first user message.
    system_role: bool = True
    licence: str = "unknown"
    concurrency: int = 1
    sampling: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    # Of servers: where, the name of the environment variable with the key, and whether to start `vllm serve` for the job.
    base_url: str | None = None
    api_key_env: str | None = None
    serve: bool = False
    # US dollars per million tokens, and per dataset.
    price_prompt: float = 0.0
    price_completion: float = 0.0
    max_cost: float | None = None


@dataclass
class Filter:
    """Which clean replies are kept, and under which label.

    `method`: `none` (all, as asked for), `verified` (those whose label a verifier confirms),
    `relabelled` (under the label that the verifier gives), `soft` (the same, and soft.jsonl has its
    probabilities for loss=soft) or `auto` (verified if the verifier is reliable on gold rows).
    The verifier is the LLM itself or `student`, a folder that train.py saved. `min_probability` of
    the label it gives; `tolerance` in levels for regression; `shots` gold rows of each label shown to
    the LLM; `dev_rows` gold rows of each label to measure the verifier on. If, after `check_after`
    texts, a smaller share than `min_confirmed` of a label is confirmed, the job stops.
    """

    name: str = "none"
    method: str = "none"
    min_probability: float = 0.0
    tolerance: int = 0
    student: str | None = None
    shots: int = 0
    dev_rows: int = 0
    min_confirmed: float = 0.05
    check_after: int = 30


@dataclass
class QuestionOptions:
    """How an LLM is asked for a label, by a label filter and by evaluate.py subject=prompting.

    `calibrate`: divide its answer by that to texts without content (Zhao et al. 2021, "Calibrate
    Before Use"), because small LLMs prefer one label.
    """

    calibrate: bool = False


@dataclass
class Student:
    """A compact encoder. `pretrained`: a hub id, a folder, `embedded:NAME` or `random:NAME`.

    `trim`: keep the part of a multilingual vocabulary that Japanese text may need; the tokens of such text stay the same.
    `pooling` cls or mean, for the families whose own head knows both; null keeps the model's own. `layer_decay`: the learning
    rate of each layer is this times that of the layer above. `schedule` after the warm-up: linear, cosine or constant.
    """

    name: str = MISSING
    pretrained: str = MISSING
    max_length: int = 128
    prefix: str = ""
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: str = "linear"
    layer_decay: float = 1.0
    freeze_embeddings: bool = False
    dropout: float | None = None
    trim: bool = False
    pooling: str | None = None


@dataclass
class Data:
    """What the student is trained on. `valid` is the share of it kept for choosing the checkpoint.

    `num_per_label`: at most so many rows of a label of each source, drawn by seed; null for all. `fraction`: train on this
    share of the rows of each label, a smaller one a part of a larger; the valid rows are the same for all.
    `shots`: gold rows of each label, drawn as those of few-shot prompts; null for all gold.
    `near_duplicate`: from which similarity to a gold test row on (0 to 1) a row is not trained on; 0: only where it is the same.
    Of data=mixed: `gold_weight`, how much a gold row counts beside a synthetic one; `order`: together, or synthetic_first, where
    the first `synthetic_share` of the steps are on synthetic rows and the rest on gold.
    """

    name: str = MISSING
    batch_size: int = 32
    valid: float = 0.1
    num_per_label: int | None = None
    fraction: float = 1.0
    shots: int | None = None
    near_duplicate: float = 0.9
    gold_weight: float = 1.0
    order: str = "together"
    synthetic_share: float = 0.5


@dataclass
class Loss:
    """The training loss; `auto` is cross entropy for classification, mean squared error for regression.

    `class_weights`: a rare label's rows weigh more, so that every label counts the same. The others belong to the losses of
    conf/loss/: `epsilon` label_smoothing; `q` generalized_ce; `alpha` and `beta` symmetric_ce; `delta` huber, in shares of
    the distance from the lowest level to the highest; `step` sungen, how far a weight may go after an epoch.
    """

    name: str = "auto"
    class_weights: bool = False
    epsilon: float = 0.1
    q: float = 0.7
    alpha: float = 0.1
    beta: float = 1.0
    delta: float = 0.2
    step: float = 0.1


@dataclass
class Trainer:
    """How long to train. `patience` in validations without a better score, 0 for no early stop.

    Few rows: more than max_epochs, until min_steps are done. Many: about max_steps in whole epochs, one at least (0: no limit).
    `save_steps`: a killed training goes on from the last such step, or from an epoch's end. `compile`: torch.compile.
    `options` go to lightning.Trainer as they are; `precision: auto` is bfloat16 where the device is fast at it.
    """

    name: str = MISSING
    max_epochs: int = 10
    min_steps: int = 0
    max_steps: int = 0
    patience: int = 3
    save_steps: int = 500
    compile: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Saved:
    """A student that train.py saved: its folder, or the id of the MLflow run that trained it."""

    path: str | None = None
    batch_size: int = 32


@dataclass
class Logger:
    """Where runs are recorded: mlflow or none. `model`: the saved student, too, with its weights. `system_metrics`: the machine's load."""

    name: str = "mlflow"
    model: bool = False
    system_metrics: bool = True


def option(default: Any, told: str) -> Any:
    """A top-level option with what --help tells of it."""
    return field(default=default, metadata={"help": told})


@dataclass
class Config:
    """What names a synthetic dataset and where things lie; the same for all commands."""

    task: Task = field(default_factory=Task)
    prompt: Prompt = field(default_factory=Prompt)
    llm: LLM = field(default_factory=LLM)
    filter: Filter = field(default_factory=Filter)
    question: QuestionOptions = field(default_factory=QuestionOptions)
    logger: Logger = field(default_factory=Logger)
    shots: int = option(0, "gold examples shown to the LLM, of each label")
    shots_scope: str = option("label", "whose shots an example is shown: label (its own) or all")
    seed: int = option(0, "of sampling, shots, slot values, splits and training")
    num_per_label: int = option(16, "examples of each label; more extends the same dataset")
    gold_dir: str | None = option(
        None, "folder of gold data; default: the environment variable JAPAGEN_DATA"
    )
    synthetic_dir: str = option("synthetic", "folder of synthetic datasets")
    student_dir: str = option("students", "folder of trained students")
    mlflow_uri: str = option("sqlite:///mlflow.db", "where MLflow keeps the runs")
    rerun: bool = option(False, "run jobs of a sweep again that are finished already")
    experiment: str | None = None


@dataclass
class GenerateConfig(Config):
    """Options of generate.py."""

    dry_run: bool = option(False, "print one prompt of each label and call no LLM")
    estimate: bool = option(False, "draw a small sample, say what the rest will take, and stop")
    estimate_examples: int = option(12, "size of that sample")
    max_attempts: int | None = option(
        None, "replies drawn for one example; default: 10, with a label filter 40"
    )
    max_shortfall: float = option(0.0, "share of the examples that may be missing in the end")
    push_to_hub: str | None = option(None, "name of a private hub dataset to upload to, user/name")


@dataclass
class TrainConfig(Config):
    """Options of train.py."""

    student: Student = field(default_factory=Student)
    data: Data = field(default_factory=Data)
    loss: Loss = field(default_factory=Loss)
    trainer: Trainer = field(default_factory=Trainer)
    seeds: list[int] | None = field(
        default=None,
        metadata={"help": "train with each on the same dataset: mean, deviation; e.g. [0,1,2]"},
    )
    export: str | None = option(None, "onnx: write model.onnx beside the student's weights, too")

    @property
    def training_seed(self) -> int:
        """The seed of splits, of the new head and of training; `seed` is that of the dataset, too."""
        return self.seeds[0] if self.seeds else self.seed


@dataclass
class EvaluateConfig(Config):
    """Options of evaluate.py."""

    subject: str = option(
        "prompting", "what is evaluated: prompting (the LLM itself), student or dataset"
    )
    student: Saved = field(
        default_factory=Saved,
        metadata={"help": "student.path=FOLDER, or the id of the MLflow run that trained it"},
    )
    limit: int | None = option(
        None, "only so many gold rows, drawn by seed; the score is then called partial"
    )
    max_chars: int = option(400, "of each text that the LLM is shown; the rest is cut off")
    answer_dir: str = option("answers", "folder of the LLM's answers to gold rows")
    dry_run: bool = option(False, "print the first questions and call no LLM")


def register(*schemas: type[Config]) -> None:
    """Put the schemas of the commands, or of `schemas` alone, into Hydra's ConfigStore.

    Hydra copies the whole store again and again for --help, so a command registers only its own.
    """
    for schema in schemas or NAMES:
        ConfigStore.instance().store(name=NAMES[schema], node=schema)


# The commands' schemas, and what their YAMLs call them.
NAMES: dict[type[Config], str] = {
    GenerateConfig: "generate_schema",
    TrainConfig: "train_schema",
    EvaluateConfig: "evaluate_schema",
}
