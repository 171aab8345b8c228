"""The file by which a system starts a watcher at each login: a unit of systemd on Linux, a property list on macOS."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mmsearch.errors import NotFound, Unavailable, Unsupported
from mmsearch.files.replacing import write_whole
from mmsearch.output import visible

UNIT_NAME = "mmsearch-watch.service"
LABEL = "mmsearch.watch"
_UNIT = """[Unit]
Description=mmsearch: new files are found within seconds

[Service]
ExecStart={command}
{environment}Restart=on-failure
RestartSec=30
Nice=10
IOSchedulingClass=idle

[Install]
WantedBy=default.target
"""
_SYSTEMCTL = "systemctl --user"


@dataclass(frozen=True)
class Service:
    """The `file` of a service, which `is_there` unless it was removed. `commands` start or end it; `is_done` tells that
    they were run.
    """

    file: str
    is_there: bool
    commands: tuple[str, ...]
    is_done: bool


def install(command: Sequence[str], environment: Mapping[str, str]) -> Service:
    """Writes the file that starts `command` at each login, in that environment, and starts it where that is possible.

    Raises:
        Unsupported: this system has neither systemd nor launchd. Unavailable: the file cannot be written.
    """
    file, is_unit = _file()
    content = unit(command, environment) if is_unit else property_list(command, environment)
    try:
        write_whole(file, lambda opened: opened.write(content), private=False)
    except OSError as error:
        raise Unavailable(f"{file} cannot be written ({error.strerror}).") from error
    if is_unit:
        asked = ("daemon-reload", f"enable {UNIT_NAME}", f"restart {UNIT_NAME}")
        commands = tuple(f"{_SYSTEMCTL} {one}" for one in asked)
    else:
        commands = (f"launchctl bootout {_domain()}/{LABEL}", f"launchctl bootstrap {_domain()} {shlex.quote(file)}")
    return Service(file, True, commands, _run(commands, is_unit))


def uninstall() -> Service:
    """Ends the service, and removes its file.

    Raises:
        NotFound: there is none. Unsupported: this system has neither systemd nor launchd. Unavailable: its file cannot
            be removed.
    """
    file, is_unit = _file()
    if not os.path.lexists(file):
        raise NotFound(f"Nothing is installed: there is no {file}.")
    first = f"{_SYSTEMCTL} disable --now {UNIT_NAME}" if is_unit else f"launchctl bootout {_domain()}/{LABEL}"
    last = (f"{_SYSTEMCTL} daemon-reload",) if is_unit else ()
    is_done = _run([first], is_unit)
    try:
        os.remove(file)
    except OSError as error:
        raise Unavailable(f"{file} cannot be removed ({error.strerror}).") from error
    return Service(file, False, (first, *last), is_done and _run(last, is_unit))


def said(service: Service) -> str:
    """Where its file lies or lay, and what was run or is to be run."""
    what, rest = "written" if service.is_there else "removed", "done" if service.is_done else "now run"
    return "\n".join([f"{visible(service.file)} is {what}; {rest}:", *(f"    {one}" for one in service.commands)])


def unit(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """A unit of systemd for a user."""
    lines = "".join(f"Environment={_for_systemd(f'{name}={value}')}\n" for name, value in sorted(environment.items()))
    # A dollar stands for a variable in a command alone.
    words = " ".join(_for_systemd(word).replace("$", "$$") for word in command)
    return os.fsencode(_UNIT.format(command=words, environment=lines))


def property_list(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """An agent of launchd."""
    import plistlib

    described = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ProcessType": "Background",
    }
    return plistlib.dumps(described)


def _for_systemd(word: str) -> str:
    """A word in quotation marks, as the manual page of systemd.syntax has it; `%` would stand for something else."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'.replace("%", "%%")


def _file() -> tuple[str, bool]:
    """Where the file lies, and whether it is a unit of systemd."""
    if sys.platform == "linux":
        folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
        return os.path.join(folder, "systemd", "user", UNIT_NAME), True
    if sys.platform == "darwin":
        return os.path.join(os.path.expanduser("~"), "Library", "LaunchAgents", f"{LABEL}.plist"), False
    raise Unsupported("This system has neither systemd nor launchd; let its task scheduler start the watcher.")


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _run(commands: Sequence[str], is_unit: bool) -> bool:
    """Runs them, where the user's manager is there. Returns whether all went well."""
    if is_unit and not _succeeds(f"{_SYSTEMCTL} show-environment"):
        return False
    # What is not loaded cannot be ended: that is no failure of what follows.
    results = [_succeeds(command) or "bootout" in command for command in commands]
    return all(results)


def _succeeds(command: str) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(shlex.split(command), capture_output=True, timeout=60, check=False).returncode == 0
    return False
