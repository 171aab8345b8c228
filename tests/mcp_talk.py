"""An assistant's side of a talk with `mmsearch mcp`, line by line, also with lines that no client would send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NEWEST = "2025-11-25"


class Talk:
    """A process of `mmsearch mcp` that was greeted. Every line of its stdout is a message, or the test fails."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self._stdin: IO[bytes] = process.stdin
        self._stdout: IO[bytes] = process.stdout
        self._number = 0
        self.size = 0

    def send(self, message: Any) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._stdin.write(line + b"\n")
        self._stdin.flush()

    def receive(self) -> Any:
        """The next message."""
        line = self._stdout.readline()
        assert line.endswith(b"\n"), "it has ended"
        self.size = len(line)
        message = json.loads(line.decode("utf-8"))
        assert all(one["jsonrpc"] == "2.0" for one in (message if isinstance(message, list) else [message]))
        return message

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a request."""
        self._number += 1
        self.send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        answer = self.receive()
        assert answer["id"] == self._number
        return answer

    def greet(self, version: str = NEWEST) -> Any:
        answer = self.ask(
            "initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "test", "version": "1"}
        )
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    def call(self, tool: str, **arguments: Any) -> Any:
        """What a tool gives."""
        answer = self.ask("tools/call", name=tool, arguments=arguments)
        assert "result" in answer, answer
        return answer["result"]

    def fault(self, tool: str, **arguments: Any) -> str:
        """What a tool says that cannot do it."""
        result = self.call(tool, **arguments)
        assert result["isError"] is True, result
        assert "structuredContent" not in result
        (block,) = result["content"]
        assert block["type"] == "text"
        return str(block["text"])

    def end(self) -> int:
        """Hangs up, and gives the exit code."""
        self._stdin.close()
        assert self._stdout.read() == b""
        return self.process.wait(60)


def command() -> list[str]:
    return [sys.executable, "-m", "mmsearch", "mcp"]


@contextmanager
def talk(library: Path, cache: Path | None = None, version: str | None = NEWEST) -> Iterator[Talk]:
    """A talk about a library, that was begun in that version of the protocol."""
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(library)}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    process = subprocess.Popen(
        command(), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        try:
            spoken = Talk(process)
            if version is not None:
                spoken.greet(version)
            yield spoken
        finally:
            process.kill()
