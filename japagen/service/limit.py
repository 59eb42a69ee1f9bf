"""The limits of a service: of a batch, of a request, and of what waits."""

from __future__ import annotations

from dataclasses import dataclass

from japagen.config.error import UserError


@dataclass(frozen=True)
class Limits:
    """What a service accepts. `max_bytes` is of a body, `max_chars` of one text.

    Raises UserError if a request that is allowed could never be queued.
    """

    batch_size: int = 32
    wait_ms: float = 5.0
    max_waiting: int = 10_000
    max_texts: int = 256
    max_chars: int = 10_000
    max_bytes: int = 4 * 1024**2

    def __post_init__(self) -> None:
        if self.max_waiting < self.max_texts:
            raise UserError(
                f"--max-waiting {self.max_waiting} is below --max-texts {self.max_texts}: a full "
                f"request could never be queued. Type --max-waiting {self.max_texts} or more"
            )


class Refused(Exception):
    """A request that gets no predictions: the status of the answer and its `detail`."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers
