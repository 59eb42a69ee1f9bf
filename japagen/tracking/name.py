"""Names of runs and of methods."""

from __future__ import annotations

from japagen.config.schema import Data, Filter, Loss, Prompt

GOLD_ALONE = ("gold", "few_gold")  # data without synthetic examples


def shots_and_order(data: Data) -> tuple[str, str]:
    """The shots and the order of the rows in words; "" where a source has no such option."""
    order = getattr(data, "order", "together")
    return str(getattr(data, "shots", None) or ""), "" if order == "together" else order


def training_method(data: Data | None, loss: Loss | None, synthetic: str) -> str:
    """The method of a student or a dataset, e.g. `knowledge`, `few gold 10`, `gold · huber`."""
    if data is None or data.name == "synthetic":
        return synthetic + training_loss(loss)
    shots, order = shots_and_order(data)
    if data.name == "gold":
        return f"gold{training_loss(loss)}"
    if data.name == "few_gold":
        return f"few gold {shots}".rstrip() + training_loss(loss)
    mixture = " ".join(filter(None, [data.name, shots, order]))
    return f"{mixture} {synthetic}{training_loss(loss)}"


def training_loss(loss: Loss | None) -> str:
    """The loss as part of a method's name; "" for the default."""
    if loss is None:
        return ""
    words = [] if loss.name in ("auto", "cross_entropy", "mse") else [loss.name]
    words += ["class weights"] if loss.class_weights else []
    return f" · {', '.join(words)}" if words else ""


def synthetic_method(
    prompt: Prompt, filtering: Filter, shots: int, select: str = "none", knowledge: str = "hand"
) -> str:
    """How synthetic examples are made, e.g. `zero-shot`, `5-shot knowledge verified`."""
    words = [f"{shots}-shot"] if shots else []
    if prompt.name not in ("zero_shot", "few_shot", "knowledge"):
        words.append(prompt.name)
    elif prompt.knowledge:
        words.append("knowledge" if knowledge == "hand" else f"knowledge by {knowledge}")
    words = words or ["zero-shot"]
    words += ["shared premise"] if prompt.premise == "shared" else []
    words += [] if prompt.joint == "none" else [f"joint {prompt.joint}"]
    chosen = {"taboo": prompt.taboo, "feedback": prompt.feedback}
    words += [name for name, number in chosen.items() if number and name != prompt.name]
    words += [name for name in (filtering.name, select) if name != "none"]
    return " ".join(words)
