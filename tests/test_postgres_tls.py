"""A team's library whose server is asked by TLS: whom a machine trusts, and what it says where it does not."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import run_mmsearch
from postgres_server import GUARDED, PASSWORD, PostgresServer
from serving import make_certificate

from mmsearch import Library


@contextmanager
def behind_tls(server: PostgresServer, certificate: Path, key: Path) -> Iterator[int]:
    """A port at which the server is had by TLS, as one that was built with it answers."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while block := one.recv(65_536):
                other.sendall(block)
            other.shutdown(socket.SHUT_WR)

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain:
            plain.recv(8)  # whether there is TLS, which the client asks first
            plain.sendall(b"S")
            with (
                trust.wrap_socket(plain, server_side=True) as outer,
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inner,
            ):
                inner.connect(os.path.join(server.folder, ".s.PGSQL.5432"))
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


def test_a_server_is_asked_where_its_certificate_is_right_and_by_none_else(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    certificate, key = make_certificate(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "boat.txt").write_text("We rowed across the lake.")
    url = postgres.new_database()
    with Library(url) as library:
        library.index([tmp_path / "notes"])
    name = postgres.name_of(url)
    postgres.run(f"GRANT USAGE ON SCHEMA mmsearch TO {GUARDED}", name)
    postgres.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA mmsearch TO {GUARDED}", name)
    with behind_tls(postgres, certificate, key) as port:

        def searched(parameters: str) -> tuple[int, str, str]:
            address = f"postgresql://{GUARDED}@localhost:{port}/{name}?sslmode=verify-full{parameters}"
            done = run_mmsearch("search", "rowing on a lake", library=address)
            return done.code, done.out, done.err

        code, out, _ = searched(f"&sslrootcert={certificate}")
        assert code == 0 and "boat.txt" in out
        nobodys = tmp_path / "another"
        nobodys.mkdir()
        another, _ = make_certificate(nobodys)
        for parameters in ("", f"&sslrootcert={another}", f"&sslrootcert={tmp_path / 'none'}"):
            code, out, error = searched(parameters)
            assert (code, out) == (2, "") and " is not trusted (" in error and error.count("\n") == 1
            assert "as sslrootcert in the URL" in error and "ertificate" in error and "out of reach" not in error
