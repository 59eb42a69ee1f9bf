"""The versions that the checks install: all direct requirements, each inside its range."""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from japagen.config.schema import CONF
from tests.commands import ROOT

# Installed for one use each, in environments of their own.
ALONE = {"vllm", "slurm", "ray", "mutation"}


def requirements() -> Iterator[Requirement]:
    """What setup.cfg requires, without extras of our own."""
    found = ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = found["options.extras_require"]
    texts = [found["options"]["install_requires"]]
    for text in [*texts, *(extras[name] for name in extras if name not in ALONE)]:
        for line in text.splitlines():
            if line.strip() and not line.strip().startswith(("#", "japagen[")):
                yield Requirement(line)


def constraints() -> dict[str, str]:
    """Name -> version."""
    lines = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


@pytest.mark.parametrize("one", requirements(), ids=str)
def test_each_requirement_has_a_version_inside_its_range(one: Requirement) -> None:
    assert one.specifier.contains(constraints()[canonicalize_name(one.name)])


def test_the_file_holds_for_every_machine() -> None:
    text = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8")
    assert re.fullmatch(r"([a-z0-9-]+==[0-9][0-9a-z.]*\n)+", text), "no paths, no local versions"
    names = [line.partition("==")[0] for line in text.splitlines()]
    assert names == sorted(set(names))


def test_the_readme_command_is_run_with_and_without_them() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text("utf-8"))["jobs"]
    runs = {name: [step.get("run", "") for step in job["steps"]] for name, job in jobs.items()}
    assert ".ci/run" in runs["pinned"]
    assert ".ci/run newest" in runs["newest"]
    assert any("pip-audit" in line and ".ci/constraints.txt" in line for line in runs["audit"])
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.count('bash -euo pipefail -c "$command"') == 2
    assert "$PWD/.ci/constraints.txt" in script


@pytest.mark.parametrize("path", sorted((CONF / "task").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_downloaded_gold_file_has_its_checksum(path: Path) -> None:
    gold = yaml.safe_load(path.read_text(encoding="utf-8")).get("gold") or {}
    missing = set(gold.get("urls") or ()) - set(gold.get("sha256") or ())
    # Of these two no published copy was at hand to compute it from.
    assert missing <= {"livedoor/ldcc-20140209.tar.gz", "jnli-v1.3/train-v1.3.json"}
