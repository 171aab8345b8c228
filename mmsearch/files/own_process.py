"""A function of mmsearch in a process of its own."""

from __future__ import annotations

import os
import sys

# Not by -m, which would look for modules in the current folder first: that may be one full of other people's files.
_SCRIPT = """
import sys
sys.path[:] = sys.argv[3:]
from importlib import import_module
module, _, name = sys.argv[1].partition(":")
getattr(import_module(module), name)(sys.argv[2])
"""


def command_for(function: str, argument: str) -> list[str]:
    """The command that calls `function` ("package.module:name") with that argument; it finds the modules that we do."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-c", _SCRIPT, function, argument, *filter(None, sys.path), package]
