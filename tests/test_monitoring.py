"""What monitors are told of a team's library: numbers that the database has, whoever is killed and whoever asks."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import refused
from postgres_server import GUARDED, PASSWORD, PostgresServer, running_server, running_standby
from serving import running
from test_worker import library_model, make_tree, queue

from mmsearch import Library
from mmsearch.indexing import roots
from mmsearch.server.exposition import labels, lines
from mmsearch.server.monitoring import address_in
from mmsearch.server.team_metrics import TeamMetrics
from mmsearch.store.postgres import measuring
from mmsearch.store.work import QueuedFile

_PATIENCE_SECONDS = 120
LINE = re.compile(r"(mmsearch_\w+)(?:\{(.*)\})? (\S+)")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, notes and a damaged file. Tests do not change it."""
    return make_tree(tmp_path_factory.mktemp("home") / "tree")


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notes alone."""
    return make_tree(tmp_path_factory.mktemp("home") / "tree") / "notes"


class MonitoredWorker:
    """`mmsearch worker --metrics 0`, and what it tells."""

    def __init__(self, url: str, *options: str) -> None:
        command = [sys.executable, "-m", "mmsearch", "worker", "--library", url, "--metrics", "0", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        found = re.search(r"metrics at (http://127\.0\.0\.1:(\d+)/metrics)", said)
        assert found is not None, said + self.process.stderr.read()
        self.port = int(found[2])

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=_PATIENCE_SECONDS)
        return self.process.returncode


@contextmanager
def monitored_worker(url: str, *options: str) -> Iterator[MonitoredWorker]:
    worker = MonitoredWorker(url, *options)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.communicate()


def numbers(text: str) -> dict[str, dict[str, float]]:
    """By name, and by labels as they are written."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            told = LINE.fullmatch(line)
            assert told is not None, line
            found.setdefault(told[1], {})[told[2] or ""] = float(told[3])
    return found


def told_of(url: str) -> dict[str, dict[str, float]]:
    """What is told of a library now, without a process between."""
    metrics = TeamMetrics(lambda: Library(url))
    return numbers("\n".join(lines(metrics.families())))


def _wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_worker_tells_what_the_database_knows_and_what_is_counted_outlives_it(
    postgres: PostgresServer, url: str, tree: Path
) -> None:
    files = len([one for one in tree.rglob("*") if one.is_file()])
    queue(url, tree)
    model = f'model="{library_model(url)}"'
    waiting = told_of(url)
    assert waiting["mmsearch_jobs"] == {
        f'{model},state="waiting"': files,
        f'{model},state="tried"': 0,
        f'{model},state="working"': 0,
        f'{model},state="paused"': 0,
    }
    # Since they were queued, by the server's clock.
    (elapsed,) = postgres.run(
        "SELECT extract(epoch FROM clock_timestamp()) - min(id) / 1e6 FROM mmsearch.jobs", postgres.name_of(url)
    )[0]
    assert 0 < waiting["mmsearch_oldest_job_seconds"][model] <= elapsed < 600
    with monitored_worker(url, "--lease", "5") as worker:
        _wait_until(lambda: told_of(url)["mmsearch_jobs_done_total"][model] == files)
        status, text = worker.get("/metrics")
        assert status == 200
        told = numbers(text)
        assert set(told["mmsearch_unmeasured"].values()) == {0}
        assert told["mmsearch_workers"] == {"": 1} and told["mmsearch_library_up"] == {"": 1}
        assert worker.get("/health") == (200, '{"status":"ok"}\n')
        assert worker.get("/else")[0] == 404 and worker.get("/metrics", "POST")[0] == 501
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
    _wait_until(lambda: told_of(url)["mmsearch_workers"] == {"": 0})
    after = told_of(url)
    assert after["mmsearch_jobs_done_total"] == {model: files}
    assert after["mmsearch_failures"] == {'reason="truncated JPEG"': 1}
    assert after["mmsearch_lacking_files"] == {model: 0}
    assert sum(after["mmsearch_files"].values()) == files - 1
    assert after["mmsearch_oldest_job_seconds"] == {model: 0}
    assert after["mmsearch_index_bytes"]['table="items"'] > 0 < after["mmsearch_table_bytes"]['table="files"']
    assert after["mmsearch_roots_offline"] == {"": 0} and after["mmsearch_standbys"] == {"": 0}
    assert "mmsearch_replication_lag_seconds" not in after and "mmsearch_wal_archived_age_seconds" not in after
    # What it was called by is told by no number, and nothing of names of files is.
    assert str(tree) not in text and "coffee" not in text


