"""Packages of the wheel: japagen, and conf/ as japagen/conf/, where config/schema.py finds it."""

from pathlib import Path

from setuptools import find_packages, setup

groups = [path.name for path in sorted(Path("conf").iterdir()) if path.is_dir()]
places = {f"japagen.conf.{name}": f"conf/{name}" for name in groups} | {"japagen.conf": "conf"}
setup(
    packages=[*find_packages(include=["japagen*"]), *places],
    package_dir=places,
    package_data={
        "japagen": [
            "py.typed",
            "report/*.css",
            "report/*.jinja",
            "quality/*.css",
            "quality/*.jinja",
        ],
        **{name: ["*.yaml"] for name in places},
    },
)
