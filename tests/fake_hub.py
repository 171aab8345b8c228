"""A model hub on this machine: serves folders as repositories, as the real one does, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = 2_000  # bytes: larger files have a SHA-256, as those in git LFS have, smaller ones a git blob id
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Repositories by name; `cut` are files that break off half-way, `twisted` ones that arrive with other bytes."""

    def __init__(self, repositories: dict[str, Path]) -> None:
        self.repositories = repositories
        self.cut: set[str] = set()
        self.twisted: set[str] = set()
        self.sent: list[str] = []
        self.asked: list[str] = []
        self.endpoint = ""

    def files(self, repository: str) -> dict[str, bytes]:
        folder = self.repositories[repository]
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _sibling(name: str, content: bytes) -> dict[str, object]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    found: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": blob}
    if len(content) > LARGE:
        found["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return found


@contextmanager
def serving(repositories: dict[str, Path]) -> Iterator[FakeHub]:
    """A hub at `endpoint` of the loopback interface, as long as the block runs."""
    hub = FakeHub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            for repository in hub.repositories:
                asked, _, revision = path.partition("/revision/")
                if asked == f"/api/models/{repository}":
                    return self.describe(repository, revision)
                if path.startswith(f"/{repository}/resolve/"):
                    revision, _, name = path.removeprefix(f"/{repository}/resolve/").partition("/")
                    return self.give(repository, revision, name, body)
            return self.refuse("RepoNotFound")

        def describe(self, repository: str, revision: str) -> None:
            hub.asked.append(revision)
            if revision not in ("", "main", "v1", COMMIT):
                return self.refuse("RevisionNotFound")
            siblings = [_sibling(name, content) for name, content in sorted(hub.files(repository).items())]
            told = {"id": repository, "sha": COMMIT, "siblings": siblings, "private": False, "gated": False}
            return self.send(json.dumps(told).encode(), {"Content-Type": "application/json"}, body=True)

        def give(self, repository: str, revision: str, name: str, body: bool) -> None:
            content = hub.files(repository).get(name)
            if content is None or revision not in ("main", COMMIT):
                return self.refuse("EntryNotFound")
            digest = hashlib.sha256(content).hexdigest()
            headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(content))}
            if not body:
                return self.send(content, headers, body=False)
            hub.sent.append(name)
            if name in hub.twisted:
                content = content[:-1] + bytes([content[-1] ^ 1])
            self.send(content, headers, body=True, upto=len(content) // 2 if name in hub.cut else None)
            return None

        def send(self, content: bytes, headers: dict[str, str], body: bool, upto: int | None = None) -> None:
            self.send_response(200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[:upto])
            if upto is not None:
                self.wfile.flush()
                self.close_connection = True

        def refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
