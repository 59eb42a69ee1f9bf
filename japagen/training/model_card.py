"""The README.md of a student's folder: the model card that people and the hub read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from japagen import __version__
from japagen.training.identity import Training

README = "README.md"
PAPER = "https://arxiv.org/abs/2412.06738"
EXAMPLE = "公園で子どもたちが遊んでいます。"


def markdown(training: Training, measured: Mapping[str, float], no_gold: str) -> str:
    """Return the card. `measured`: the metrics of the student; `no_gold`: why none is on gold."""
    task, student = training.task, training.student
    kind = "sentence-similarity" if task.kind == "regression" else "text-classification"
    return "\n".join(
        [
            "---",
            "language: ja",
            f"pipeline_tag: {kind}",
            "library_name: transformers",
            "tags: [japagen]",
            "---",
            f"# {task.name}: {student.name}",
            "",
            f"A compact Japanese model for the task {task.name}, trained by JapaGen {__version__} "
            f"from `{student.pretrained}` with seed {training.seed}.",
            "",
            *data(training),
            "",
            "## Use",
            "",
            *use(training),
            "",
            "## Scores",
            "",
            *scores(measured, no_gold),
            "",
            "## Limits",
            "",
            f"Texts longer than {student.max_length} tokens are cut. The score is that of one "
            "training on the test rows of one dataset; other texts may give another. The licence "
            "is that of the pretrained model and of the training data.",
            "",
            f"The method is that of JAPAGEN ({PAPER}).",
            "",
        ]
    )


def data(training: Training) -> Iterator[str]:
    """Yield what the student was trained on."""
    if not training.synthetic:
        yield f"Training data: {training.data.gold_words()} of the task."
        return
    dataset = training.dataset
    gold = " and gold rows" if "gold" in training.data.sources else ""
    yield (
        f"Training data: synthetic text that the LLM `{dataset.llm.model}` wrote{gold}. "
        "An LLM's terms may limit the use of what is trained on its texts. The dataset:"
    )
    yield ""
    yield f"    {dataset.command}"


def use(training: Training) -> Iterator[str]:
    """Yield an example that runs, with truncation and the prefix that the student needs."""
    task, student = training.task, training.student
    text = json.dumps(student.prefix + EXAMPLE, ensure_ascii=False)
    given = text if len(task.inputs) == 1 else f'{{"text": {text}, "text_pair": {text}}}'
    yield "```python"
    yield "from transformers import pipeline"
    yield ""
    function = ', function_to_apply="none"' if task.kind == "regression" else ""
    yield f'predict = pipeline("text-classification", "FOLDER"{function})'
    yield f"predict({given}, truncation=True, max_length={student.max_length})"
    yield "```"
    if student.prefix:
        yield ""
        yield f"Every text starts with `{student.prefix}`, as in training."
    if len(task.inputs) > 1:
        yield ""
        yield f"`text` is {task.inputs[0]}, `text_pair` is {task.inputs[1]}."


def scores(measured: Mapping[str, float], no_gold: str) -> Iterator[str]:
    """Yield the test metrics and the baseline as a table."""
    names = ("test/", "partial/", "heldout/", "debug/", "majority/")
    yield "On synthetic rows kept for it, NOT on gold rows:" if no_gold else "On gold rows:"
    yield ""
    yield "| metric | value |"
    yield "|---|---|"
    for key in sorted(measured):
        if key.startswith(names):
            yield f"| {key} | {measured[key]:.4f} |"


def uploaded() -> list[str]:
    """Return patterns of the files that the hub gets: no predictions, which hold gold labels."""
    weights = ["*.safetensors", "config.json", "tokenizer*", "*.model", "vocab*", "special_tokens*"]
    return [README, *weights, "added_tokens.json", "japagen.json", "*.onnx"]
