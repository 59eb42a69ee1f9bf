"""Upload of a finished dataset to the Hugging Face hub."""

from __future__ import annotations

import logging
from pathlib import Path

from japagen.config.error import UserError
from japagen.dataset.table import CARD, MANIFEST, SOFT, TABLE

log = logging.getLogger(__name__)


def push(folder: Path, name: str) -> None:
    """Upload the dataset in `folder` as the private hub dataset `name`; files there stay.

    The journal and the lock are left out. Raises UserError if the upload fails.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        files = [TABLE, SOFT, MANIFEST, CARD]
        HfApi().upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, allow_patterns=files
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(
            f"push_to_hub={name} failed: {error}\n"
            f"The dataset in {folder} is complete. Run `hf auth login`, then repeat the command."
        ) from error
    log.info("uploaded to the hub as the private dataset %s", name)
