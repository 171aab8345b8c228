"""A small server for monitors and those who look whether a worker runs: `/metrics` and `/health`, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from mmsearch.errors import Invalid, Unavailable
from mmsearch.library import Library
from mmsearch.server.exposition import MEDIA_TYPE, lines
from mmsearch.server.team_metrics import TeamMetrics

_LOOPBACK = "127.0.0.1"
# Who sends nothing is let go of.
_PATIENCE_SECONDS = 10


def address_in(text: str) -> tuple[str, int]:
    """The host and port of `PORT` or `HOST:PORT`; without a host, this machine alone can ask.

    Raises:
        Invalid: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65535 or (":" in text and not host):
        raise Invalid(f"{text} is no port to listen at; write 9187, or 0.0.0.0:9187 for other machines to ask too.")
    return host.strip("[]") or _LOOPBACK, int(port)


@contextmanager
def monitored(library: Library, address: tuple[str, int]) -> Iterator[str]:
    """Tells who asks there of the library, as long as the block lasts. Gives the URL of the metrics.

    Raises:
        Unavailable: the port is taken, or there is no such address.
    """
    host, port = address
    try:
        server = _Server(TeamMetrics(library.opened_again), host, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unavailable(f"Nothing can listen at {host}, port {port} ({reason}); choose another port.") from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # who reads slowly does not hold up the worker's end

    def __init__(self, metrics: TeamMetrics, host: str, port: int) -> None:
        self.metrics = metrics
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without asking the network what this machine is called

    def handle_error(self, request: object, client_address: object) -> None:
        """Who goes away in the middle of an answer is no trouble of the worker's."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answers one request."""
        path = self.path.partition("?")[0]
        if path == "/health":
            self._answer(200, "application/json", '{"status":"ok"}\n')
        elif path == "/metrics":
            told = "".join(f"{line}\n" for line in lines(self.server.metrics.families()))
            self._answer(200, MEDIA_TYPE, told)
        else:
            self._answer(404, "text/plain; charset=utf-8", "There are /metrics and /health.\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "mmsearch"

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is said of who asks."""
