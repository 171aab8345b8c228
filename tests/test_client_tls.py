"""A server behind TLS, asked by the client and the command: whom it trusts, and what it says where it does not."""

from __future__ import annotations

import shutil
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from conftest import refused, run_mmsearch
from serving import behind_tls, make_certificate, running

from mmsearch import connect

pytest.importorskip("starlette", reason="the serve extra is not installed")


def behind_proxy(port: int, certificate: Path, key: Path) -> AbstractContextManager[int]:
    """A port of this machine at which that one is had by TLS, as a proxy does it."""
    return behind_tls(lambda: socket.create_connection(("127.0.0.1", port)), certificate, key)


def test_a_certificate_of_ones_own_is_trusted_where_that_is_said(
    indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    certificate, key = make_certificate(tmp_path)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with running(indexed, cache=tmp_path) as server, behind_proxy(server.port, certificate, key) as port:
        url = f"https://localhost:{port}/?token={server.token}"
        with connect(url) as client, refused(r"not trusted here \(self.signed certificate\);.* SSL_CERT_FILE"):
            client.search("a cat")
        done = run_mmsearch("search", "a cat", "--server", url, library=tmp_path / "none")
        assert (done.code, done.out) == (2, "")
        assert "SSL_CERT_FILE" in done.err
        assert server.token not in done.err

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with connect(url) as client, connect(server.address) as plain:
            assert client.search("a cat").hits == plain.search("a cat").hits
        done = run_mmsearch("search", "a cat", "--server", url, "--paths", library=tmp_path / "none")
        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[0].endswith("cat.png")
        # It is trusted, and yet it is not that of this name.
        with connect(url.replace("localhost", "127.0.0.1")) as client, refused("mismatch.*under the name"):
            client.search("a cat")
        with connect(server.address.replace("http:", "https:")) as client, refused("speaks no HTTPS"):
            client.search("a cat")
        assert server.end() == (0, "")
