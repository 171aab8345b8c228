"""What a watcher tells, as lines: what was indexed, and sentences on what else a person should know."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsearch.output import counted, visible
from mmsearch.output.reports import changes, notes, summary

if TYPE_CHECKING:
    from mmsearch.indexing.watching.events import WatchEvent
    from mmsearch.output import Worded


def line(event: WatchEvent) -> str | None:
    """What was indexed, in one line; of a run that looked at a few paths it is not said how many files they hold."""
    if event.report is None:
        return None
    return changes(event.report) if event.paths else summary(event.report)


def sentences(event: WatchEvent, worded: Worded) -> list[str]:
    """What a person should know beside that; `worded` adds what helps."""
    paths = ", ".join(visible(os.fsdecode(path)) for path in event.paths)
    if event.report is not None:
        # Of what is away an event of its own tells.
        return notes(replace(event.report, offline=[]), worded)
    if event.event == "watching":
        count = event.folders or 0
        return [f"watching {counted(count, 'folder')}; stop it with Ctrl-C"]
    if event.event == "offline":
        return [f"{paths}: missing or empty (a drive that is away?); its files stay, and it is waited for"]
    if event.event == "online":
        return [f"{paths}: there again"]
    return [visible(worded(event.message, event.remedy))]