def test_the_page_tells_the_same_of_a_team_s_library_and_of_a_folder(url: str, notes: Path, tmp_path: Path) -> None:
    for place in (url, str(tmp_path / "library")):
        with Library(place) as library:
            library.index([notes])
        with running(place) as server:
            told = numbers(server.get("metrics").body.decode())
            assert told["mmsearch_files"] == {'type="text"': 5} and told["mmsearch_roots_offline"] == {"": 0}
            assert set(told["mmsearch_lacking_files"].values()) == {0}
            assert "mmsearch_failures" not in told or told["mmsearch_failures"] == {}
            assert told["mmsearch_library_bytes"][""] > 10_000
            assert ("mmsearch_dead_tuples" in told) == (place == url)


def test_what_a_model_lacks_is_told_by_model(url: str, notes: Path) -> None:
    from mmsearch.records import ModelIdentity
    from mmsearch.store.models import add_model
    from mmsearch.store.postgres.store import PostgresStore

    with Library(url) as library:
        library.index([notes])
    first = library_model(url)
    with closing(PostgresStore.write(url)) as store, store.transaction():
        add_model(store, ModelIdentity('an "other"\n', "1", 8, "f" * 32))
    told = told_of(url)
    assert told["mmsearch_lacking_files"] == {f'model="{first}"': 0, r'model="an \"other\"\n"': 5}


def test_many_jobs_are_estimated_and_not_counted(
    postgres: PostgresServer, url: str, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.store.postgres.store import PostgresStore

    with Library(url) as library:
        library.index([notes])
    with closing(PostgresStore.share(url)) as store:
        (model_id, _), (root,) = store.model_rows()[0], store.roots()
        file = QueuedFile(root.id, b"", 1, 1, None, None, False, False, False, False)
        store.queue(model_id, [file._replace(path=b"/%d" % number) for number in range(5_000)], later=False)
    postgres.run("ANALYZE mmsearch.jobs", postgres.name_of(url))
    (label,) = [label for label in told_of(url)["mmsearch_jobs"] if "waiting" in label]
    assert told_of(url)["mmsearch_jobs"][label] == 5_000
    monkeypatch.setattr(measuring, "MOST_COUNTED", 100)
    statements: list[str] = []
    run = PostgresStore._run

    def noted(self: PostgresStore, statement: str, values: object = (), binary: bool = False) -> object:
        statements.append(statement)
        return run(self, statement, values, binary)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresStore, "_run", noted)
    assert 4_000 <= told_of(url)["mmsearch_jobs"][label] <= 6_000
    assert any(statement.startswith("EXPLAIN") for statement in statements)
    # Of 5,000 that wait 100 and one are looked at, and the first of each kind: by an index in their order.
    with closing(PostgresStore.read(url)) as reader, reader.one_state():
        reader._run(measuring._IN_ORDER)
        ((plan,),) = reader._rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {measuring._QUEUE}", {"most": 100})
    assert 101 <= sum(rows_of_jobs(plan[0]["Plan"])) <= 110


def rows_of_jobs(plan: dict[str, Any]) -> Iterator[float]:
    """How many rows of the table each part of a plan has looked at."""
    if plan.get("Relation Name") == "jobs":
        yield plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    for part in plan.get("Plans", ()):
        yield from rows_of_jobs(part)


def test_what_the_database_does_not_tell_in_time_is_left_out_and_said(
    postgres: PostgresServer, url: str, notes: Path
) -> None:
    with Library(url) as library:
        library.index([notes])
    with psycopg.connect(postgres.url(postgres.name_of(url))) as busy:
        busy.execute("LOCK TABLE mmsearch.failures IN ACCESS EXCLUSIVE MODE")
        told = told_of(url)
    assert told["mmsearch_unmeasured"]['what="failures"'] == 1 and told["mmsearch_unmeasured"]['what="queue"'] == 0
    assert "mmsearch_failures" not in told and told["mmsearch_workers"] == {"": 0}
    assert told_of(url)["mmsearch_unmeasured"]['what="failures"'] == 0


