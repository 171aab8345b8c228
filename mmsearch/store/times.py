"""Moments as stores hold them."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """The present moment in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
