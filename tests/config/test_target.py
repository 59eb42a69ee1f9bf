"""Classes that a YAML may name."""

from __future__ import annotations

import pytest

from japagen.config.target import target_problems


@pytest.mark.parametrize("target", ["japagen.llm.server.Server", "japagen.callback.Sweep"])
def test_classes_of_the_package_are_allowed(target: str) -> None:
    assert not list(target_problems("llm._target_", target, []))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "japagen",
        "japagenx.llm.Server",
        "japagen.files.os.system",
        "japagen.files.os.Popen",
        "japagen.llm.get_class",
        "builtins.eval",
        "",
        "japagen.llm.server.Server.close",
    ],
)
def test_other_code_is_refused_unless_its_package_is_listed(target: str) -> None:
    (problem,) = target_problems("llm._target_", target, ["mine"])
    assert f"'{target}'" in problem
    assert "allowed_targets=[" in problem


def test_a_listed_package_is_allowed_and_not_its_namesakes() -> None:
    assert not list(target_problems("x", "mine.engine.Engine", ["mine"]))
    assert list(target_problems("x", "minerva.engine.Engine", ["mine"]))
