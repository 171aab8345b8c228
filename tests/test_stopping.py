"""Ctrl-C ends a command wherever it comes, also while SQLite calls a function for a row."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from interrupting import hooked

# In the number-th row whose checksum SQLite asks for.
SIGNALLED = """
def changed(module):
    plain, calls = module.values_checksum, []
    def signalled(*values):
        calls.append(values)
        if len(calls) == {number}:
            os.kill(os.getpid(), {sent})
        return plain(*values)
    module.values_checksum = signalled
"""
SIGNALLED_AT_ITS_START = """
import signal
def changed(module):
    app = module.app
    def signalled(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        return app(*arguments, **options)
    module.app = signalled
"""
HERE = Path(__file__).parents[1]


def stopped(
    tmp_path: Path, library: Path, command: list[str], sent: signal.Signals, number: int
) -> subprocess.CompletedProcess[str]:
    code = SIGNALLED.format(number=number, sent=int(sent))
    return run(library, command, hooked(tmp_path, "mmsearch.store.checksums", code))


def run(library: Path, command: list[str], hooks: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(library), **hooks}
    return subprocess.run(
        [sys.executable, "-m", "mmsearch", *command],
        env=environment, cwd=HERE, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["search dog", "search --sort date", "clusters", "duplicates", "label dog cat"])
@pytest.mark.parametrize("number", [1, 4])
def test_ctrl_c_while_the_library_is_read_is_no_error_of_it(
    indexed: Path, tmp_path: Path, command: str, number: int
) -> None:
    done = stopped(tmp_path, indexed, command.split(), signal.SIGINT, number)
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr and "damaged" not in done.stderr


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_while_it_writes_a_row_goes_on_later(
    photos: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(photos, tree)
    command = ["index", str(tree), "--workers", "1"]
    done = stopped(tmp_path, tmp_path / "library", command, sent, 20)
    assert done.returncode == code
    assert "goes on from there" in done.stderr and "Traceback" not in done.stderr
    again = stopped(tmp_path, tmp_path / "library", command, sent, -1)
    assert again.returncode == 0 and "searchable" in again.stdout


def test_ctrl_c_before_a_command_has_begun_is_told_by_the_exit_code_alone(indexed: Path, tmp_path: Path) -> None:
    done = run(indexed, ["search", "dog"], hooked(tmp_path, "mmsearch.cli", SIGNALLED_AT_ITS_START))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
