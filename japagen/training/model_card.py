"""The README.md of a student's folder: the model card that people and the hub read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from japagen import __version__
from japagen.config.task import Task
from japagen.student.backend import BACKENDS
from japagen.student.exports import ROWS, Export
from japagen.training.identity import Training

README = "README.md"
PAPER = "https://arxiv.org/abs/2412.06738"
# Folders of the exports. `*` of the hub's patterns matches "/", too.
FORMS = ["onnx/*", "openvino/*", "bfloat16/*"]
EXAMPLE = "公園で子どもたちが遊んでいます。"


def markdown(
    training: Training,
    measured: Mapping[str, float],
    rows: int,
    no_gold: str,
    made: Sequence[Export],
) -> str:
    """Return the card.

    `measured`: the metrics of the student on `rows` test rows; `no_gold`: why none is on gold;
    `made`: its exports.
    """
    task, student = training.task, training.student
    return "\n".join(
        [
            *metadata(training),
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
            *scores(task, measured, rows, no_gold),
            "",
            *exported(training, [one for one in made if not one.problem]),
            *limits(student.max_length),
        ]
    )


def limits(length: int) -> Iterator[str]:
    """Yield what a user of the student must know; `length`: tokens that it reads."""
    yield from ("## Limits", "")
    yield (
        f"Texts longer than {length} tokens are cut. The score is that of one training on the "
        "test rows of one dataset; other texts may give another. The licence is that of the "
        "pretrained model and of the training data."
    )
    yield from ("", f"The method is that of JAPAGEN ({PAPER}).", "")


def metadata(training: Training) -> Iterator[str]:
    """Yield what the hub reads."""
    task, source = training.task, training.student.pretrained
    kind = "sentence-similarity" if task.kind == "regression" else "text-classification"
    yield from ("---", "language: ja", f"pipeline_tag: {kind}")
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not Path(source).exists():
        yield f"base_model: {source}"
    yield from ("library_name: transformers", "tags: [japagen]", "---")


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
    yield from known(training)
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


def known(training: Training) -> Iterator[str]:
    """Yield what makes a student of our own class known to transformers."""
    if training.bi_encoder:
        yield "import japagen.student.pair  # transformers has no class for this student"


def exported(training: Training, made: Sequence[Export]) -> Iterator[str]:
    """Yield a table of the exports, and how to open them without JapaGen."""
    if not made:
        return
    yield "## Other forms"
    yield ""
    yield "| form | file | MB | times the speed of torch | equal labels | score |"
    yield "|---|---|---|---|---|---|"
    for one in made:
        was = one.measured
        yield (
            f"| {one.name} | `{BACKENDS[one.name].file}` | {was['megabytes']:.0f} "
            f"| {was['speedup']:.2f} | {was['same_labels']:.1%} | {was['score']:.4f} |"
        )
    yield ""
    yield (
        f"Measured on up to {ROWS} test rows on the CPU that trained this model; the score of the "
        f"model itself on them is {made[0].measured['student_score']:.4f}."
    )
    names = {one.name for one in made}
    for name in sorted(names & OPENED.keys()):
        yield ""
        yield "```python"
        yield from opened(training, OPENED[name], BACKENDS[name].file)
        yield "```"
    yield ""


# Export -> how its file is opened and asked, after `batch` was made.
OPENED = {
    "bfloat16": """from transformers import AutoModelForSequenceClassification

model = AutoModelForSequenceClassification.from_pretrained("{folder}/bfloat16")
logits = model(**tokenizer(*texts, return_tensors="pt", **options)).logits.float().detach().numpy()
""",
    "onnx": """import onnxruntime

session = onnxruntime.InferenceSession("{folder}/{file}")
names = [one.name for one in session.get_inputs()]
logits = session.run(["logits"], {{name: batch[name].astype("int64") for name in names}})[0]
""",
    "openvino_int8": """import openvino

model = openvino.Core().compile_model("{folder}/{file}", "CPU")
names = [name for one in model.inputs for name in one.names]
logits = model({{name: batch[name].astype("int64") for name in names}})[0]
""",
}
OPENED["onnx_int8"] = OPENED["onnx"]


def opened(training: Training, code: str, file: str) -> Iterator[str]:
    """Yield an example that opens an export without JapaGen, as far as transformers knows it."""
    task, student = training.task, training.student
    if "AutoModel" in code:
        yield from known(training)
    texts = [[student.prefix + EXAMPLE], *([EXAMPLE] for _ in task.inputs[1:])]
    yield "from transformers import AutoTokenizer"
    yield ""
    yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    yield f"texts = {json.dumps(texts, ensure_ascii=False)}"
    yield f'options = {{"padding": True, "truncation": True, "max_length": {student.max_length}}}'
    yield 'batch = tokenizer(*texts, return_tensors="np", **options)'
    yield from code.format(folder="FOLDER", file=file).splitlines()
    if task.kind == "regression":
        yield "print(logits[:, 0])"
    else:
        yield f"labels = {json.dumps(task.labels, ensure_ascii=False)}"
        yield "print([labels[row.argmax()] for row in logits])"


def scores(task: Task, measured: Mapping[str, float], rows: int, no_gold: str) -> Iterator[str]:
    """Yield the test metrics, the task's own first, and the baseline as a table."""
    names = ("test/", "partial/", "heldout/", "debug/", "majority/")
    kind = "synthetic rows kept for it, NOT on gold rows" if no_gold else "gold test rows"
    yield f"On {rows} {kind} of the task {task.name}:"
    yield ""
    yield "| metric | value |"
    yield "|---|---|"
    found = [key for name in names for key in sorted(measured) if key.startswith(name)]
    for key in sorted(found, key=lambda key: key not in (f"{name}{task.metric}" for name in names)):
        yield f"| {key} | {measured[key]:.4f} |"


def uploaded() -> list[str]:
    """Return patterns of the files that the hub gets: no predictions, which hold gold labels."""
    weights = ["*.safetensors", "config.json", "tokenizer*", "*.model", "vocab*", "special_tokens*"]
    return [README, *weights, "added_tokens.json", "japagen.json", *FORMS]
