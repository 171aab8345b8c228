"""A team's library whose server is asked by TLS: whom a machine trusts, and what it says where it does not."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from conftest import run_mmsearch
from postgres_server import GUARDED, PASSWORD, PostgresServer
from serving import behind_tls, make_certificate

from mmsearch import Library


def by_tls(server: PostgresServer, certificate: Path, key: Path) -> AbstractContextManager[int]:
    """A port at which the server is had by TLS, as one that was built with it answers."""

    def connected() -> socket.socket:
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        inner.connect(os.path.join(server.folder, ".s.PGSQL.5432"))
        return inner

    def greeted(plain: socket.socket) -> None:
        plain.recv(8)  # whether there is TLS, which the client asks first
        plain.sendall(b"S")

    return behind_tls(connected, certificate, key, greeted)


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
    with by_tls(postgres, certificate, key) as port:

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
