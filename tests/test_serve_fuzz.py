"""The API of `mmsearch serve` asked at random, as its own description says, and as it does not."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from serving import Reply, Server, running

pytest.importorskip("starlette", reason="the serve extra is not installed")
jsonschema = pytest.importorskip("jsonschema")

REQUESTS_OF_A_PATH = 40
STRANGE = (
    "", " ", "\0", "\ud800", "%", "'", '"', "\\", "../..", "/", "//", "-1", "0", "1e999", "nan", "9" * 400, "٣", "true",
    "null", "[]", "{}", "a" * 3_000, "\u202e", "😀", "'; DROP TABLE files; --", "2:", ":", "1:2:3", "+", " + ", '"a',
    "NEAR(a b)", "a*", "without", "0000", "2024-13", "9999-12-31", "Lisbon,", "91,181", "0" * 32,
)  # fmt: skip


@pytest.fixture(scope="module")
def server(indexed: Path) -> Iterator[Server]:
    with running(indexed) as one:
        yield one


def drawn(chance: random.Random, schema: Any) -> str:
    """A value that a parameter may have, or one that nobody expects."""
    if chance.random() < 0.3:
        return chance.choice(STRANGE)
    one = schema.get("items", schema)
    if "enum" in one:
        return str(chance.choice(one["enum"]))
    if one["type"] in ("integer", "number"):
        least, most = one.get("minimum", 0), min(one.get("maximum", 100), 1_000)
        number = chance.uniform(least, most)
        return str(round(number)) if one["type"] == "integer" else f"{number:.3f}"
    words = ["a cat", "2:coffee", "2024-05", "jpg", "Lisbon", "1:30", "/", "moon", "en", "picture"]
    return chance.choice([*words, "".join(chance.choices(string.printable, k=chance.randrange(1, 30)))])


def drawn_headers(chance: random.Random) -> dict[str, str | None]:
    """What a request may say beside its address, mostly nothing."""
    names = (
        "Range",
        "If-Range",
        "If-None-Match",
        "If-Modified-Since",
        "Accept",
        "Accept-Encoding",
        "X-Forwarded-Proto",
    )
    values = (
        "bytes=0-9",
        "bytes=-1",
        "bytes=9-2",
        "bytes=0-0,2-3",
        "bytes=99999999999-",
        '"x"',
        "*",
        "*/*;q=x",
        "é",
        "",
    )
    chosen = chance.sample(names, chance.choice([0, 0, 1, 2]))
    return {name: chance.choice(values).encode().decode("latin-1") for name in chosen}


def check(described: Any, operation: Any, reply: Reply) -> None:
    """The answer is one that the description tells of, and nothing has gone wrong in the server."""
    assert reply.status < 500, reply.body
    if reply.status == 304:
        return
    told = operation["responses"].get(str(reply.status), operation["responses"]["default"])
    kind = reply.headers["content-type"].partition(";")[0]
    if "*/*" in told["content"]:
        return
    assert kind in told["content"]
    schema = told["content"][kind].get("schema")
    if schema:
        jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(reply.json)


def test_a_method_that_is_not_taken_is_told_which_are(server: Server) -> None:
    for path, operations in server.get("openapi.json").json["paths"].items():
        where = "/api/v1" + path.replace("{id}", "0" * 32).replace("{n}", "1")
        taken = {method.upper() for method in operations}
        for method in {"GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"} - taken:
            reply = server.ask(method, where)
            assert (reply.status, reply.code) == (405, "method"), (method, where)
            assert set(reply.headers["allow"].split(", ")) - {"HEAD"} == taken


def test_whatever_is_asked_is_answered_as_the_description_says(server: Server) -> None:
    described = server.get("openapi.json").json
    ids = [hit["id"] for hit in server.get("search", limit=500).json["hits"]]
    chance = random.Random(17)
    answered: dict[str, int] = {}
    for path, operations in described["paths"].items():
        if path in ("/events", "/metrics", "/status", "/openapi.json", "/jobs/{id}") or "get" not in operations:
            continue
        operation = operations["get"]
        for _ in range(REQUESTS_OF_A_PATH):
            known = [one for one in operation["parameters"] if one["in"] == "query"]
            chosen = chance.sample(known, min(len(known), chance.randrange(4)))
            pairs = [
                (one["name"], drawn(chance, one["schema"]).encode("utf-8", "surrogatepass"))
                for one in chosen
                for _ in range(chance.choice([1, 1, 1, 2]) if one["schema"]["type"] == "array" else 1)
            ]
            called = chance.choice(ids)
            if chance.random() < 0.2:
                called = quote(chance.choice(STRANGE).encode("utf-8", "replace"), safe="")
            page = str(chance.choice([1, 2, "x"]))
            where = path.replace("{id}", called).replace("{n}", page).replace("/", "", 1)
            reply = server.get(f"{where}?{urlencode(pairs)}", drawn_headers(chance))
            if reply.status == 404 and called not in ids:
                continue  # an id with a slash in it is another path
            check(described, operation, reply)
            answered[path] = answered.get(path, 0) + (reply.status == 200)
    assert all(answered[path] for path in ("/search", "/facets", "/files/{id}/thumb", "/files/{id}/original")), answered
    assert server.end() == (0, "")


def test_whatever_is_sent_is_answered(indexed: Path) -> None:
    chance = random.Random(23)
    bodies: list[Any] = [None, [], 1, "q", {"q": None}, {"q": [[]]}, {"ids": "x"}, {"limit": 1.5}, {"limit": True}]
    names = ("q", "not", "limit", "offset", "in", "cursor", "random", "min_score", "sort", "image", "ids", "paths", "?")
    for _ in range(60):
        chosen = chance.sample(names, chance.randrange(1, 4))
        bodies.append({name: chance.choice([*STRANGE, 1, -1, 0.5, 10**30, ["a", "b"]]) for name in chosen})
    with running(indexed) as server:
        described = server.get("openapi.json").json
        for body in bodies:
            for path in ("/search", "/zip", "/index"):
                check(described, described["paths"][path]["post"], server.send(path[1:], body))
        assert server.end() == (0, "")
