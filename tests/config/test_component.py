"""A class named by a YAML: found, and its options checked against its own signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from japagen.config import component
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from tests.conftest import Compose

MODULE = """
from dataclasses import dataclass

from japagen.config.error import Unusable
from japagen.config.limit import limited
from japagen.training.losses import RowLoss


@dataclass
class Focal(RowLoss):
    gamma: float = limited(2.0, least=0)
    floor: int | None = None
    on: bool = True

    def __post_init__(self):
        if not self.on and self.floor:
            raise Unusable("loss.floor needs loss.on=true")
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options that name a class in a module outside the package."""
    (tmp_path / "focal.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "focal", raising=False)
    return {"name": "focal", "_target_": "focal.Focal"}


def test_a_class_of_another_package_is_made(options: dict[str, Any]) -> None:
    made, problems = component.make("loss", {**options, "gamma": 3, "floor": None}, ["focal"])
    assert problems == []
    assert (made.name, made.gamma, made.floor, made.class_weights) == ("focal", 3, None, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gama": 1.0}, "loss.gama is not an option of loss=focal; options: class_weights, floor"),
        ({"gama": 1.0}, "did you mean 'gamma'?"),
        ({"gamma": -1}, "loss.gamma is -1; it must be 0 or more, e.g. loss.gamma=2.0"),
        ({"gamma": "high"}, "loss.gamma is 'high'; it must be a number, e.g. loss.gamma=2.0"),
        ({"gamma": True}, "loss.gamma is True; it must be a number"),
        ({"gamma": None}, "loss.gamma is None; it must be a number"),
        ({"floor": 1.5}, "loss.floor is 1.5; it must be a whole number or null"),
        ({"on": 1}, "loss.on is 1; it must be true or false"),
        ({"on": False, "floor": 3}, "loss.floor needs loss.on=true"),
        ({"name": "other"}, "To use another loss type loss=other"),
        ({"_target_": "focal.Absent"}, "loss=focal: cannot import focal.Absent"),
        ({"_target_": "nowhere.focal.Focal"}, "cannot import nowhere.focal.Focal"),
        (
            {"name": "os", "_target_": "japagen.files.os.system"},
            "which would run code of that name",
        ),
        ({"name": "os", "_target_": "os.system"}, "which would run code of that name"),
        ({"_target_": None}, "the class of this YAML is in the module ''"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], given: Any, message: str) -> None:
    made, problems = component.make("loss", {**options, **given}, ["focal", "nowhere"])
    assert made is None
    assert message in "\n".join(problems)


def test_a_required_option_is_named() -> None:
    from dataclasses import dataclass

    @dataclass
    class Needy:
        name: str
        path: str

    assert list(component.option_problems("data", Needy, {"name": "needy"})) == [
        "data=needy needs data.path"
    ]


@pytest.mark.slow
def test_a_new_loss_is_one_module_and_one_yaml(composed: Compose, options: dict[str, Any]) -> None:
    words = [f"loss.{key}={value}" for key, value in options.items()]
    allowed = "allowed_targets=[focal]"
    with pytest.raises(UserError, match=r"add allowed_targets=\[focal\]"):
        check(composed("train", "+loss.gamma=1.5", *words), TrainConfig)
    config = check(composed("train", "+loss.gamma=1.5", allowed, *words), TrainConfig)
    assert (config.loss.name, config.loss.gamma) == ("focal", 1.5)
    with pytest.raises(UserError, match=r"loss\.gamma is -2"):
        check(composed("train", "+loss.gamma=-2", allowed, *words), TrainConfig)
