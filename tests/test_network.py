"""Nothing leaves the machine, and nothing is left behind in a home but mmsearch's own files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import compound_writer
import pytest
from office_files import picture

# Ends the process where Python code asks for a name or a connection.
HOOK = """
import os, sys
def _no_network(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") or event.startswith("socket.get"):
        if event != "socket.gethostname":
            os.write(2, f"NETWORK {event} {arguments}\\n".encode())
            os._exit(86)
sys.addaudithook(_no_network)
"""
# That of onnxruntime looks up its host some eight seconds after it was loaded, and again and again.
SECONDS_OPEN = 14.0


class Home:
    """A fresh home, and commands that are run in it: Python's own calls end them, native ones are written down."""

    def __init__(self, folder: Path, is_traced: bool) -> None:
        self.folder = folder / "home"
        self.folder.mkdir()
        hook = folder / "hook"
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(HOOK)
        self._trace = folder / "trace" if is_traced else None
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "MMSEARCH_", "HF_", "ORT_", "DO_NOT_TRACK", "TRANSFORMERS_"))
        }
        paths = [str(hook), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {
            **kept, "HOME": str(self.folder), "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"
        }  # fmt: skip

    def run(self, *arguments: str | Path, lines: list[str] | None = None) -> str:
        """What the command prints; `lines` are given to it one by one, while it stays open for long enough."""
        command = [sys.executable, "-m", "mmsearch", *map(str, arguments)]
        if self._trace:
            command = ["strace", "-f", "-qq", "-e", "trace=network", "-A", "-o", str(self._trace), *command]
        process = subprocess.Popen(
            command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert process.stdin is not None
        for line in lines or ():
            process.stdin.write(line + "\n")
            process.stdin.flush()
            if self._trace:
                time.sleep(SECONDS_OPEN / len(lines or ()))
        said, troubles = process.communicate(timeout=120)
        assert process.returncode == 0, troubles
        assert "NETWORK" not in troubles
        return said

    def connections(self) -> list[str]:
        """The system calls by which a name was looked up or a connection opened; pairs of sockets are none."""
        assert self._trace is not None
        return [
            line for line in self._trace.read_text().splitlines() if re.search(r"\b(socket|connect|send\w+)\(", line)
        ]

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if not path.is_dir())


@pytest.fixture(params=["asked for by Python", "of native code"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    is_traced = request.param == "of native code"
    if is_traced:
        if shutil.which("strace") is None:
            pytest.skip("strace, which sees the system calls of native code, is not installed")
        if subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
            pytest.skip("strace may not trace here")
    yield Home(tmp_path, is_traced)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="a home is laid out otherwise there")
def test_no_command_opens_a_connection_or_leaves_foreign_files(fresh: Home, photos: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.jsonl"
    shown = {"cat.png": "a cat", "coffee.png": "a cup of coffee", "rocket.jpg": "a rocket"}
    lines = [json.dumps({"file": str(photos / "photos" / name), "captions": [text]}) for name, text in shown.items()]
    captions.write_text("\n".join(lines))
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "a.msg").write_bytes(compound_writer.mail("Saturday", "Ada", "Bob", "Hi", {"cat.png": picture()}))
    fresh.run("index", photos, letters)
    assert fresh.run("search", "--batch", "-", "--json", lines=["a cat on a sofa", "a cup of coffee", "a rocket"])
    fresh.run("search", "--image", photos / "photos" / "cat.png")
    asked = [
        {"method": "initialize", "params": {"protocolVersion": "2025-11-25"}},
        {"method": "tools/call", "params": {"name": "search", "arguments": {"query": "a cat", "thumbnails": True}}},
        {"method": "tools/call", "params": {"name": "duplicates"}},
    ]
    requests = [json.dumps({"jsonrpc": "2.0", "id": number, **request}) for number, request in enumerate(asked)]
    assert fresh.run("mcp", lines=requests).count('"result"') == len(asked)
    fresh.run("eval", captions)
    for arguments in (["models"], ["status"], ["doctor"]):
        fresh.run(*arguments)
    if fresh._trace is not None:
        assert fresh.connections() == []
    foreign = [name for name in fresh.files() if not name.startswith((".local/share/mmsearch/", ".cache/mmsearch/"))]
    assert foreign == []
