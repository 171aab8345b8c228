"""Requests to one server, over one connection, and what is wrong with its answers.

It connects directly, whatever proxies the environment names, and follows no redirect. How long an answer takes and how
large it is have limits.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from mmsearch.client.address import ServerAddress
from mmsearch.errors import (
    Busy,
    Damaged,
    Invalid,
    MmsearchError,
    NotFound,
    Refused,
    Remedy,
    Unavailable,
    Unsupported,
)
from mmsearch.output.json import SCHEMA_VERSION

API = "api/v1"
# Answers are read as a whole: 500 hits take some hundred thousand bytes.
MOST_ANSWER_BYTES = 64_000_000
# A server that is there takes a connection at once; what it then does may take longer.
CONNECT_SECONDS = 5.0
_LONGEST_MESSAGE = 2_000
# What OpenSSL says of an answer that is none of its protocol.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")

_KINDS: Mapping[str, type[MmsearchError]] = {
    **{kind.code: kind for kind in (NotFound, Invalid, Busy, Damaged, Unavailable, Refused, Unsupported)},
    "changed": Unavailable,
    "gone": Unavailable,
    "overloaded": Busy,
    "method": Unsupported,
    "too_large": Invalid,
    "too_long": Invalid,
    "no_picture": Invalid,
    "wrong_host": Refused,
}


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reply:
    status: int
    body: bytes


class Connection:
    """The server at an address, which has so many seconds for each answer. Threads that share it take turns."""

    def __init__(self, address: ServerAddress, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._lock = threading.Lock()
        self._http: http.client.HTTPConnection | None = None

    @property
    def shown(self) -> str:
        """The address, without the token."""
        return self._address.shown

    def close(self) -> None:
        """Ends the connection; the next request makes another."""
        kept, self._http = self._http, None
        if kept is not None:
            kept.close()

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The object that is at a path of the API; parameters that are None are left out."""
        return self._object(self._asked(_Request("GET", _with(path, parameters))))

    def get_bytes(self, path: str, **parameters: Any) -> bytes:
        """What is at a path of the API, such as a picture."""
        return self._asked(_Request("GET", _with(path, parameters))).body

    def send(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to parameters that are sent as JSON."""
        body = json.dumps(parameters).encode()
        return self._object(self._asked(_Request("POST", _with(path), body, {"Content-Type": "application/json"})))

    def upload(self, path: str, parameters: Mapping[str, Any], picture: bytes) -> dict[str, Any]:
        """The answer to parameters and a picture that are sent as a form in parts."""
        edge = secrets.token_hex(16)
        fields = [
            (name, str(one))
            for name, value in parameters.items()
            for one in (value if isinstance(value, (list, tuple)) else [value])
        ]
        head = "".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields
        )
        head += f'--{edge}\r\nContent-Disposition: form-data; name="picture"; filename="picture"\r\n\r\n'
        # Names in folders that are no UTF-8 travel as the bytes that they are.
        body = head.encode("utf-8", "surrogateescape") + picture + f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return self._object(self._asked(_Request("POST", _with(path), body, headers)))

    def no_answer(self, what: str) -> MmsearchError:
        """The error for an answer that is none of this API's: `what` says in what."""
        return Unsupported(f"What answers at {self.shown} is no mmsearch server that this one understands: {what}.")

    def _asked(self, request: _Request) -> _Reply:
        """The reply, which is no error.

        Raises:
            MmsearchError: it is one, or there is none.
        """
        try:
            with self._lock:
                reply = self._sent(request)
        except TimeoutError:
            self.close()
            raise Unavailable(
                f"The server at {self.shown} has not answered within {self._seconds:g} seconds; ask it again later."
            ) from None
        except ssl.SSLCertVerificationError as error:
            self.close()
            message = f"The certificate of {self.shown} is not trusted here ({error.verify_message.rstrip('.')})"
            raise Unavailable(message, Remedy("server.certificate")) from None
        except ssl.SSLError as error:
            self.close()
            if error.reason in _NO_TLS:
                raise Unavailable(f"What answers at {self.shown} speaks no HTTPS; write http:// instead.") from None
            raise Unavailable(f"There is no secure connection to {self.shown} ({error.reason}).") from None
        except OSError as error:
            self.close()
            reason = error.strerror or "the connection was cut off"
            raise Unavailable(f"No server answers at {self.shown} ({reason})", Remedy("server.start")) from None
        except http.client.HTTPException:
            self.close()
            raise self.no_answer("it speaks no HTTP, or was cut off") from None
        if reply.status != 200:
            raise self._problem(reply)
        return reply

    def _sent(self, request: _Request) -> _Reply:
        """The reply to a request. A connection that the server has closed since the last one is made anew."""
        was_kept = self._http is not None
        try:
            return self._sent_once(request)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not was_kept:
                raise
        return self._sent_once(request)

    def _sent_once(self, request: _Request) -> _Reply:
        connection = self._http or self._connected()
        self._http = connection
        line = connection.sock
        assert isinstance(line, socket.socket)
        expired = threading.Event()

        def give_up() -> None:
            expired.set()
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        # A limit on the whole, as that of a socket begins anew with each byte.
        timer = threading.Timer(self._seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            connection.request(
                request.method, self._address.root_path + request.path, request.body, self._head(request)
            )
            answer = connection.getresponse()
            body = answer.read(MOST_ANSWER_BYTES + 1)
            if len(body) > MOST_ANSWER_BYTES:
                raise Unavailable(
                    f"The answer of {self.shown} has more than {MOST_ANSWER_BYTES:,} bytes; ask for fewer hits."
                )
            if answer.length:
                raise http.client.IncompleteRead(body, answer.length)
        except MmsearchError:
            self.close()
            raise
        except (OSError, http.client.HTTPException):
            if expired.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if answer.will_close:
            self.close()
        return _Reply(answer.status, body)

    def _connected(self) -> http.client.HTTPConnection:
        address = self._address
        seconds = min(CONNECT_SECONDS, self._seconds)
        kind = http.client.HTTPSConnection if address.is_secure else http.client.HTTPConnection
        connection = kind(address.host, address.port, timeout=seconds)
        try:
            connection.connect()
        except TimeoutError:
            raise OSError(0, f"nothing within {seconds:g} seconds") from None
        connection.sock.settimeout(self._seconds)
        return connection

    def _head(self, request: _Request) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._address.token}", "Accept-Encoding": "identity", **request.headers}

    def _object(self, reply: _Reply) -> dict[str, Any]:
        """The object that the reply is, of the version of the description that is known here."""
        try:
            value = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise self.no_answer("the answer is no JSON") from None
        version = value.get("schema_version") if isinstance(value, dict) else None
        if not isinstance(value, dict) or version is None:
            raise self.no_answer("the answer has no `schema_version`")
        if version != SCHEMA_VERSION:
            raise Unsupported(
                f"The server at {self.shown} answers by version {str(version)[:20]} of the JSON, and {SCHEMA_VERSION} "
                "is known here; install the same version of mmsearch on both sides."
            )
        return value

    def _problem(self, reply: _Reply) -> MmsearchError:
        """The error that a reply tells of, as one of mmsearch's kinds."""
        if 300 <= reply.status < 400:
            return Unavailable(f"{self.shown} leads to another address, which is not followed; give that one.")
        try:
            told = json.loads(reply.body)["error"]
            code, message = str(told["code"]), str(told["message"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return self.no_answer(f"its answer has the status {reply.status}")
        if code == "unauthorized":
            return Refused(f"The server at {self.shown} does not take that token", Remedy("server.token"))
        return _KINDS.get(code, Unavailable)(message[:_LONGEST_MESSAGE])


def _with(path: str, parameters: Mapping[str, Any] | None = None) -> str:
    given: Sequence[tuple[str, Any]] = [(name, one) for name, one in (parameters or {}).items() if one is not None]
    query = f"?{urlencode(given, doseq=True, errors='surrogateescape')}" if given else ""
    return f"/{API}/{quote(path)}{query}"
