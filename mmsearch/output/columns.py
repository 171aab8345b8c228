"""How much room there is for tables and paragraphs on stdout."""

from __future__ import annotations

import os
import shutil
import sys

# Of a file or a pipe, where nothing is wrapped.
_FILE_WIDTH = 160


def stdout_width() -> int:
    """How many columns a line on stdout may have: those of the terminal, or what COLUMNS says."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else _FILE_WIDTH


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph in lines that have room, each after that indent."""
    import textwrap

    return textwrap.fill(text, stdout_width(), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
