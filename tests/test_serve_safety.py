"""Attacks on `mmsearch serve`, each of which it holds against."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import Mmsearch
from serving import Reply, Server, running
from test_network import HOOK

from mmsearch import Library

pytest.importorskip("starlette", reason="the serve extra is not installed")

FOREIGN = "https://evil.example"
WITHOUT_TOKEN: dict[str, str | None] = {"Authorization": None}


@pytest.fixture(scope="module")
def server(indexed: Path) -> Iterator[Server]:
    with running(indexed) as one:
        yield one


def entered(server: Server) -> dict[str, str | None]:
    """What a browser sends once its person has opened the address."""
    reply = server.get("/", WITHOUT_TOKEN, token=server.token)
    return {**WITHOUT_TOKEN, "Cookie": reply.headers["set-cookie"].partition(";")[0]}


def raw(server: Server, sent: bytes) -> bytes:
    """What comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(sent)
        found = b""
        while block := connection.recv(65_536):
            found += block
            if b"\r\n\r\n" in found:
                break
        return found


def memory_of(server: Server) -> int:
    """The most that the server itself has taken, in bytes."""
    try:
        lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    except OSError:
        pytest.skip("this system does not tell how much memory a process takes")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def flat_png(side: int) -> bytes:
    """A picture of side times side black points, in some kilobytes."""
    packer = zlib.compressobj(1)
    row = bytes(1 + 3 * side)
    data = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_without_the_token_nothing_is_told(server: Server) -> None:
    paths = ("/", "/static/app.js", "/api/v1/search?q=cat", "/api/v1/status", "/api/v1/openapi.json", "/nothing")
    for path in paths:
        for headers in (
            WITHOUT_TOKEN,
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {server.token}"},
            {"Authorization": "Bearer"},
            {**WITHOUT_TOKEN, "Cookie": f"mmsearch-{server.port}={server.token}"},
            {**WITHOUT_TOKEN, "Cookie": f"mmsearch-{server.port}="},
        ):
            reply = server.get(path, headers)
            assert reply.status == 401, (path, headers)
            assert b"cat" not in reply.body
            assert "set-cookie" not in reply.headers
    wrong = server.get("/", WITHOUT_TOKEN, token="wrong")
    assert wrong.status == 401
    assert "set-cookie" not in wrong.headers
    assert server.get("/api/v1/search", WITHOUT_TOKEN, token=server.token).status == 401


