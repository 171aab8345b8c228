"""A server as a process of its own, and requests to it, over plain sockets."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """That of the error."""
        return str(self.json["error"]["code"])


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.address).query)["token"][0]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str | None] | None = None
    ) -> Reply:
        """A request with the token; a header that is None is left out."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, named, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str | None] | None = None, **parameters: Any) -> Reply:
        """A GET of a path of the API, or of another that begins with a slash; `in_` stands for `in`."""
        parameters = {name.rstrip("_"): value for name, value in parameters.items()}
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        return self.ask("GET", (path if path.startswith("/") else f"/api/v1/{path}") + query, headers=headers)

    def send(self, path: str, value: Any, headers: Mapping[str, str | None] | None = None) -> Reply:
        """A POST of JSON."""
        kind = {"Content-Type": "application/json"}
        return self.ask("POST", f"/api/v1/{path}", json.dumps(value).encode(), {**kind, **(headers or {})})

    def upload(self, picture: bytes, **fields: str) -> Reply:
        """A POST of a picture in a form."""
        edge = "an-edge-between-parts"
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = f'--{edge}\r\nContent-Disposition: form-data; name="picture"; filename="../../x.png"\r\n\r\n'
        body = "".join([*parts, head]).encode() + picture + f"\r\n--{edge}--\r\n".encode()
        return self.ask("POST", "/api/v1/search", body, {"Content-Type": f"multipart/form-data; boundary={edge}"})

    def id_of(self, name: str, **parameters: Any) -> str:
        """The id of the file of that name."""
        hits = self.get("search", limit=500, **parameters).json["hits"]
        return str(next(hit["id"] for hit in hits if os.path.basename(hit["path"]) == name))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what was said on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said


@contextmanager
def running(
    library: Path | str, *options: str, cache: Path | None = None, hooks: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`mmsearch serve` of that library."""
    environment = {**os.environ, **({"XDG_CACHE_HOME": str(cache)} if cache else {}), **(hooks or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "mmsearch", "serve", "--library", str(library), "--no-open", *options],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    if not address:
        raise AssertionError(process.stderr.read())
    try:
        yield Server(process, address)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def behind_tls(
    connected: Callable[[], socket.socket],
    certificate: Path,
    key: Path,
    greeted: Callable[[socket.socket], None] = lambda plain: None,
) -> Iterator[int]:
    """A port of this machine at which what is `connected` to is had by TLS, once it has `greeted` who comes."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while block := one.recv(65_536):
                other.sendall(block)
            other.shutdown(socket.SHUT_WR)

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain:
            greeted(plain)
            with trust.wrap_socket(plain, server_side=True) as outer, connected() as inner:
                threading.Thread(target=pass_on, args=(inner, outer), daemon=True).start()
                pass_on(outer, inner)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that only who is told so trusts, for `localhost` and `photos.example`, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=DNS:photos.example,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=photos.example"]
    files = ["-addext", names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return certificate, key


def free_port() -> int:
    """A port that nothing listens at now, of those that a system gives to nobody who has not asked for it by number."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 32_000)
        with suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


def wait_for(port: int, process: subprocess.Popen[Any]) -> None:
    """Waits until the process listens at that port of this machine."""
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10):
            return
        assert process.poll() is None, "it has ended"
        time.sleep(0.05)
