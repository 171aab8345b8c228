"""Runs of index that were asked for over HTTP: one at a time, each with how far it is."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mmsearch.errors import MmsearchError, Remedy
from mmsearch.server.rest.index_process import started, told_by
from mmsearch.server.rest.problems import Problem

MOST_KEPT = 20


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


class Jobs:
    """The jobs of a server. Any number of threads may use it; `on_change` is called by threads of its own."""

    def __init__(self, folder: str, in_words: Callable[[MmsearchError], str]) -> None:
        self._folder, self._in_words = folder, in_words
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: tuple[str, subprocess.Popen[str]] | None = None
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
            process = started(self._folder, paths)
            self._running = job.job, process
            self._jobs[job.job] = job
            for old in list(self._jobs)[:-MOST_KEPT]:
                del self._jobs[old]
        threading.Thread(target=self._follow, args=(job.job, process), daemon=True).start()
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
        """Stops the job if it runs; what was done is kept."""
        job = self.get(called)
        with self._lock:
            if self._running is not None and self._running[0] == called:
                job = self._jobs[called] = replace(job, state="stopped")
                self._running[1].terminate()
        return job

    def close(self) -> None:
        """Stops what runs."""
        with self._lock:
            running = self._running
        if running is not None:
            running[1].terminate()
            running[1].wait()

    def _follow(self, called: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for told in told_by(stream):
                self._change(called, told)
        process.wait()
        with self._lock:
            self._running = None
            job = self._jobs[called]
            if job.state == "running":  # it has ended without a word
                job = self._jobs[called] = replace(job, state="failed", error="The run of index was ended.")
        self.on_change(job)

    def _change(self, called: str, told: dict[str, Any]) -> None:
        with self._lock:
            job = self._jobs[called]
            if job.state == "stopped":
                return
            if "progress" in told:
                kept = {name: told["progress"][name] for name in ("stage", "done", "total", "unit")}
                job = replace(job, **kept)
            elif "report" in told:
                job = replace(job, state="done", report=told["report"])
            else:
                job = replace(job, state="failed", error=self._sentence(told["error"]))
            self._jobs[called] = job
        if job.state == "running":
            self.on_change(job)

    def _sentence(self, told: dict[str, Any]) -> str:
        remedy = Remedy(told["action"], told["subject"]) if told["action"] else None
        return self._in_words(MmsearchError(told["message"], remedy))
