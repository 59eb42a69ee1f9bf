"""JapaGen from Python: the commands `generate` and `train` as functions, and saved students.

    import japagen

    dataset = japagen.generate(task="jnli", num_per_label=16)
    student = japagen.train(task="jnli", num_per_label=16)
    student.predict([("犬が走る。", "動物がいる。")])

Options are those of the commands: as keywords, or as typed there, "student.learning_rate=3e-05".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from japagen.config import schema
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import Config, GenerateConfig, TrainConfig
from japagen.job import outside as outer
from japagen.job.command import problems
from japagen.job.typed import called

if TYPE_CHECKING:
    import pandas

    from japagen.student.predictor import Predictor


@dataclass(frozen=True)
class SyntheticDataset:
    """A dataset on disk. `path`: its folder; `manifest`: counts, rejections, tokens, versions.

    `num_per_label`: the rows of each label that were asked for. The folder, and so the manifest,
    may have more, from an earlier call.
    """

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)
    num_per_label: int

    def __len__(self) -> int:
        """Return the number of rows that were asked for and are there."""
        return len(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as they are in train.jsonl."""
        with (self.path / "train.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [row for row in rows if self.has(row["id"])]

    def has(self, name: str) -> bool:
        """Whether the row with this id was asked for."""
        from japagen.dataset.table import number

        return number(name) < self.num_per_label

    def to_datasets(self) -> Any:
        """Return the rows as a `datasets.Dataset`, with the columns' types of the dataset card."""
        import datasets

        every = datasets.load_dataset(str(self.path), split="train")
        return every.select([n for n, name in enumerate(every["id"]) if self.has(name)])

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows())


@dataclass(frozen=True)
class TrainedStudent:
    """A saved student. `path`: its folder; `scores`: metrics of its training by name.

    `scores` has `test/...` on gold rows, or `heldout/...` on synthetic rows where there is no gold.
    It is empty for a student that was only opened.
    """

    path: Path
    scores: Mapping[str, float] = field(default_factory=dict)

    @functools.cached_property
    def predictor(self) -> Predictor:
        """Return the model and its tokenizer, loaded once; the fastest of its exports."""
        from japagen.student.predictor import Predictor
        from japagen.training.quiet import quiet

        with quiet():
            return Predictor(self.path)

    def predict(self, texts: Iterable[str | Sequence[str]]) -> list[str] | list[float]:
        """Return the label of each text, for a regression a number.

        A task with two inputs takes a pair of texts for each.
        """
        rows = list(checked(texts, self.predictor.task.inputs))
        return [found["predicted"] for found in self.predictor.predict(rows)]


def generate(
    *overrides: str, config_dir: str | Path | None = None, **options: Any
) -> SyntheticDataset:
    """Write a synthetic dataset, or resume it; a finished one is only opened.

    `config_dir`: a folder with YAMLs of yours, as --config-dir on the command line.
    Raises UserError for wrong options, and if too many examples are missing.
    """
    from japagen.command import generate as command
    from japagen.dataset import identity
    from japagen.dataset.table import MANIFEST

    cfg = config_of("generate", GenerateConfig, overrides, options, config_dir)
    config = check(cfg, GenerateConfig)
    if config.dry_run or config.estimate or config.knowledge.only:
        raise UserError(
            "dry_run, estimate and knowledge.only write no dataset; type them on the command line"
        )
    with called(typed_words(overrides, options), outside(config_dir)):
        command.run(cfg)
    folder = identity.of(config).folder.absolute()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return SyntheticDataset(folder, manifest, config.num_per_label)


def train(*overrides: str, config_dir: str | Path | None = None, **options: Any) -> TrainedStudent:
    """Train a student on the rows that the options name, score it on gold and save it.

    `config_dir`: a folder with YAMLs of yours, as --config-dir on the command line.
    `seed` is also the seed of the dataset; `seeds=[1]` trains with seed 1 on the same dataset.
    Raises UserError for wrong options, and if the dataset is not there.
    """
    from japagen.training.process import drop_unreadable

    drop_unreadable()  # Lightning reads such variables while it is imported
    from japagen.command import train as command

    cfg = config_of("train", TrainConfig, overrides, options, config_dir)
    if cfg.seeds and len(cfg.seeds) > 1:
        raise UserError("seeds trains several students; call train(..., seeds=[N]) for each seed")
    made = list[TrainedStudent]()
    with called(typed_words(overrides, options), outside(config_dir)):
        command.run(
            cfg, lambda folder, scores: made.append(TrainedStudent(folder.absolute(), dict(scores)))
        )
    return made[-1]


def load_student(folder: str | Path) -> TrainedStudent:
    """Open a student that `train` saved in `folder`."""
    from japagen.student import saved

    return TrainedStudent(saved.find(str(folder), lambda _: ""))


def config_of(
    name: str,
    kind: type[Config],
    overrides: Sequence[str],
    options: Mapping[str, Any],
    config_dir: str | Path | None = None,
) -> DictConfig:
    """Return the config of the command `name`, as Hydra composes it on the command line."""
    words = typed_words(overrides, options)
    folder = outside(config_dir)
    if lines := list(problems([*words, *([f"--config-dir={folder}"] if folder else [])], kind)):
        refuse(lines)
    schema.register(kind)
    # A notebook may have left Hydra initialised.
    GlobalHydra.instance().clear()
    with outer.checked(words, refuse), initialize_config_dir(str(schema.CONF), version_base="1.3"):
        search = [f"hydra.searchpath=[file://{folder}]"] if folder else []
        return compose(name, overrides=[*search, *words])


def refuse(lines: Sequence[str]) -> None:
    """Raise UserError with these lines."""
    raise UserError("\n".join(lines))


def typed_words(overrides: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """Return overrides and keywords as they are typed on a command line."""
    return [*overrides, *(f"{key}={written(value)}" for key, value in options.items())]


def outside(config_dir: str | Path | None) -> str:
    """Return the whole path of the user's folder of YAMLs, "" for none."""
    return str(Path(config_dir).expanduser().absolute()) if config_dir else ""


def written(value: object) -> str:
    """Return a value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Path) or (isinstance(value, str) and not is_plain(value)):
        return json.dumps(str(value), ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_plain(text: str) -> bool:
    """Whether Hydra reads `text` as a string without quotes."""
    return text.isascii() and text.replace("_", "").replace("/", "").replace(".", "").isalnum()


def checked(texts: Iterable[str | Sequence[str]], inputs: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield a tuple of texts for each row; UserError for one that has another number."""
    for number, row in enumerate(texts):
        parts = (row,) if isinstance(row, str) else tuple(row)
        if len(parts) != len(inputs):
            raise UserError(
                f"row {number} has {len(parts)} texts; the student's task has "
                f"{len(inputs)}: {', '.join(inputs)}"
            )
        yield parts
