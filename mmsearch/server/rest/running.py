"""Runs the server until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from h11 import LocalProtocolError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmsearch.errors import MmsearchError, Remedy, Unavailable
from mmsearch.library import Library
from mmsearch.server.rest.application import application
from mmsearch.server.rest.served import Served
from mmsearch.server.rest.settings import ServeSettings

_GRACE_SECONDS = 3
_BACKLOG = 256


def serve(
    library: Library,
    settings: ServeSettings,
    in_words: Callable[[MmsearchError], str],
    on_address: Callable[[str], None],
) -> None:
    """Answers until SIGINT or SIGTERM; `on_address` is told the URL once the port is open.

    Raises:
        Unavailable: the port is taken, or there is no such address. NotFound and others: the library cannot be opened.
    """
    with library.session() as session, listening(settings.host, settings.port) as listener:
        if not settings.allow_index:  # else the first run may be asked for in the page
            session.mark()
        served = Served(library, session, settings, in_words)
        try:
            on_address(settings.address(listener.getsockname()[1]))
            _Server(served).run([listener])
        finally:
            served.close()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there, for as long as the block lasts.

    Raises:
        Unavailable: the port is taken, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, so that asyncio turns off the delay of small packets: each answer would wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with listener:
        try:
            if os.name == "posix":  # a port that was let go of a moment ago is free
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Unavailable(f"Nothing can listen at {host}, port {port} ({reason})", Remedy("port")) from error
        yield listener


def _cut_off_quietly(answers: ASGIApp, served: Served) -> ASGIApp:
    """What answers, without a word on the terminal about requests that are cut off as the server ends."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answers(scope, receive, send)
        except asyncio.CancelledError:
            if not served.events.is_ending:
                raise

    return answered


class _Connection(H11Protocol):
    """A connection whose client may send what is no HTTP in the midst of a request: that is over then."""

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except LocalProtocolError:  # an answer has begun
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class _Server(uvicorn.Server):
    """Ends in good order at a signal, and tells what waits for nothing but events."""

    def __init__(self, served: Served) -> None:
        super().__init__(
            uvicorn.Config(
                _cut_off_quietly(application(served), served),
                log_level="error",
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                http=_Connection,
                loop="asyncio",
                proxy_headers=False,
            )
        )
        self._served = served

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Here, and not when the signal comes: that may be while work is handed to threads.
        self._served.end_waiting()
        grace = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._cut_off)
        await super().shutdown(sockets)
        grace.cancel()

    def _cut_off(self) -> None:
        """Waits no longer for answers that are not ready: who asked sees the connection end."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self.force_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def end(number: int, frame: object) -> None:
            self._served.end()
            self.should_exit = True

        numbers = {signal.SIGINT, signal.SIGTERM}
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            numbers.add(signal.SIGHUP)  # its terminal is closed
        before = {number: signal.signal(number, end) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
