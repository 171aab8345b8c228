"""What is said of models."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmsearch.output import SCHEMA_VERSION, visible

if TYPE_CHECKING:
    from mmsearch.optimising import Optimised


def summary(made: Optimised) -> str:
    """A few lines for a person."""
    lines = [f"{visible(made.folder)}, {made.bytes / 1e6:,.0f} MB"]
    for form, agreements in (("exact export", made.float32), ("8 bits", made.int8)):
        lines += [
            f"{form}: cosine with the original {one.mean:.4f}, at least {one.lowest:.4f} ({one.items} {one.tower})"
            for one in agreements
        ]
    return "\n".join([*lines, f"Use it with `mmsearch index FOLDER --model {visible(made.folder)}`."])


def optimised_as_json(made: Optimised) -> dict[str, Any]:
    """As docs/json.md tells."""
    return {"schema_version": SCHEMA_VERSION, **asdict(made)}
