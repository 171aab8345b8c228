"""`mmsearch serve` behind proxies, as a service and in a container, word for word as docs/serve.md tells of them."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import Reply, free_port, make_certificate, running, wait_for

from mmsearch import Library

pytest.importorskip("starlette", reason="the serve extra is not installed")

HERE = Path(__file__).parents[1]
PAGE = (HERE / "docs" / "serve.md").read_text(encoding="utf-8")
TOKEN = "a-token-of-thirty-letters-or-so"
NAME = "photos.example"
PLACES = """
{user} daemon off; pid nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    {server}
}}
"""


def documented(words: str) -> str:
    """The block of docs/serve.md in which those words stand."""
    blocks: list[str] = re.findall(r"```(?:\w*)\n(.*?)```", PAGE, re.DOTALL)
    return next(block for block in blocks if words in block)


def replaced(text: str, **values: object) -> str:
    """With other values in the place of those that are documented, each of which is there."""
    for before, after in values.items():
        assert before in text
        text = text.replace(before, str(after))
    return text


@pytest.fixture
def own(tmp_path: Path, photos: Path) -> Path:
    """A folder with a photo, its library, a token, and a certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    (tmp_path / "home").mkdir()
    shutil.copy(photos / "photos" / "cat.png", tmp_path / "home")
    with Library(tmp_path / "library") as library:
        library.index(tmp_path / "home")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    make_certificate(tmp_path)
    return tmp_path


