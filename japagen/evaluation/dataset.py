"""evaluate.py subject=dataset: the measures of a synthetic dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from japagen import tracking
from japagen.config.schema import EvaluateConfig
from japagen.dataset import identity, table
from japagen.dataset.table import TABLE, read
from japagen.evaluation import quality
from japagen.evaluation.console import end
from japagen.gold import load
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing


def look(config: EvaluateConfig, track: tracking.Run) -> float:
    """The quality of the synthetic dataset that the options name."""
    rows, lines, real = read(identity.of(config)), list[str](), list[Example]()
    try:
        real = load.load(config.task, "test", config.gold_dir)
    except GoldMissing as missing:
        lines.append(f"Not compared with gold. {missing}")
    measured = quality.measure(rows, real, config.task)
    if config.student.path:
        measured |= judged(config, rows, lines)
    else:
        lines.append(
            "label correctness: not measured; give a student trained on gold: student.path=FOLDER"
        )
    measured = {f"quality/{key}": value for key, value in measured.items()}
    track.metrics(measured)
    track.tags(
        {
            "fingerprint": identity.of(config).fingerprint,
            "folder": str(identity.of(config).folder.absolute()),
        }
    )
    track.dataset(
        table.rows(rows, config.task),
        identity.of(config).folder.name,
        str(identity.of(config).folder / TABLE),
        "evaluation",
    )
    end(
        quality_table(config, measured),
        [*lines, f"dataset: {identity.of(config).folder}"],
        tracking.where(config, track),
    )
    return measured["quality/diversity"]


def judged(config: EvaluateConfig, rows: Sequence[Example], lines: list[str]) -> dict[str, float]:
    """What a saved student says of the rows' labels, with an example of what it would label otherwise."""
    from japagen.student import saved

    folder = saved.find(
        config.student.path or "", lambda run: tracking.folder_of(config.mlflow_uri, run)
    )
    opened = saved.load(folder, config.task)
    if opened.card["data"]["name"] != "gold":
        lines.append(
            "This student was not trained on gold, so that it agrees with a label says little."
        )
    saved.move(opened, saved.devices()[-1])
    found = saved.predict(opened, rows, config.task, config.student.batch_size)
    for row, said in zip(rows, found, strict=True):
        if (
            config.task.kind == "classification"
            and said["predicted"] != row.label
            and said["probability"] > 0.5
        ):
            lines.append(
                f"for example {row.id}, which the student calls {said['predicted']}: {' / '.join(row.texts)}"
            )
            break
    return quality.label_correctness(rows, [row["predicted"] for row in found], config.task)


def quality_table(config: EvaluateConfig, measured: Mapping[str, float]) -> Any:
    """The numbers of a dataset beside the same of gold rows."""
    from rich.table import Table

    table = Table(
        "", "synthetic", "gold", title=f"{config.task.name}, synthetic dataset by {config.llm.name}"
    )
    for key, value in measured.items():
        name = key.removeprefix("quality/")
        if not name.startswith("gold_"):
            beside = measured.get(f"quality/gold_{name}")
            table.add_row(name, f"{value:.4g}", "" if beside is None else f"{beside:.4g}")
    return table
