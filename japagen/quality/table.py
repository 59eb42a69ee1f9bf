"""The measures of a dataset in groups, each beside gold's and with its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from japagen.quality.measured import Measured

# Name of a measure -> what it is; a name that ends in / has a value for each label.
GROUPS: dict[str, dict[str, str]] = {
    "Diversity": {
        "diversity": "1 - self-BLEU of characters, 0 to 1; low if rows repeat each other",
        "distinct_1": "different characters / all characters, 0 to 1",
        "distinct_2": "the same for character 2-grams",
        "distinct_3": "the same for character 3-grams",
        "compression": "bytes / bytes in gzip; high if repetitive",
        "self_repetition": "mean ln(1 + 8-grams of a row in other rows); high if repetitive",
        "duplicates": "share of rows equal to an earlier row",
        "near_duplicates": "share of rows equal or nearly equal to an earlier row",
        "compared_duplicates": "duplicates among as many rows as gold has",
        "compared_near_duplicates": "near duplicates among as many rows as gold has",
        "word_diversity": "1 - self-BLEU of words",
        "word_distinct_1": "different words / all words, 0 to 1",
        "word_distinct_2": "the same for word 2-grams",
        "word_distinct_3": "the same for word 3-grams",
        "word_self_repetition": "mean ln(1 + word 4-grams of a row in other rows)",
        "vendi": "Vendi score: effective number of different rows",
        "mean_distance": "mean cosine distance of two rows, 0 to 2",
    },
    "Labels": {
        "issues": "share of rows whose label is doubted (confident learning)",
        "issues/": "",
        "label_correctness": "agreement with the given student; correlation for regression",
        "label_correctness/": "",
        "student_score": "that student's own score on gold test rows",
        "student_accuracy": "that student's accuracy on gold test rows",
        "llm_agreement": "agreement with the LLM, asked for the label",
        "llm_agreement/": "",
    },
    "Distance to gold": {
        "length": "mean characters of a row",
        "word_length": "mean words of a row",
        "length_distance": "Wasserstein distance of the lengths, in characters",
        "word_length_distance": "Wasserstein distance of the lengths, in words",
        "divergence": "Jensen-Shannon divergence of character 2-grams by label, 0 to 1",
        "divergence/": "",
        "word_divergence": "Jensen-Shannon divergence of words by label, 0 to 1",
        "word_divergence/": "",
        "overlap_3": "share of character 3-grams that occur in gold",
        "in_gold": "share of rows that are gold test rows",
        "two_sample_auc": "AUC of a character classifier, rows against gold; 0.5 is chance",
        "two_sample_vectors_auc": "the same of a classifier of vectors",
        "coverage": "share of gold rows with a row near them, 0 to 1",
        "density": "gold neighbourhoods around a row; about 1 for gold",
        "japanese/": "share of rows whose texts have kana or kanji",
    },
    "Shortcuts": {
        "telling/": "most telling n-gram: share of the label's rows - share of the others",
        "bag_of_characters": "balanced accuracy of a classifier of character 1- to 3-grams",
        "last_only": "balanced accuracy of a classifier that sees only the last text",
        "overlap_only": "the same of one that sees only overlap and lengths",
        "overlap/": "mean share of the last text's 2-grams in the first",
    },
}


class Line(NamedTuple):
    """One measure: name, value, gold's value or None, meaning ("" if that of the line above)."""

    name: str
    value: float
    gold: float | None
    meaning: str


def tables(found: Measured) -> dict[str, list[Line]]:
    """Title of each group -> its measures, without those that were not measured."""
    groups = {title: list(lines(found, names)) for title, names in GROUPS.items()}
    return {title: own for title, own in groups.items() if own}


def lines(found: Measured, names: dict[str, str]) -> Iterator[Line]:
    """The measures called `names`, as far as they were measured."""
    for name, meaning in names.items():
        labels = found.data.task.labels if name.endswith("/") else [""]
        keys = [key for label in labels if (key := f"{name}{label}") in found.metrics]
        for key in keys:
            gold = found.metrics.get(f"gold_{key.removeprefix('compared_')}")
            if f"compared_{key}" in found.metrics:
                gold = None
            yield Line(key, found.metrics[key], gold, meaning if key == keys[0] else "")


def shown(value: float | None) -> str:
    """A value to three digits; "" for None."""
    if value is None:
        return ""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
