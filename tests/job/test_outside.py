"""YAMLs from outside name no code, wherever Hydra finds them, and none is loaded in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from omegaconf import DictConfig

from japagen.config import schema
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.job.outside import checked, code_problems

TASK = "name: t\ninputs: [sentence]\nlabels: [a, b]\ndescription: x\n"
FILE = "{_target_: logging.FileHandler, filename: made}"


def composed(folder: Path, *words: str) -> DictConfig:
    """What Hydra composes with the YAMLs in `folder`."""
    schema.register(GenerateConfig)
    search = f"hydra.searchpath=[file://{folder}]"
    with checked(words, refuse), initialize_config_dir(str(schema.CONF), version_base="1.3"):
        return compose("generate", overrides=[search, *words], return_hydra_config=True)


def refuse(lines: list[str]) -> None:
    raise UserError("\n".join(lines))


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "files"),
    [
        ("llm=mine", {"llm/mine.yaml": "_target_: os.system\nname: mine\n"}),
        ("llm=mine", {"llm/mine.yaml": "_target_: japagen.files.os.system\nname: mine\n"}),
        ("prompt=mine", {"prompt/mine.yaml": "a: [{b: {_target_: builtins.eval}}]\n"}),
        ("llm=mine", {"llm/mine.yaml": "name: mine\nallowed_targets: [os]\n"}),
        (
            "task=t",
            {
                "task/t.yaml": f"{TASK}defaults: [sub: e, _self_]\n",
                "task/sub/e.yaml": f"# @package hydra.callbacks\nevil: {FILE}\n",
            },
        ),
        (
            "task=t",
            {
                "task/t.yaml": f"{TASK}defaults: [/evil: [e], _self_]\n",
                "evil/e.yaml": f"# @package hydra.callbacks\nevil: {FILE}\n",
            },
        ),
        (
            "llm=x",
            {
                "llm/x.yaml": "# @package _global_\nhydra: {job_logging: {handlers: {evil: "
                '{"()": logging.FileHandler, filename: made}}}}\n'
            },
        ),
        (
            "llm=x",
            {
                "llm/x.yaml": "defaults: [/evil@hydra.job_logging.handlers.file: e, _self_]\n",
                "evil/e.yaml": "filename: made\nmode: w\n",
            },
        ),
        (
            "llm=x",
            {
                "llm/x.yaml": "a: !!python/object/apply:pathlib.PosixPath [made]\n"
                f"b: {FILE}\nname: x\n"
            },
        ),
        ("llm=x", {"llm/x.yaml": "# @package _global_.hydra.callbacks\na: {b: 1}\n"}),
        ("+hydra/callbacks=x", {"hydra/callbacks/x.yaml": "a: {b: 1}\n"}),
        ("llm=x", {"llm/x.yaml": "# @package _global_\nhydra: {job: {env_set: {A: b}}}\n"}),
        ("llm=x", {"llm/x.yaml": "a: [ext://os.system]\n"}),
    ],
)
def test_code_is_refused(
    word: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "yamls", files)
    with pytest.raises(UserError, match=r"yaml"):
        composed(tmp_path / "yamls", word)
    assert not Path("made").exists()


def test_a_listed_package_and_options_of_a_sweep_are_not_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "llm/base.yaml": "_target_: mine.engine.Engine\n",
            "llm/mine.yaml": "defaults: [base, _self_]\nname: mine\n",
            "experiment/all.yaml": "# @package _global_\ndefaults: [{override /llm: mine}]\n"
            "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}, sweep: {dir: here}}\n",
        },
    )
    with pytest.raises(UserError, match=r"base\.yaml: _target_ is 'mine\.engine\.Engine'"):
        composed(tmp_path, "experiment=all")
    with pytest.raises(UserError, match="mine"):
        composed(tmp_path, "llm=mine", "allowed_targets=[theirs]")
    config = composed(tmp_path, "experiment=all", "allowed_targets=[mine]")
    assert config.hydra.sweep.dir == "here"


def test_ordinary_names_and_harmless_options_are_not_refused() -> None:
    content = {
        "labels": ["class", "club"],
        "wording": {"labels": {"class": "授業", "handlers": "係"}},
        "hydra": {"verbose": True, "job": {"chdir": False}, "output_subdir": None},
    }
    assert not list(code_problems("t.yaml", "task/t", "_global_", content, []))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: &a [*a]\n", "cannot be read"),
        (b"a: [\n", "cannot be read"),
        ("name: 日本".encode("cp932"), "is not UTF-8"),
        (b"a: " + b"[" * 5000, "cannot be read"),
    ],
)
def test_a_yaml_that_cannot_be_read_is_one_message(
    data: bytes, message: str, tmp_path: Path
) -> None:
    write(tmp_path, {"llm/mine.yaml": ""})
    (tmp_path / "llm/mine.yaml").write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        composed(tmp_path, "llm=mine")
    assert "llm/mine.yaml" in str(error.value)


def test_checks_end_with_the_command() -> None:
    files = SourcesRegistry.instance().types["file"]
    before = files.load_config
    with checked([], refuse):
        assert files.load_config is not before
    assert files.load_config is before
