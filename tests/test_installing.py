"""How a person gets an extra: the command that is named works, wherever mmsearch was installed from."""

from __future__ import annotations

import shlex
import subprocess
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mmsearch.cli import installing
from mmsearch.cli.installing import install_extra, install_package
from mmsearch.errors import Remedy
from mmsearch.output.unread import unread_said

# A backend that packs a checkout of two extras, without any other package.
_BACKEND = """
import zipfile

NAME = "mmsearch-9.9-py3-none-any.whl"
INFO = "mmsearch-9.9.dist-info"
METADATA = "Metadata-Version: 2.1\\nName: mmsearch\\nVersion: 9.9\\nProvides-Extra: video\\nProvides-Extra: raw\\n"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/{NAME}", "w") as wheel:
        wheel.writestr(f"{INFO}/METADATA", METADATA)
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return NAME


build_editable = build_wheel
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "the checkout"
    folder.mkdir()
    (folder / "backend.py").write_text(_BACKEND)
    (folder / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "backend"\n')
    with (folder / "pyproject.toml").open("a") as project:
        project.write('backend-path = ["."]\n')
    (folder / "constraints.txt").write_text("nothing-of-that-name==1\n")
    return folder


def install(*arguments: str | Path, place: Path) -> str:
    """Runs pip without a network, and what it says."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--upgrade"]
    done = subprocess.run([*pip, "--target", place, *arguments], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def arguments_in(command: str) -> list[str]:
    """What is given to pip by a command that is named between backticks."""
    assert command.startswith("`") and command.endswith("`")
    python, *rest = shlex.split(command.strip("`"))
    assert (python, rest[:3]) == (sys.executable, ["-m", "pip", "install"])
    return rest[3:]


def test_an_extra_comes_from_the_checkout_that_mmsearch_came_from(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(checkout, place=tmp_path / "there")
    monkeypatch.syspath_prepend(tmp_path / "there")
    named = arguments_in(install_extra("video,raw"))
    assert named == ["-c", f"{checkout}/constraints.txt", f"{checkout}[video,raw]"]
    assert "installed mmsearch-9.9" in install(*named, place=tmp_path / "again")
    # The checkout has gone: it is named as any.
    checkout.rename(tmp_path / "elsewhere")
    assert install_extra("video").endswith("'.[video]'` in the folder of mmsearch's source")


@pytest.mark.slow
def test_a_checkout_that_runs_where_it_lies_goes_on_doing_so(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("-e", checkout, place=tmp_path / "there")
    monkeypatch.syspath_prepend(tmp_path / "there")
    named = arguments_in(install_extra("video"))
    assert named[-2:] == ["-e", f"{checkout}[video]"]
    assert "installed mmsearch-9.9" in install(*named, place=tmp_path / "again")


@pytest.mark.slow
def test_an_extra_comes_from_the_wheel_that_mmsearch_came_from(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, object] = {}
    exec(_BACKEND, scope)
    wheel = tmp_path / str(scope["build_wheel"](tmp_path))  # type: ignore[operator]
    assert zipfile.is_zipfile(wheel)
    install(wheel, place=tmp_path / "there")
    monkeypatch.syspath_prepend(tmp_path / "there")
    named = arguments_in(install_extra("video"))
    assert named == [f"{wheel}[video]"]
    assert "installed mmsearch-9.9" in install(*named, place=tmp_path / "again")


def test_of_what_came_from_a_web_server_no_place_on_the_disk_is_named(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, object] = {}
    exec(_BACKEND, scope)
    wheel = str(scope["build_wheel"](tmp_path))  # type: ignore[operator]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        install(f"http://127.0.0.1:{server.server_port}/{wheel}", place=tmp_path / "there")
        server.shutdown()
    monkeypatch.syspath_prepend(tmp_path / "there")
    # A folder of that name is none that anything was taken from.
    (tmp_path / "?").mkdir()
    (tmp_path / "?" / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert install_extra("video").endswith("'.[video]'` in the folder of mmsearch's source")


def test_an_extra_comes_from_an_index_where_mmsearch_came_from_one(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(checkout, place=tmp_path / "there")
    (noted,) = (tmp_path / "there").glob("*.dist-info/direct_url.json")
    noted.unlink()  # pip writes none for what comes from an index
    monkeypatch.syspath_prepend(tmp_path / "there")
    assert arguments_in(install_extra("video")) == ["mmsearch[video]"]


def test_uv_is_named_where_the_environment_has_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "find_spec", lambda name: None)
    assert install_package("gcsfs") == f"`uv pip install --python {sys.executable} gcsfs`"


def test_windows_is_given_the_quotes_that_its_shells_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\Python\python.exe")
    monkeypatch.setattr(installing, "_taken_from", lambda: None)
    assert install_extra("ocr") == r'`"C:\Program Files\Python\python.exe" -m pip install mmsearch[ocr]`'


def test_what_is_not_read_names_the_extras_and_the_option_that_would_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from mmsearch import reading
    from mmsearch.cli.remedies import worded

    absent = replace(reading.document.READER, extensions=frozenset(), wanting=lambda: {".mp4": "video", ".cr2": "raw"})
    monkeypatch.setattr(reading, "READERS", [absent])
    said = unread_said({".mp4": 3, ".cr2": 2, ".zip": 1}, {".zip"}, worded)
    assert said == (
        "3 .mp4, 2 .cr2, 1 .zip; `mmsearch index FOLDER --archives` looks into .zip; the extra raw reads .cr2, "
        f"the extra video reads .mp4; install them with {install_extra('raw,video')}"
    )
    assert unread_said({".zip": 1}, (), worded) == "1 .zip"
    assert unread_said({".mp4": 1}, (), lambda message, remedy: f"{message} {remedy}") == (
        f"1 .mp4; the extra video reads .mp4 {Remedy('extra', 'video')}"
    )
