"""The errors a person can cause, each told in one sentence."""

from __future__ import annotations


class MmsearchError(Exception):
    """Something a person can put right.

    The message is one sentence that says what happened and what to do next; the command line prints it on
    stderr without a traceback and exits with code 2.
    """
