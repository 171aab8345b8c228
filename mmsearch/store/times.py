"""Moments as stores hold them."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """The present moment in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def nanoseconds(moment: datetime) -> int:
    """A local time in nanoseconds since 1970, as far as integers of 64 bits reach."""
    try:
        return max(-(2**63), min(2**63 - 1, int(moment.timestamp()) * 1_000_000_000))
    except (OverflowError, OSError, ValueError):  # what the platform's clock cannot tell
        return 2**63 - 1 if moment.year > 1970 else -(2**63)
