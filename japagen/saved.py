"""The loader under the name that MLflow models of earlier versions have in their MLmodel."""

from japagen.student.saved import _load_pyfunc

__all__ = ["_load_pyfunc"]
