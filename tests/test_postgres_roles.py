"""Roles of a team's library: each may do what docs/serve.md grants to it, and nothing beyond."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import psycopg
import pytest
from conftest import PHOTOGRAPHS, refused
from postgres_server import PostgresServer
from test_worker import assert_same, finished, jobs, made_alone, make_tree, queue, workers

from mmsearch import Library

PAGE = Path(__file__).resolve().parents[1] / "docs" / "serve.md"
_NUMBERS = count()
ROLES = ("mmsearch", "reader", "worker")


@pytest.fixture
def names(postgres: PostgresServer) -> dict[str, str]:
    """What the roles are called here, by what the page calls them: they are the server's, for all its databases."""
    number = next(_NUMBERS)
    names = {role: f"{role}_{number}" for role in ROLES}
    postgres.run(f"CREATE ROLE {names['mmsearch']} LOGIN")
    return names


def granted() -> list[str]:
    """The statements that the page gives for who searches and who works."""
    section = PAGE.read_text(encoding="utf-8").split("\n### Roles\n")[1].split("\n### ")[0]
    blocks = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [statement.strip() for block in blocks for statement in block.split(";") if statement.strip()]


@pytest.fixture
def urls(postgres: PostgresServer, names: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A library's database, by role, whose owner has made the tables and granted what the page says."""
    name = postgres.name_of(postgres.new_database())
    postgres.run(f"ALTER DATABASE {name} OWNER TO {names['mmsearch']}")
    postgres.run("CREATE EXTENSION vector", name)
    urls = {role: postgres.url(name, names[role]) for role in ROLES}
    (tmp_path / "empty").mkdir()
    with Library(urls["mmsearch"]) as library:
        library.index([tmp_path / "empty"])
    for statement in granted():
        own = re.sub(r"\b(TO|FROM|ROLE) (reader|worker)\b", lambda found: f"{found[1]} {names[found[2]]}", statement)
        by = "postgres" if own.startswith("CREATE ROLE") else names["mmsearch"]
        with psycopg.connect(postgres.url(name, by), autocommit=True) as connection:
            connection.execute(own.encode())
    return urls


def test_the_owner_walks_workers_work_and_readers_search(
    postgres: PostgresServer, urls: dict[str, str], tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "tree")
    queue(urls["mmsearch"], tree)
    with workers(urls["worker"], 2) as both:
        assert sum(one.end()["stored"] for one in both) == len([one for one in tree.rglob("*") if one.is_file()])
    finished(urls["mmsearch"])
    assert_same(postgres, urls["mmsearch"], made_alone(postgres, [tmp_path / "empty", tree]))
    with Library(urls["reader"]) as library:
        found = {hit.path for hit in library.search("a cup of coffee").hits}
        assert {str(tree / "photos" / "coffee.png"), str(tree / "notes" / "coffee.md")} <= found
        assert library.status().counts.images == len(PHOTOGRAPHS) + 2
        measured = library.measures()
        assert all(measures is not None for measures in measured.values())
    # What has changed since is encoded by others again.
    (tree / "notes" / "coffee.md").write_text("Tea, this time.")
    (tree / "photos" / "cat.png").unlink()
    queue(urls["mmsearch"], tree)
    with Library(urls["worker"]) as library:
        library.pause_queue(tree)
        assert library.queue_state().paused == jobs(postgres, urls["mmsearch"]) > 0
        assert library.resume_queue() == 1
    with workers(urls["worker"]) as started:
        started[0].end()
    finished(urls["mmsearch"])
    assert_same(postgres, urls["mmsearch"], made_alone(postgres, [tmp_path / "empty", tree]))


def test_readers_write_nothing_and_workers_drop_nothing(
    postgres: PostgresServer, urls: dict[str, str], tmp_path: Path
) -> None:
    queue(urls["mmsearch"], make_tree(tmp_path / "tree") / "notes")
    with Library(urls["reader"]) as library:
        for denied in (library.work, library.pause_queue, lambda: library.index([tmp_path / "tree"])):
            with refused("may not do that|takes no writes"):
                denied()
    with Library(urls["worker"]) as library, refused("may not do that"):
        library.forget(tmp_path / "empty")
    before = jobs(postgres, urls["mmsearch"])
    for role in ("reader", "worker"):
        with psycopg.connect(urls[role], autocommit=True) as connection:
            for statement in (
                "DROP TABLE mmsearch.jobs",
                "TRUNCATE mmsearch.files",
                "DROP SCHEMA mmsearch CASCADE",
                "DELETE FROM mmsearch.roots",
                "DELETE FROM mmsearch.models",
                "CREATE TABLE mmsearch.mine (id integer)",
                "ALTER TABLE mmsearch.settings DROP COLUMN value",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
    with psycopg.connect(urls["reader"], autocommit=True) as connection:
        for table in ("settings", "jobs", "files", "items", "vectors"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM mmsearch.{table}".encode())
    assert jobs(postgres, urls["mmsearch"]) == before > 0