class Secure:
    """Whoever asks the proxy, as a browser that is at `photos.example` does."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._trust = ssl.create_default_context(cafile=str(certificate))
        self.origin = f"https://{NAME}:{port}"

    def connected(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(NAME, self._port)
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        connection.sock = self._trust.wrap_socket(plain, server_hostname=NAME)
        return connection

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        connection = self.connected()
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@contextmanager
def proxied(own: Path, proxy: str, root_path: str) -> Iterator[Secure]:
    """The proxy, with what is documented for it, before a server."""
    if shutil.which(proxy) is None:
        pytest.skip(f"{proxy} is not installed")
    port, cert, key = free_port(), own / "certificate.pem", own / "key.pem"
    options = shlex.split(re.search(r"`mmsearch serve (--port .+?)`", PAGE)[1])  # type: ignore[index]
    options = [{"8470": "0", "FILE": str(own / "token")}.get(one, one) for one in options]
    with running(own / "library", *options, "--root-path", root_path, cache=own / "cache") as server:
        if proxy == "nginx":
            files = {"/etc/ssl/photos.example.pem": cert, "/etc/ssl/photos.example.key": key}
            told = {**files, "443": f"127.0.0.1:{port}", "8470": server.port}
            user = "user root;" if os.geteuid() == 0 else ""  # else its temporary files would be another's
            config = PLACES.format(user=user, server=replaced(documented("server {"), **told))
            command = ["nginx", "-p", str(own), "-c", str(own / "proxy.conf")]
        else:
            told = {NAME: f"{NAME}:{port}", "8470": f"{server.port}\n    tls {cert} {key}"}
            config = "{\nadmin off\nauto_https disable_redirects\n}\n" + replaced(documented("reverse_proxy"), **told)
            command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(own / "proxy.conf")]
        (own / "proxy.conf").write_text(config)
        places = {name: str(own) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        process = subprocess.Popen(command, env={**os.environ, **places}, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            yield Secure(port, cert)
        finally:
            process.terminate()
            process.wait()


def noise() -> bytes:
    """A picture of 20 MB."""
    pixels = np.random.default_rng(0).integers(0, 256, (2_600, 2_600, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("root_path", ["", "/photos"])
@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_behind_a_proxy_all_of_it_works(own: Path, photos: Path, proxy: str, root_path: str) -> None:
    with proxied(own, proxy, root_path) as asked:
        entered = asked.ask("GET", f"{root_path}/?token={TOKEN}", {})
        assert (entered.status, entered.headers["location"]) == (303, f"{root_path}/")
        assert "secure" in entered.headers["set-cookie"].lower()
        page = {"Cookie": entered.headers["set-cookie"].partition(";")[0], "Sec-Fetch-Site": "same-origin"}
        assert b"<html" in asked.ask("GET", f"{root_path}/", page).body
        api = f"{root_path}/api/v1"
        sent = {**page, "Origin": asked.origin, "Content-Type": "application/json"}
        found = asked.ask("POST", f"{api}/search", sent, json.dumps({"q": "a cat"}).encode())
        assert found.status == 200, found.body
        hit = json.loads(found.body)["hits"][0]
        assert asked.ask("GET", hit["thumb"], page).body.startswith(b"\xff\xd8")
        original = f"{api}/files/{hit['id']}/original"
        part = asked.ask("GET", original, {**page, "Range": "bytes=10-19"})
        assert (part.status, part.body) == (206, (photos / "photos" / "cat.png").read_bytes()[10:20])
        form = {**page, "Origin": asked.origin, "Content-Type": "multipart/form-data; boundary=edge"}
        head = b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="x.png"\r\n\r\n'
        uploaded = asked.ask("POST", f"{api}/search", form, head + noise() + b"\r\n--edge--\r\n")
        assert uploaded.status == 200, uploaded.body
        elsewhere = {**sent, "Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        assert asked.ask("POST", f"{api}/search", elsewhere, b"{}").status == 403

        listening = asked.connected()
        listening.request("GET", f"{api}/events", headers=page)
        events = listening.getresponse()
        assert events.readline() == b": mmsearch\n"  # at once, and not with what comes after it
        events.readline()
        shutil.copy(photos / "photos" / "moon.png", own / "home")
        with Library(own / "library") as library:
            while b"event: library\n" not in iter(events.readline, b"\n"):
                library.index()
        listening.close()


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """Where a person's own programs lie, with `mmsearch` among them; and a token."""
    place = tmp_path / ".local" / "bin"
    place.mkdir(parents=True)
    (place / "mmsearch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mmsearch "$@"\n')
    (place / "mmsearch").chmod(0o755)
    (tmp_path / ".config" / "mmsearch").mkdir(parents=True)
    for token in (tmp_path / ".config" / "mmsearch" / "token", tmp_path / "token"):
        token.write_text(TOKEN)
        token.chmod(0o600)
    return place / "mmsearch"


@contextmanager
def started(command: list[str], library: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """What listens once that command runs."""
    places = {
        "MMSEARCH_LIBRARY": str(library),
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    process = subprocess.Popen(command, env={**os.environ, **places}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert TOKEN in process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.slow
def test_the_service_is_one_that_systemd_takes_and_runs(indexed: Path, command: Path, tmp_path: Path) -> None:
    port = free_port()
    unit = replaced(documented("[Unit]"), **{"%h": tmp_path, "8470": port})
    start = re.search("^ExecStart=(.+)$", unit, re.MULTILINE)
    assert start
    with started(shlex.split(start[1]), indexed, tmp_path):
        assert health(port) == 200
    if shutil.which("systemd-analyze"):
        (tmp_path / "mmsearch.service").write_text(unit)
        verify = ["systemd-analyze", "--user", "verify", str(tmp_path / "mmsearch.service")]
        done = subprocess.run(
            verify, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert "mmsearch.service" not in done.stderr


def health(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/health")
    return connection.getresponse().status


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, each with what it is given."""
    text = re.sub(r"^#.*\n", "", (HERE / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def given(name: str) -> str:
    return [value for instruction, value in instructions() if instruction == name][-1]


def test_the_image_has_what_the_package_is_made_of_and_a_user_without_rights() -> None:
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11 and later
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    copied = {name for instruction, value in instructions() if instruction == "COPY" for name in value.split()[:-1]}
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], *packages}
    assert needed <= copied
    let_through = (HERE / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert let_through[0] == "*"
    assert needed == {line[1:] for line in let_through if line.startswith("!")}
    installed = next(value for instruction, value in instructions() if instruction == "RUN" and "pip" in value)
    extras = re.search(r"'\.\[(.+?)\]'", installed)
    assert extras
    assert set(extras[1].split(",")) <= set(project["project"]["optional-dependencies"])
    assert int(given("USER")) > 0
    assert instructions()[-1][0] == "CMD"


@pytest.mark.slow
def test_the_image_starts_a_server_whose_health_it_sees(own: Path, command: Path) -> None:
    port = free_port()
    told = {"8470": port, "/data": own}
    start = json.loads(given("ENTRYPOINT")) + json.loads(replaced(given("CMD"), **told))
    assert dict(re.findall(r"(\w+)=(\S+)", given("ENV")))["MMSEARCH_LIBRARY"] == "/data/library"
    look = json.loads(given("HEALTHCHECK").partition("CMD ")[2].replace("8470", str(port)))
    assert subprocess.run([sys.executable, *look[1:]], check=False, stderr=subprocess.DEVNULL).returncode != 0
    with started([str(command), *start[1:]], own / "library", own):
        assert subprocess.run([sys.executable, *look[1:]], check=False).returncode == 0
