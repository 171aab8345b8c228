"""The command that installs an extra into the environment that runs: from where mmsearch itself was installed."""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path


def in_shell(word: str) -> str:
    """The word, which may be a path, as the shell of this system takes it for one."""
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline([word])
    return shlex.quote(word)


def install_package(name: str) -> str:
    """The command that installs a package beside mmsearch."""
    return f"`{_installer()} {in_shell(name)}`"


def install_extra(extra: str) -> str:
    """The command that installs an extra of mmsearch, or several with commas between them.

    An installer notes where it took a package from, if that was no index: a checkout or a wheel. What lies there still
    is named, so that the command works in any folder.
    """
    noted = _taken_from()
    if noted is None:
        return f"`{_installer()} {in_shell(f'mmsearch[{extra}]')}`"
    place, is_editable = noted
    if place is not None:
        named = in_shell(f"{place}[{extra}]")
        if place.is_file():
            return f"`{_installer()} {named}`"
        if (place / "pyproject.toml").is_file():
            # The constraints keep out gigabytes that torch would bring along for graphics cards.
            constraints = in_shell(str(place / "constraints.txt"))
            return f"`{_installer()} -c {constraints} {'-e ' * is_editable}{named}`"
    quoted = in_shell(f".[{extra}]")  # the quotes are for zsh
    return f"`{_installer()} -c constraints.txt {quoted}` in the folder of mmsearch's source"


def _installer() -> str:
    """Environments that uv has made hold no pip; uv installs into them from outside."""
    python = in_shell(sys.executable)
    return f"uv pip install --python {python}" if find_spec("pip") is None else f"{python} -m pip install"


def _taken_from() -> tuple[Path | None, bool] | None:
    """The folder or the wheel that mmsearch was installed from, and whether it runs from there; None for an index.

    What was taken from a URL of another kind, such as a repository's, has no place on this disk.
    """
    # What commands load before they know that something lacks is to stay little.
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        written = distribution("mmsearch").read_text("direct_url.json")
    except PackageNotFoundError:  # it runs from a checkout that nobody has installed
        return Path(__file__).resolve().parents[2], False
    if written is None:
        return None
    noted = json.loads(written)
    url = urlsplit(noted["url"])
    place = Path(os.path.abspath(url2pathname(url.path))) if url.scheme == "file" else None
    return place, bool(noted.get("dir_info", {}).get("editable"))
