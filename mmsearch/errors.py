"""The errors a person can cause, by kind: each one sentence that says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Remedy:
    """What puts an error right, in the engine's own terms: an action, and what it is done to or with.

    A skin says it in its own words: the command line names a command and its options, a page shows a button.
    """

    action: str
    subject: str = ""


class MmsearchError(Exception):
    """Something a person can put right.

    The message is one sentence that says what is wrong, in words of no particular skin; `code` tells its kind to a
    program, `remedy` what to do about it where that takes a command. The command line prints both on stderr without a
    traceback and exits with code 2.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, remedy: Remedy | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message if self.message.endswith(".") else f"{self.message}."


class NotFound(MmsearchError):
    """What was named is not there: a library, a model, an adapter, a folder."""

    code = "not_found"


class Invalid(MmsearchError):
    """What was given makes no sense: an empty query, a number out of range, a pattern that is none."""

    code = "invalid"


class Busy(MmsearchError):
    """Another process is at it."""

    code = "busy"


class Damaged(MmsearchError):
    """What is stored is not what was written, or of another model."""

    code = "damaged"


class Unavailable(MmsearchError):
    """What is needed is out of reach for now: a disk that is full or away, a network, a device, memory."""

    code = "unavailable"


class Refused(MmsearchError):
    """It could be done and is not, so that nothing is lost or made worse."""

    code = "refused"


class Unsupported(MmsearchError):
    """This installation, this model or this file cannot do it."""

    code = "unsupported"
