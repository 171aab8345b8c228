"""What lies in deploy/: manifests whose commands are real ones, and alerts and a dashboard of numbers that are told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import place_notes
from postgres_server import running_server, running_standby
from serving import running
from test_monitoring import _wait_until, numbers, told_of
from test_worker import queue, workers
from typer.main import get_command

from mmsearch.cli import app
from mmsearch.server.team_metrics import ABOUT

yaml = pytest.importorskip("yaml", reason="the files are YAML")

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


@pytest.fixture(scope="module")
def manifests() -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


def pods(manifests: list[Any]) -> Iterator[tuple[str, Any]]:
    """What the manifests start, by the names of its containers' parts: the specifications of pods."""
    for one in manifests:
        spec = one.get("spec", {})
        template = spec["jobTemplate"]["spec"]["template"] if one["kind"] == "CronJob" else spec.get("template")
        if template is not None:
            yield template["metadata"]["labels"]["part"], template["spec"]


def parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command line makes of these words; an option that is none, or has no such value, is an error."""
    root: Any = get_command(app)
    command = root.get_command(root.context_class(root), arguments[0])
    values: dict[str, Any] = command.make_context(arguments[0], list(arguments[1:])).params
    return values


def test_pods_run_commands_that_there_are_and_are_asked_where_they_listen(manifests: list[Any]) -> None:
    told = {part: (spec, spec["containers"][0]) for part, spec in pods(manifests)}
    options = {part: parsed(container["args"]) for part, (_, container) in told.items()}
    assert told.keys() == {"walk", "worker", "serve"}
    assert options["walk"]["queue"] and [*options["walk"]["paths"]] == ["/photos"]
    ports = {part: [one["containerPort"] for one in told[part][1].get("ports", [])] for part in told}
    assert ports == {"walk": [], "worker": [9187], "serve": [options["serve"]["port"]]}
    assert options["worker"]["metrics"] == "0.0.0.0:9187" and options["serve"]["host"] == "0.0.0.0"
    for part in ("worker", "serve"):
        probe = told[part][1]["livenessProbe"]["httpGet"]
        named = {one["name"]: one["containerPort"] for one in told[part][1]["ports"]}
        assert probe["path"] == "/health" and named[probe["port"]] in ports[part]
    # What a worker has in hand is finished before its pod is killed.
    from mmsearch.indexing.work import GRACE_SECONDS

    assert told["worker"][0]["terminationGracePeriodSeconds"] > GRACE_SECONDS


def test_pods_know_one_library_by_a_password_that_is_a_secret_and_see_the_same_files(manifests: list[Any]) -> None:
    (settings,) = (one for one in manifests if one["kind"] == "ConfigMap")
    assert settings["data"]["MMSEARCH_LIBRARY"].startswith("postgresql://mmsearch@")
    for _, spec in pods(manifests):
        (container,) = spec["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
        (password,) = container["env"]
        assert password["name"] == "PGPASSWORD" and "secretKeyRef" in password["valueFrom"]
        mounted = {one["mountPath"]: one for one in container["volumeMounts"]}
        assert mounted["/photos"]["readOnly"] and {one["name"] for one in spec["volumes"]} == {
            one["name"] for one in container["volumeMounts"]
        }
        # What a namespace of the level "restricted" asks for, and nothing that is written but in volumes.
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        held = container["securityContext"]
        assert held["capabilities"] == {"drop": ["ALL"]} and held["allowPrivilegeEscalation"] is False
        assert held["readOnlyRootFilesystem"] and {"/data", "/tmp"} <= mounted.keys()
    (service,) = (one for one in manifests if one["kind"] == "Service")
    assert service["spec"]["selector"] in [
        one["spec"]["template"]["metadata"]["labels"] for one in manifests if one["kind"] == "Deployment"
    ]
    # The server takes a token from no file that everybody reads.
    (token,) = (volume["secret"] for _, spec in pods(manifests) for volume in spec["volumes"] if "secret" in volume)
    assert not token["defaultMode"] & 0o007


def test_manifests_are_what_kubernetes_takes(manifests: list[Any]) -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for one in manifests:
        validating.validate(one, "1.29", strict=True)


def expressions() -> Iterator[tuple[str, str]]:
    """All that is asked of Prometheus, by the name of the alert or panel."""
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bmmsearch_\w+", expression))


def labels_in(expression: str) -> set[tuple[str, str]]:
    """The numbers that an expression takes with certain labels: by name and label."""
    return {
        (name, label)
        for name, chosen in re.findall(r"(mmsearch_\w+)\{([^}]*)\}", expression)
        for label in re.findall(r"(\w+)=", chosen)
    }


@pytest.mark.slow
def test_alerts_and_the_dashboard_ask_for_numbers_that_are_told(tmp_path: Path) -> None:
    """By what is scraped of a library that has all there is to be told of: a queue, failures, standbys, an archive."""
    place_notes(tmp_path / "notes")
    (tmp_path / "notes" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with running_server() as server:
        for setting in ("archive_mode = on", "archive_command = 'true'"):
            server.run(f"ALTER SYSTEM SET {setting}")
        server.stop()
        server.start()
        url = server.new_database()
        queue(url, tmp_path / "notes")
        with workers(url) as started:
            assert started[0].end()["failed"] == 1
        server.run("SELECT pg_switch_wal()")
        with running_standby(server):
            _wait_until(lambda: "mmsearch_wal_archived_age_seconds" in told_of(url))
            _wait_until(lambda: "mmsearch_replication_lag_seconds" in told_of(url))
            with running(url) as page:
                page.get("search", q="tea")
                page.get("metrics")
                told = numbers(page.get("metrics").body.decode())
    assert {f"mmsearch_{name}" for name in ABOUT} <= told.keys()
    for title, expression in expressions():
        assert names_in(expression), title
        assert names_in(expression) <= told.keys(), title
        for name, label in labels_in(expression):
            assert all(f'{label}="' in labels for labels in told[name]), (title, name, label)


def test_alerts_and_the_dashboard_name_no_number_that_is_unknown() -> None:
    known = {f"mmsearch_{name}" for name in (*ABOUT, "library_up", "unmeasured", "requests_total")}
    asked = {name for _, expression in expressions() for name in names_in(expression)}
    assert asked <= known | {"mmsearch_request_seconds_bucket"}


def promtool(*arguments: str | Path) -> str:
    """What Prometheus' own checker says; its exit code is 0."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian has it in the package prometheus)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_alerts_its_settings_and_what_the_dashboard_asks(tmp_path: Path) -> None:
    promtool("check", "rules", DEPLOY / "alerts.yaml")
    for name in ("prometheus.yaml", "alerts.yaml"):
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef\n")
    promtool("check", "config", tmp_path / "prometheus.yaml")
    recorded = [{"record": f"one:{number}", "expr": asked} for number, (_, asked) in enumerate(expressions())]
    (tmp_path / "asked.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    promtool("check", "rules", tmp_path / "asked.yaml")


# What is told by one library for hours, and which alerts are to come of it.
WELL = {
    "mmsearch_library_up": "1",
    'mmsearch_jobs{model="m",state="waiting"}': "40",
    'mmsearch_jobs{model="m",state="paused"}': "0",
    'mmsearch_jobs{model="m",state="tried"}': "1",
    'mmsearch_oldest_job_seconds{model="m"}': "20",
    'mmsearch_jobs_done_total{model="m"}': "0+60x300",
    "mmsearch_workers": "2",
    'mmsearch_failures{reason="truncated"}': "3",
    'mmsearch_files{type="image"}': "1000",
    'mmsearch_dead_tuples{table="items"}': "200000",
    'mmsearch_live_tuples{table="items"}': "9000000",
    'mmsearch_replication_lag_seconds{standby="s"}': "0.1",
    "mmsearch_wal_archiving_fails": "0",
    'mmsearch_unmeasured{what="files"}': "0",
    "mmsearch_roots_offline": "0",
}
TROUBLES: list[tuple[dict[str, str], set[str]]] = [
    ({}, set()),
    ({"mmsearch_library_up": "0"}, {"MmsearchLibraryAway"}),
    ({"mmsearch_workers": "0"}, {"MmsearchNobodyWorks"}),
    ({"mmsearch_workers": "0", 'mmsearch_jobs{model="m",state="paused"}': "40"}, set()),
    (
        {'mmsearch_oldest_job_seconds{model="m"}': "9000", 'mmsearch_jobs_done_total{model="m"}': "7"},
        {"MmsearchQueueStandsStill"},
    ),
    ({'mmsearch_oldest_job_seconds{model="m"}': "9000"}, set()),
    ({'mmsearch_jobs{model="m",state="tried"}': "900"}, {"MmsearchFilesEndWorkers"}),
    ({'mmsearch_failures{reason="truncated"}': "80"}, {"MmsearchManyFailures"}),
    ({"mmsearch_roots_offline": "2"}, {"MmsearchRootAway"}),
    ({'mmsearch_dead_tuples{table="items"}': "4000000"}, {"MmsearchDeadRows"}),
    ({'mmsearch_replication_lag_seconds{standby="s"}': "900"}, {"MmsearchStandbyBehind"}),
    ({"mmsearch_wal_archiving_fails": "1"}, {"MmsearchArchivingFails"}),
    ({'mmsearch_unmeasured{what="files"}': "1"}, {"MmsearchNotMeasured"}),
]


def test_each_alert_comes_of_its_trouble_and_of_no_other(tmp_path: Path) -> None:
    """Two are asked, which tell the same: what is told twice counts once."""
    shutil.copy(DEPLOY / "alerts.yaml", tmp_path)
    alerts = [title for title, _ in list(expressions()) if title.startswith("Mmsearch")]
    tests = []
    for trouble, expected in TROUBLES:
        assert trouble.keys() <= WELL.keys() and expected <= set(alerts)
        series = [
            {"series": _of_instance(name, instance), "values": value if "x" in value else f"{value}+0x300"}
            for name, value in {**WELL, **trouble}.items()
            for instance in ("one", "two")
        ]
        tests.append({"interval": "1m", "input_series": series, "promql_expr_test": [_firing(expected)]})
    (tmp_path / "tests.yaml").write_text(
        json.dumps({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests})
    )
    promtool("test", "rules", tmp_path / "tests.yaml")
    assert {title for _, expected in TROUBLES for title in expected} == set(alerts)


def _of_instance(name: str, instance: str) -> str:
    bare, brace, labels = name.partition("{")
    return f'{bare}{{instance="{instance}"{"," + labels if brace else "}"}'


def _firing(alerts: set[str]) -> dict[str, Any]:
    """That these alerts, by name, are firing after four hours, and no others."""
    return {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0',
        "eval_time": "4h",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(alerts)],
    }
