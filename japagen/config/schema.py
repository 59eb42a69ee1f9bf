"""The options of the three commands, as dataclasses in Hydra's ConfigStore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from japagen.config.choice import EXPORTS, OBJECTIVES
from japagen.config.data import Data
from japagen.config.error import did_you_mean
from japagen.config.filter import Filter
from japagen.config.knowledge import Values
from japagen.config.limit import limited
from japagen.config.llm import LLM
from japagen.config.logger import Logger
from japagen.config.loss import Loss
from japagen.config.prompt import Prompt
from japagen.config.question import QuestionOptions
from japagen.config.select import Select
from japagen.config.student import Saved, Student
from japagen.config.task import Task
from japagen.config.trainer import Trainer

__all__ = [
    "CONF",
    "INSTALLED",
    "LLM",
    "NAMES",
    "Config",
    "Data",
    "EvaluateConfig",
    "Filter",
    "GenerateConfig",
    "Logger",
    "Loss",
    "Prompt",
    "QuestionOptions",
    "Saved",
    "Select",
    "Student",
    "TrainConfig",
    "Trainer",
    "Values",
    "register",
]

PACKAGE = Path(__file__).resolve().parents[1]
# A wheel holds conf/ as japagen/conf/; the source tree has it at the top level (setup.py).
INSTALLED = (PACKAGE / "conf").is_dir()
CONF = PACKAGE / "conf" if INSTALLED else PACKAGE.parent / "conf"
FORMS = ", ".join(EXPORTS)
# The largest seed that NumPy takes.
LARGEST_SEED = 2**32 - 1


def option(default: Any, text: str) -> Any:
    """A top-level option; `text` is its line in --help."""
    return field(default=default, metadata={"help": text})


@dataclass
class Config:
    """Options that all commands share: what identifies a synthetic dataset, and folders."""

    task: Task = field(default_factory=Task)
    prompt: Prompt = field(default_factory=Prompt)
    knowledge: Values = field(default_factory=Values)
    llm: LLM = field(default_factory=LLM)
    filter: Filter = field(default_factory=Filter)
    select: Select = field(default_factory=Select)
    question: QuestionOptions = field(default_factory=QuestionOptions)
    logger: Logger = field(default_factory=Logger)
    shots: int = limited(0, "gold examples of each label in the prompt", least=0)
    shots_scope: str = option("label", "which shots a prompt shows: label (its own label's) or all")
    seed: int = limited(
        0,
        "seed of sampling, shots, slot values, splits and training",
        least=0,
        most=LARGEST_SEED,
    )
    num_per_label: int = limited(
        16, "examples of each label; a larger number extends the same dataset", least=1
    )
    gold_dir: str | None = option(
        None, "folder of gold data; default: the environment variable JAPAGEN_DATA"
    )
    synthetic_dir: str = option("synthetic", "folder of synthetic datasets")
    student_dir: str = option("students", "folder of trained students")
    mlflow_uri: str = option("sqlite:///mlflow.db", "where MLflow keeps the runs")
    rerun: bool = option(False, "in a sweep, run jobs again that are already done")
    allowed_targets: list[str] = field(
        default_factory=list,
        metadata={"help": "packages besides japagen that llm._target_ may import, e.g. [mine]"},
    )
    experiment: str | None = None

    def problems(self) -> Iterator[str]:
        """Problems of the options that are in no group."""
        if self.shots_scope not in ("label", "all"):
            yield f"shots_scope is '{self.shots_scope}'; allowed: label, all"


@dataclass
class GenerateConfig(Config):
    """Options of generate.py."""

    dry_run: bool = option(False, "print one prompt of each label; no LLM is called")
    estimate: bool = option(False, "draw a small sample, estimate time and cost of the rest, stop")
    estimate_examples: int = limited(12, "size of that sample", least=1)
    max_attempts: int | None = limited(
        None, "replies drawn for one example; default: 10, with a label filter 40", least=1
    )
    max_shortfall: float = limited(
        0.0, "share of the examples that may be missing in the end", least=0, most=1
    )
    push_to_hub: str | None = option(None, "name of a private hub dataset to upload to, user/name")


@dataclass
class Exporting:
    """Options of commands that write other forms of a student."""

    # A name or a list of them.
    export: Any = option(  # noqa: RUF009
        None, f"also write the student as {FORMS}, or a list: [onnx,onnx_int8]"
    )

    @property
    def exports(self) -> list[str]:
        """The other forms of the student to write, each once."""
        given = [self.export] if isinstance(self.export, str) else self.export or []
        return list(dict.fromkeys(given))

    def export_problems(self) -> Iterator[str]:
        """Unknown names in `export`."""
        if not isinstance(self.export, (str, list, type(None))):
            yield f"export is {self.export}; allowed: {', '.join(EXPORTS)}, or a list of them"
            return
        for name in self.exports:
            if name not in EXPORTS:
                guess = did_you_mean(str(name), EXPORTS)
                yield f"export is '{name}'; allowed: {', '.join(EXPORTS)}{guess}"


@dataclass
class TrainConfig(Config, Exporting):
    """Options of train.py."""

    student: Student = field(default_factory=Student)
    # Mappings that check() turns into the class their YAML names: its options are not known here.
    data: Any = field(default_factory=lambda: asdict(Data()))
    loss: Any = field(default_factory=lambda: asdict(Loss()))
    trainer: Trainer = field(default_factory=Trainer)
    seeds: list[int] | None = field(
        default=None,
        metadata={"help": "train once with each on the same dataset: mean, deviation; [0,1,2]"},
    )
    objective: str = option("test", "score that train.py returns to a search: test or valid")
    push_to_hub: str | None = option(None, "name of a private hub model to upload to, user/name")

    @property
    def training_seed(self) -> int:
        """The seed of splits, of the new head and of training; `seed` is also the dataset's."""
        return self.seeds[0] if self.seeds else self.seed

    def problems(self) -> Iterator[str]:
        """Problems of the options of training."""
        yield from super().problems()
        yield from self.export_problems()
        yield from self.student.problems()
        if self.objective not in OBJECTIVES:
            yield (
                f"objective is '{self.objective}'; allowed: {', '.join(OBJECTIVES)}"
                f"{did_you_mean(self.objective, OBJECTIVES)}"
            )
        seeds = [0] if self.seeds is None else self.seeds
        if not seeds or len(set(seeds)) < len(seeds) or not 0 <= min(seeds) <= max(seeds) < 2**32:
            yield (
                f"seeds is {seeds}; allowed: different numbers from 0 to {LARGEST_SEED}, "
                "e.g. seeds=[0,1,2]"
            )
        if self.push_to_hub and len(seeds) > 1:
            yield "push_to_hub uploads one student; allowed: one seed, e.g. seeds=[0]"


