"""Text without secrets, under the name that it had before it moved to the room config."""

from japagen.config.secret import hidden, without_secrets

__all__ = ["hidden", "without_secrets"]
