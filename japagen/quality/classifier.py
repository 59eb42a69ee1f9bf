"""Cross-validated scores of cheap classifiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from japagen.quality.data import SEED

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5


def folds(labels: Sequence[str]) -> Any:
    """Five folds with the same share of each label, fewer for rare labels; None below two."""
    from sklearn.model_selection import StratifiedKFold

    counts = Counter(labels)
    number = min(FOLDS, *counts.values()) if len(counts) > 1 else 0
    return StratifiedKFold(number, shuffle=True, random_state=SEED) if number > 1 else None


def characters() -> Any:
    """A linear classifier of the 1- to 3-grams of characters in a text."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    counts = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), sublinear_tf=True, lowercase=False
    )
    return make_pipeline(counts, LinearSVC(random_state=SEED, class_weight="balanced"))


def numbers() -> Any:
    """A classifier of a few numbers of each row."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        max_depth=3, min_samples_leaf=5, class_weight="balanced", random_state=SEED
    )


def dense(rows: int) -> Any:
    """A classifier of vectors, which gives probabilities.

    The regularisation is strong, or wrong labels would be fitted: its strength was chosen on gold
    train rows of hotel reviews with 20 % of the labels flipped.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / rows, max_iter=300))


def score(made: Any, features: Sequence[Any], labels: Sequence[str]) -> float | None:
    """Balanced accuracy of the classifier `made` in cross-validation, from 0 to 1.

    The mean over labels of the share of rows that are found; chance is 1 / labels. None if a label
    has fewer than two rows. Source: Brodersen et al. 2010, "The Balanced Accuracy and Its Posterior
    Distribution".
    """
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import cross_val_predict

    parts = folds(labels)
    if parts is None:
        return None
    predicted = cross_val_predict(made, features, labels, cv=parts)
    return float(balanced_accuracy_score(labels, predicted))


def separation(made: Any, one: Any, other: Any) -> float | None:
    """Area under the ROC curve of a classifier that separates two samples, from 0 to 1.

    The probability that, of one row of each, it finds out which is which: 0.5 if they have the same
    distribution, 1 if they share nothing. Cross-validated. `one`, `other`: lists of texts, or
    matrices. Source: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests".
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    sides = ["one"] * len(one) + ["other"] * len(other)
    parts = folds(sides)
    if parts is None:
        return None
    features = np.concatenate([one, other]) if isinstance(one, np.ndarray) else [*one, *other]
    values = cross_val_predict(made, features, sides, cv=parts, method="decision_function")
    return float(roc_auc_score([side == "other" for side in sides], values))


def probabilities(vectors: np.ndarray, labels: Sequence[str]) -> np.ndarray | None:
    """(rows, labels in alphabetic order) of cross-validated probabilities, or None."""
    from sklearn.model_selection import cross_val_predict

    parts = folds(labels)
    if parts is None:
        return None
    found: np.ndarray = cross_val_predict(
        dense(len(labels)), vectors, labels, cv=parts, method="predict_proba"
    )
    return found