@dataclass
class EvaluateConfig(Config, Exporting):
    """Options of evaluate.py."""

    subject: str = option("prompting", "what to evaluate: prompting, encoder, student or dataset")
    student: Saved = field(
        default_factory=Saved,
        metadata={"help": "student.path=FOLDER, or the id of the MLflow run that trained it"},
    )
    limit: int | None = limited(
        None, "number of gold rows, drawn by seed; the score is then called partial", least=2
    )
    prompted_rows: int = limited(
        0,
        "with subject=student or dataset, rows that the LLM is asked for the label of",
        least=0,
    )
    embedded_rows: int = limited(
        500,
        "with subject=dataset, rows of it and of gold that the embedded encoder reads; 0 for none",
        least=0,
    )
    max_chars: int = limited(400, "characters of each text that the LLM sees", least=1)
    answer_dir: str = option("answers", "folder of the LLM's answers to gold rows")
    dry_run: bool = option(False, "print the first questions; no LLM is called")

    def problems(self) -> Iterator[str]:
        """Problems of the options of evaluating."""
        yield from super().problems()
        yield from self.export_problems()
        if self.export and self.subject != "student":
            yield "export is for subject=student"
        if self.subject == "student" and not self.student.path:
            yield (
                "subject=student needs the student: add student.path=FOLDER, as train.py printed "
                "it, or the id of its MLflow run"
            )
        if self.limit is not None and self.subject == "dataset":
            yield (
                "limit is for subject=prompting, encoder and student; for a dataset use "
                "num_per_label"
            )


def register(*schemas: type[Config]) -> None:
    """Put the schemas of the commands, or only `schemas`, into Hydra's ConfigStore.

    Hydra copies the whole store several times for --help, so a command registers only its own.
    """
    for schema in schemas or NAMES:
        ConfigStore.instance().store(name=NAMES[schema], node=schema)


# The commands' schemas, and their names in the defaults lists of conf/.
NAMES: dict[type[Config], str] = {
    GenerateConfig: "generate_schema",
    TrainConfig: "train_schema",
    EvaluateConfig: "evaluate_schema",
}