def test_the_token_leaves_the_address_for_a_cookie_that_no_script_sees(server: Server) -> None:
    reply = server.get("/", WITHOUT_TOKEN, token=server.token, q="a dog")
    assert (reply.status, reply.headers["location"]) == (303, "/?q=a+dog")
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert "SameSite=strict" in reply.headers["set-cookie"]
    assert server.token not in reply.headers["set-cookie"]
    assert server.get("status", entered(server)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.2", "", "[", "localhost@evil.example/"]
)
def test_a_name_that_was_made_to_lead_here_is_refused(server: Server, host: str) -> None:
    reply = server.get("/health", {"Host": host})
    assert (reply.status, reply.code) == (421, "wrong_host")


def test_this_machine_is_called_by_its_own_names(server: Server) -> None:
    for host in ("localhost", f"localhost:{server.port}", "127.0.0.1:1", "[::1]:80", "LOCALHOST."):
        assert server.get("/health", {"Host": host}).status == 200, host
    twice = raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert twice.split()[1] in (b"400", b"421")
    assert raw(server, b"GET /health HTTP/1.0\r\n\r\n").split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "page",
    [
        {"Origin": FOREIGN},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": FOREIGN, "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_a_page_of_another_site_can_send_nothing(server: Server, page: Mapping[str, str]) -> None:
    reply = server.send("search", {"q": "a cat"}, {**entered(server), **page})
    assert (reply.status, reply.code) == (403, "refused")
    assert "access-control-allow-origin" not in reply.headers


def test_a_page_of_another_site_can_show_nothing(server: Server) -> None:
    thumb = server.get("search", type="image", limit=1).json["hits"][0]["thumb"]
    for site in ("cross-site", "same-site"):
        for path in (thumb, "/api/v1/search?q=cat", "/static/app.js"):
            reply = server.get(path, {**entered(server), "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
            assert reply.status == 403
    shown = server.get(thumb, {**entered(server), "Sec-Fetch-Site": "same-origin"})
    assert shown.status == 200
    assert shown.headers["cross-origin-resource-policy"] == "same-origin"
    followed = server.get("/", {**entered(server), "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"})
    assert followed.status in (200, 404)  # a link to the page itself


def test_the_own_page_can(server: Server) -> None:
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
    assert server.send("search", {"q": "a cat"}, {**entered(server), **own}).status == 200


def test_pages_elsewhere_ask_only_where_that_was_wanted(server: Server, indexed: Path) -> None:
    asked = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST", **WITHOUT_TOKEN}
    assert "access-control-allow-origin" not in server.ask("OPTIONS", "/api/v1/search", headers=asked).headers
    with running(indexed, "--cors", FOREIGN) as open_one:
        before = open_one.ask("OPTIONS", "/api/v1/search", headers=asked)
        assert (before.status, before.headers["access-control-allow-origin"]) == (204, FOREIGN)
        page = {"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"}
        answer = open_one.send("search", {"q": "a cat"}, page)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, FOREIGN)
        assert "access-control-allow-credentials" not in answer.headers
        assert open_one.send("search", {"q": "a cat"}, {**entered(open_one), **page}).status == 403
        other = open_one.send("search", {"q": "a cat"}, {"Origin": "https://other.example"})
        assert (other.status, "access-control-allow-origin" in other.headers) == (403, False)


def test_the_page_may_run_its_own_scripts_and_nothing_else(server: Server) -> None:
    for path in ("/", "/api/v1/status", "/nothing", "/health"):
        policy = server.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/static/../serving.py", "/static/%2e%2e%2f%2e%2e%2fserving.py", "/static//etc/passwd", "/../etc/passwd",
        "/api/v1/search/", "//evil.example/", "/\\evil.example/",
        "/api/v1/files/%2Fetc%2Fpasswd", "/api/v1/files/..%2f..%2fetc%2fpasswd/original", "/static/%00", "/%ff",
    ],
)  # fmt: skip
def test_a_path_from_outside_opens_nothing(server: Server, path: str) -> None:
    assert server.get(path).status in (400, 404)


@pytest.mark.parametrize("image", ["/etc/passwd", "http://127.0.0.1:1/x.png", "file:///etc/hosts", "../x.png"])
def test_a_picture_is_never_fetched_or_opened_by_its_name(server: Server, image: str, photos: Path) -> None:
    assert server.get("search", image=image).status == 404
    assert server.get("search", image=str(photos / "photos" / "cat.png")).status == 404
    assert server.send("search", {"image": [image]}).status == 404


def test_a_body_of_what_is_no_text_is_refused(server: Server) -> None:
    half = json.dumps({"in": ["/\ud800"]}).encode()
    for path in ("search", "zip"):
        assert server.ask("POST", f"/api/v1/{path}", half, {"Content-Type": "application/json"}).status == 400
    assert server.get("/health").status == 200


def test_a_body_is_counted_while_it_comes(server: Server) -> None:
    begin = f"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
    form = "Content-Type: multipart/form-data; boundary=x\r\n"
    said = raw(server, f"{begin}{form}Content-Length: 200000000\r\n\r\n".encode())
    assert said.split()[1] == b"413"
    said = raw(server, f"{begin}Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n".encode())
    assert said.split()[1] == b"413"
    before = memory_of(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(f"{begin}{form}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent, block = 0, b"x" * 65_536
        head = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="x.png"\r\n\r\n'
        connection.sendall(b"%x\r\n%s\r\n" % (len(head), head))
        try:
            while sent < 200_000_000:
                connection.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                sent += len(block)
        except OSError:
            pass
    assert sent < 60_000_000
    assert memory_of(server) - before < 60_000_000
    assert server.get("/health").status == 200


def test_a_small_file_of_a_giant_picture_harms_nobody(server: Server) -> None:
    bomb = flat_png(8_000)
    assert len(bomb) < 1_000_000
    before = memory_of(server)
    reply = server.upload(bomb)
    assert (reply.status, reply.code) == (415, "no_picture")
    assert "megapixels" in reply.json["error"]["message"]
    assert memory_of(server) - before < 50_000_000
    for picture in (
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/>",
        b"text",
    ):
        assert server.upload(picture).status == 415
    assert server.get("search", q="a cat").status == 200


def test_long_lines_are_refused(server: Server) -> None:
    assert server.get("search", q="x" * 20_000).status == 414
    assert server.get("search", q="x" * 12_000).status == 400
    assert raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000).split()[1] == b"400"
    assert server.get("search?" + "&".join(f"p{number}=1" for number in range(1_500))).status == 400
    deep = b'{"q": ' + b"[" * 100_000
    assert server.ask("POST", "/api/v1/search", deep, {"Content-Type": "application/json"}).status == 400


def test_what_was_put_in_the_place_of_a_file_is_not_sent(tmp_path: Path, photos: Path) -> None:
    home, secret = tmp_path / "home", tmp_path / "secret.png"
    home.mkdir()
    for name in ("cat.png", "moon.png", "coins.png"):
        shutil.copy(photos / "photos" / name, home)
    shutil.copy(photos / "photos" / "rocket.jpg", secret)
    with Library(tmp_path / "library") as opened:
        opened.index(home)
    with running(tmp_path / "library", cache=tmp_path / "cache") as server:
        ids = {name: server.id_of(name) for name in ("cat.png", "moon.png", "coins.png")}
        (home / "cat.png").unlink()
        (home / "cat.png").symlink_to(secret)
        (home / "moon.png").write_bytes(b"x" * (home / "moon.png").stat().st_size)
        (home / "coins.png").unlink()
        os.mkfifo(home / "coins.png")
        for name, called in ids.items():
            for path in (f"files/{called}/original", f"files/{called}/thumb", f"files/{called}/thumb?v=1"):
                reply = server.get(path)
                assert reply.status == 409 or (name == "moon.png" and reply.status == 422), (name, path)
                assert b"\xff\xd8" not in reply.body
        said = server.end()
    assert said == (0, "")


def test_nothing_is_written_down_and_nothing_is_left(
    indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running(indexed) as server:
        server.get("search", q="my secret wish")
        server.get("search", q=["my secret wish"], limit="x")
        assert server.upload((photos / "photos" / "cat.png").read_bytes()).status == 200
        (kept,) = tmp_path.glob("mmsearch-*")
        assert kept.stat().st_mode & 0o077 == 0
        assert [path.stat().st_mode & 0o077 for path in kept.iterdir()] == [0]
        assert server.end() == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_it_connects_to_nobody(indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
    """The server, and the processes that decode and index for it, are ended where they look up a name or connect."""
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    library = Path(shutil.copytree(indexed, tmp_path / "library"))
    with running(library, "--allow-index", cache=tmp_path / "cache") as server:
        hit = server.get("search", q="a cat", type="image").json["hits"][0]
        assert server.get(hit["thumb"]).status == 200
        assert server.get(f"files/{hit['id']}/original").status == 200
        assert server.upload((photos / "photos" / "cat.png").read_bytes()).status == 200
        for path in ("facets", "duplicates", "status", "metrics", "openapi.json"):
            assert server.get(path).status == 200
        called = server.send("index", {}).json["job"]
        while (job := server.get(f"jobs/{called}").json)["state"] == "running":
            pass
        assert job["state"] == "done"
        assert server.end() == (0, "")


def test_a_killed_server_leaves_a_whole_library(indexed: Path, tmp_path: Path, photos: Path) -> None:
    library = Path(shutil.copytree(indexed, tmp_path / "library"))
    with running(library, "--allow-index") as server:
        server.get("search", q="a cat")
        server.send("index", {"paths": [str(photos / "notes")]})
        server.process.kill()
        server.process.wait()
    with running(library, "--allow-index") as server:
        assert server.get("search", q="a cat").json["hits"]
        assert server.end() == (0, "")
    with Library(library) as opened:
        assert opened.care.examine().sound


def test_others_are_let_in_only_with_a_token_of_ones_own(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    refused = mmsearch("serve", "--no-open", "--host", "0.0.0.0", library=indexed)
    assert refused.code == 2
    kept = tmp_path / "token"
    kept.write_text("a-long-random-word-of-mine\n")
    kept.chmod(0o644)
    for words in ("chmod 600", "20 to 500"):
        done = mmsearch("serve", "--no-open", "--host", "0.0.0.0", "--token-file", str(kept), library=indexed)
        assert done.code == 2
        assert words in done.err
        assert "random-word" not in done.err
        kept.chmod(0o600)
        kept.write_text("short")
    kept.write_text("a-long-random-word-of-mine\n")
    with running(indexed, "--host", "0.0.0.0", "--token-file", str(kept), "--allow-host", "Photos.example") as server:
        assert server.token == "a-long-random-word-of-mine"
        assert server.get("status", {"Host": "192.168.1.2:80"}).status == 200
        assert server.get("status", {"Host": "photos.example"}).status == 200
        assert server.get("status", {"Host": "evil.example"}).status == 421


def test_many_at_once_wait_or_are_told_to_come_again(indexed: Path) -> None:
    """More than it has room for: whoever is answered is answered rightly, and that it runs is told all the while."""
    from concurrent.futures import ThreadPoolExecutor

    with running(indexed) as server, ThreadPoolExecutor(160) as threads:
        right = [hit["id"] for hit in server.get("search", q="a cat", limit=5).json["hits"]]

        def ask(number: int) -> Reply:
            try:
                return server.get("search", q="a cat", limit=5)
            except (ConnectionError, http.client.HTTPException) as error:
                raise AssertionError(f"request {number} was cut off: {error}") from error

        asked = [threads.submit(ask, number) for number in range(320)]
        assert server.get("/health").status == 200
        replies = [one.result() for one in asked]
        for reply in replies:
            if reply.status == 200:
                assert [hit["id"] for hit in reply.json["hits"]] == right
            else:
                assert (reply.status, reply.code) == (503, "overloaded")
                assert int(reply.headers["retry-after"]) > 0
        assert any(reply.status == 200 for reply in replies)
        assert server.get("search", q="a cat").status == 200
