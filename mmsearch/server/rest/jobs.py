"""Runs of index that were asked for over HTTP: one at a time, each with how far it is."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mmsearch.errors import MmsearchError, Remedy, Unavailable
from mmsearch.library import Library
from mmsearch.server.rest.index_process import started, told_by
from mmsearch.server.rest.problems import Problem

MOST_KEPT = 20
_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Job:
    """A run of index: `done` of `total` of a `unit` (null where that is not known yet), in a named `stage` of it.

    `report` is what `mmsearch index --json` prints, once it is done; `error` a sentence, where it has failed.
    """

    job: str
    state: Literal["running", "done", "failed", "stopped"]
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    report: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Running:
    """The process of a job."""

    job: str
    process: subprocess.Popen[str]
    is_stopped: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """The jobs of a server. Any number of threads may use it; `on_change` is called by threads of its own."""

    def __init__(self, library: Library, in_words: Callable[[MmsearchError], str]) -> None:
        self._library, self._in_words = library, in_words
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: _Running | None = None
        self.on_change: Callable[[Job], None] = lambda job: None

    def start(self, paths: Sequence[str]) -> Job:
        """Starts a run with these paths, or with all roots.

        Raises:
            Problem: one goes on.
        """
        with self._lock:
            if self._running is not None:
                raise Problem("busy", "A run of index goes on; wait for it, or stop it.")
            job = Job(secrets.token_hex(8), "running")
            running = self._running = _Running(job.job, started(self._library.given, paths))
            self._jobs[job.job] = job
            for old in list(self._jobs)[:-MOST_KEPT]:
                del self._jobs[old]
        threading.Thread(target=self._follow, args=(running,), daemon=True).start()
        self.on_change(job)
        return job

    def get(self, called: str) -> Job:
        """How far the job is.

        Raises:
            Problem: there is none of that name.
        """
        job = self._jobs.get(called)
        if job is None:
            raise Problem("not_found", "There is no such job.")
        return job

    def running(self) -> tuple[Job, ...]:
        """Those that go on."""
        return tuple(job for job in self._jobs.values() if job.state == "running")

    def stop(self, called: str) -> Job:
        """Stops the job if it runs, and waits until it has ended; what was done is kept."""
        job = self.get(called)
        with self._lock:
            running = self._running
            if running is None or running.job != called:
                return job
            running.is_stopped.set()
            running.process.terminate()
        running.has_ended.wait(_SECONDS_TO_END)
        return self.get(called)

    def close(self) -> None:
        """Stops what runs."""
        with self._lock:
            running = self._running
        if running is not None:
            self.stop(running.job)

    def _follow(self, running: _Running) -> None:
        """Keeps the job up to date until its process has ended: only then it is done, and another may begin."""
        stream, last = running.process.stdout, dict[str, Any]()
        assert stream is not None
        with stream:
            for told in told_by(stream):
                if "progress" in told:
                    kept = {name: told["progress"][name] for name in ("stage", "done", "total", "unit")}
                    self._put(replace(self._jobs[running.job], **kept))
                else:
                    last = told
        running.process.wait()
        job = self._jobs[running.job]
        if "report" in last:
            job = replace(job, state="done", report=last["report"])
        elif running.is_stopped.is_set():
            job = replace(job, state="stopped")
        else:
            error = self._sentence(last["error"]) if last else "The run of index has ended without a word."
            job = replace(job, state="failed", error=error)
        with self._lock:
            self._running = None
            self._jobs[job.job] = job
        running.has_ended.set()
        self.on_change(job)

    def _put(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.job] = job
        self.on_change(job)

    def _sentence(self, told: dict[str, Any]) -> str:
        action, subject = told["action"], told["subject"]
        return self._in_words(Unavailable(told["message"], Remedy(action, subject) if action else None))