def test_a_role_that_may_only_read_is_told_what_it_may_see(postgres: PostgresServer, url: str, notes: Path) -> None:
    with Library(url) as library:
        library.index([notes])
    name = postgres.name_of(url)
    postgres.run(f"GRANT USAGE ON SCHEMA mmsearch TO {GUARDED}", name)
    postgres.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA mmsearch TO {GUARDED}", name)
    told = told_of(postgres.url(name, GUARDED, PASSWORD))
    assert set(told["mmsearch_unmeasured"].values()) == {0}
    assert told["mmsearch_files"] == {'type="text"': 5}
    postgres.run(f"REVOKE SELECT ON mmsearch.failures FROM {GUARDED}", name)
    told = told_of(postgres.url(name, GUARDED, PASSWORD))
    assert [what for what, count in told["mmsearch_unmeasured"].items() if count] == [
        'what="failures"',
        'what="lacking"',
    ]


def test_a_library_is_asked_no_more_often_than_every_few_seconds(url: str, notes: Path) -> None:
    with Library(url) as library:
        library.index([notes])
    opened, now = 0, 100.0

    def opening() -> Library:
        nonlocal opened
        opened += 1
        return Library(url)

    metrics = TeamMetrics(opening, lambda: now)
    first = metrics.families()
    assert metrics.families() == first and opened == 1
    now += 4.9
    assert metrics.families() == first and opened == 1
    now += 0.2
    assert metrics.families() and opened == 2


def test_a_root_that_hangs_is_looked_at_again_soon(url: str, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Library(url) as library:
        library.index([notes])
    now, looked = 100.0, 0

    def is_away(store: object, root: object) -> bool:
        nonlocal now, looked
        now, looked = now + 20.0, looked + 1  # as long as a bucket is waited for that does not answer
        return looked == 1

    monkeypatch.setattr(roots, "is_away", is_away)
    metrics = TeamMetrics(lambda: Library(url), lambda: now)
    assert numbers("\n".join(lines(metrics.families())))["mmsearch_roots_offline"] == {"": 1}
    now += 5.1
    assert numbers("\n".join(lines(metrics.families())))["mmsearch_roots_offline"] == {"": 0}


def test_a_database_that_is_away_is_told_and_nothing_else_is(url: str, notes: Path) -> None:
    away = url.replace("?host=", "?host=%2Fnowhere")
    assert told_of(away) == {"mmsearch_library_up": {"": 0}}


@pytest.mark.slow
def test_how_far_standbys_are_behind_is_told_by_both(notes: Path) -> None:
    with running_server() as own_server:
        url = own_server.new_database()
        with Library(url) as library:
            library.index([notes])
        _followed(own_server, url)


def _followed(own_server: PostgresServer, url: str) -> None:
    with running_standby(own_server) as standby:
        told = told_of(url)
        assert told["mmsearch_standbys"] == {"": 1}
        (behind,) = told["mmsearch_replication_lag_bytes"].values()
        assert behind >= 0 and len(told["mmsearch_replication_lag_bytes"]) == 1
        its_own, itself = standby.url(own_server.name_of(url)), 'standby="this server"'
        _wait_until(lambda: told_of(its_own)["mmsearch_replication_lag_bytes"] == {itself: 0})
        of_itself = told_of(its_own)
        assert of_itself["mmsearch_replication_lag_seconds"] == {itself: 0}
        assert "mmsearch_standbys" not in of_itself and set(of_itself["mmsearch_unmeasured"].values()) == {0}


def test_where_it_listens_is_this_machine_unless_a_host_is_given(url: str) -> None:
    assert address_in("9187") == ("127.0.0.1", 9187)
    assert address_in("0.0.0.0:9187") == ("0.0.0.0", 9187) and address_in("[::1]:0") == ("::1", 0)
    for wrong in ("", "port", ":9187", "localhost", "1:65536", "-1"):
        with refused("no port to listen at"):
            address_in(wrong)
    assert labels([("reason", 'a "b"\\\n')]) == r'{reason="a \"b\"\\\n"}'


def test_a_port_that_is_taken_is_said(url: str, notes: Path) -> None:
    with Library(url) as library:
        library.index([notes])
    with monitored_worker(url) as worker:
        command = [sys.executable, "-m", "mmsearch", "worker", "--library", url, "--metrics", str(worker.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS)
        assert done.returncode == 2 and f"port {worker.port} (Address already in use)" in done.stderr
        assert worker.end() == 0


def test_json_of_a_worker_is_nothing_but_json_beside_metrics(url: str, notes: Path) -> None:
    queue(url, notes)
    command = [sys.executable, "-m", "mmsearch", "worker", "--library", url, "--exit-when-empty", "--json"]
    done = subprocess.run([*command, "--metrics", "0"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS)
    assert json.loads(done.stdout)["stored"] == 5 and "metrics at http://127.0.0.1:" in done.stderr
