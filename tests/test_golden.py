"""The bytes of whole datasets: if they change, FORMAT must, so that old replies stay apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from japagen.command import generate
from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity
from japagen.dataset.table import SOFT, TABLE
from tests.conftest import Compose
from tests.toys import write_toys

# Options -> the beginning of the SHA-256 of the dataset's files, for FORMAT as it is now.
FORMAT = 3
GOLDEN = {
    "task=marc_ja": "a1f4672bd53a47a0",
    "task=jsts": "fb47bd45b30c1ff7",
    "task=jnli": "ac0ab904d0f0056c",
    "task=jcola": "f8a2a960b3f243d4",
    "task=news": "fde2a0790784e946",
    "task=covid19": "2ddfa26ec68102f2",
    "task=jnli prompt=knowledge": "47e34cfa7ded2a83",
    "task=jnli prompt.joint=inputs": "8f3496b4e829df1b",
    "task=jnli prompt.premise=shared": "73cd15477c541239",
    "task=jcola shots=2 shots_scope=all": "40ac94e4a3867937",
    "task=jnli filter=verified": "4d067802c011753e",
    "task=jnli filter=relabelled question.calibrate=true": "fe04b3109db9e312",
    "task=jsts filter=soft filter.min_confirmed=0 max_shortfall=1": "eec1ab69145eec96",
    "task=jcola llm.engine.malformed_rate=0.5": "fa0fc4211ecc2004",
}


@pytest.mark.parametrize("options", GOLDEN)
def test_the_same_options_give_the_same_bytes(
    composed: Compose, tmp_path: Path, options: str
) -> None:
    gold = write_toys(tmp_path / "gold")
    words = ["num_per_label=3", f"gold_dir={gold}", *options.split()]
    cfg = composed("generate", *words)
    generate.run(cfg)
    folder = identity.of(check(cfg, GenerateConfig)).folder
    files = [folder / name for name in (TABLE, SOFT) if (folder / name).exists()]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    assert (identity.FORMAT, digest) == (FORMAT, GOLDEN[options]), (
        "The same options now give another dataset. If that is meant, raise FORMAT in "
        "japagen/dataset/identity.py once for all changes, and update GOLDEN."
    )
