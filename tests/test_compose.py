"""compose.yaml starts a team's library: what it says is run here, without containers, over a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import place_photographs
from postgres_server import PostgresServer
from serving import free_port, wait_for

from mmsearch import Library

yaml = pytest.importorskip("yaml", reason="compose.yaml is YAML")

HERE = Path(__file__).resolve().parents[1]
SETTINGS = {"PASSWORD": "secret", "PHOTOS": "/home/ana/Pictures"}


@pytest.fixture
def told() -> Any:
    """What the file says once its settings are given."""
    text = (HERE / "compose.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"\$\{(\w+):\?[^}]+\}", lambda setting: SETTINGS[setting[1]], text))


def test_every_service_knows_the_same_database_and_the_same_photos(told: Any) -> None:
    services = told["services"]
    database = services["db"]["environment"]
    for name in ("walk", "work", "serve"):
        service = services[name]
        user, place = re.fullmatch(r"postgresql://(\w+)@(.+)", service["environment"]["MMSEARCH_LIBRARY"]).groups()  # type: ignore[union-attr]
        assert (user, place) == (database["POSTGRES_USER"], f"db/{database['POSTGRES_DB']}")
        assert service["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"] == "secret"
        assert "/home/ana/Pictures:/photos:ro" in service["volumes"]
        assert service["depends_on"]["db"]["condition"] == "service_healthy"
    assert services["walk"]["command"][-1] == "/photos"
    mounted = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert set(told["volumes"]) == mounted - {"/home/ana/Pictures"}
    # Only this machine may ask the page, until somebody says otherwise.
    assert services["serve"]["ports"] == ["127.0.0.1:8470:8470"]
    installed = re.search(r"'\.\[(.+?)\]'", (HERE / "Dockerfile").read_text(encoding="utf-8"))
    assert installed is not None
    assert {"postgres", "serve"} <= set(installed[1].split(","))


def test_nobody_is_started_or_killed_too_soon_or_called_unwell(told: Any) -> None:
    from mmsearch.indexing.work import GRACE_SECONDS

    services = told["services"]
    # The image makes its database with a server that has only a socket, and then starts another one.
    assert services["db"]["healthcheck"]["test"][:3] == ["CMD", "pg_isready", "--host"]
    # The image's own check asks the page, which these two do not have.
    assert all(services[name]["healthcheck"] == {"disable": True} for name in ("walk", "work"))
    assert "healthcheck" not in services["serve"]
    # Ten seconds, where nothing is said, are less than a worker takes for what it is at.
    assert int(services["work"]["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS


@pytest.mark.slow
def test_its_services_walk_work_and_serve(told: Any, postgres: PostgresServer, tmp_path: Path) -> None:
    url, port = postgres.new_database(), free_port()
    place_photographs(tmp_path / "photos")
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    here = {"/photos": str(tmp_path / "photos"), "/data/token": str(token), "8470": str(port), "0.0.0.0": "127.0.0.1"}
    environment = {**os.environ, "MMSEARCH_LIBRARY": url, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def started(name: str) -> subprocess.Popen[bytes]:
        command = [here.get(word, word) for word in told["services"][name]["command"]]
        return subprocess.Popen([sys.executable, "-m", "mmsearch", *command], env=environment)

    # A worker may come before there is a library.
    worker = started("work")
    running = [started("walk"), worker]
    try:
        assert running[0].wait(120) == 0
        with Library(url) as team:
            assert team.status().counts.images == len(os.listdir(tmp_path / "photos"))
            assert team.search("a cup of coffee").hits[0].path == str(tmp_path / "photos" / "coffee.png")
        running.append(started("serve"))
        wait_for(port, running[2])
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
    finally:
        for process in running:
            process.terminate()
        assert [process.wait(60) for process in running[1:]] == [0] * len(running[1:])
