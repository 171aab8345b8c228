"""The queue of a team's library: what waits to be encoded, and who is at it. The server's clock alone is asked.

The lease lies with the worker, not with its jobs, so that one row is written to renew it. Whoever changes the rows of
several jobs at once, or those of a worker's, waits for the others that do (NUMBERING, which transactions that store
hold too): so no two of them can hold each other up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from mmsearch.store.postgres.connected import Row
from mmsearch.store.postgres.encoded import is_whole
from mmsearch.store.postgres.filters import below
from mmsearch.store.postgres.holders import ROOT_LOCKS, runs
from mmsearch.store.postgres.pauses import PauseTables, is_paused
from mmsearch.store.postgres.schema import LOCKS, NUMBERING
from mmsearch.store.queue_state import QueueState, StoredRun, WorkerState
from mmsearch.store.work import Job, QueuedFile

ALIVE = "workers.alive_until > clock_timestamp()"
_FILE = "root_id, path, size, mtime_ns, ctime_ns, archive, known, unchanged, touched, details_only"
# Whether a file that is queued again is in another state than it was tried in.
_OTHERWISE = "(jobs.size, jobs.mtime_ns) <> (excluded.size, excluded.mtime_ns)"
# Whether a file that was new or another when it was found is in the library now as it was found: then the job that it
# had is done. Whoever stores new items waits meanwhile, so that all they have stored is seen.
_STORED_SINCE = f"""(NOT (given.unchanged OR given.touched OR given.details_only)
    AND EXISTS (SELECT FROM files WHERE files.path = given.path AND files.root_id = given.root_id
      AND (files.size, files.mtime_ns) = (given.size, given.mtime_ns)
      AND files.ctime_ns IS NOT DISTINCT FROM given.ctime_ns AND {is_whole("files.content_id", "%s")}))"""
_LOST_JOBS = """SELECT jobs.id FROM jobs WHERE worker_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM workers WHERE workers.id = jobs.worker_id)"""
# Sent to the server at a time.
_PAGE = 1_000
# The jobs that come next have numbers behind all others, and no less than the microseconds since 1970 now: so the
# number of a job tells since when it waits.
_NUMBERED_BY_CLOCK = """SELECT setval('jobs_id_seq',
    greatest(last_value, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)) FROM jobs_id_seq"""
# The setting that counts the jobs of a model that workers are through with.
JOBS_DONE = "jobs_done "


class JobTables(PauseTables):
    """The queue; see `WorkQueue`."""

    def hold_root(self, root_id: int) -> bool:
        row = self._one("SELECT pg_try_advisory_lock(%s, %s)", (ROOT_LOCKS, root_id))
        return row is not None and bool(row[0])

    def queue(self, model_id: int, files: Sequence[QueuedFile], later: bool) -> None:
        """Queues the files for a model; those that wait already are not queued twice, and are as they are found now.

        `later` is behind all that is not. Files of roots that have left the library are left out, and so is what a
        worker has stored since it was found, in the same state. What a worker is at stays as it is.
        """
        for first in range(0, len(files), _PAGE):
            columns = [list(column) for column in zip(*files[first : first + _PAGE], strict=True)]
            with self._aside(others_wait=True):
                self._run(_NUMBERED_BY_CLOCK)
                self._run(
                    f"""INSERT INTO jobs (model_id, later, {_FILE})
                        SELECT %s, %s, given.* FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[], %s::bigint[],
                          %s::bigint[], %s::bytea[], %s::boolean[], %s::boolean[], %s::boolean[], %s::boolean[])
                          AS given ({_FILE})
                        WHERE EXISTS (SELECT FROM roots WHERE roots.id = given.root_id)
                          AND EXISTS (SELECT FROM models WHERE models.id = %s) AND NOT {_STORED_SINCE}
                        ORDER BY given.path
                        ON CONFLICT (path, model_id) DO UPDATE SET root_id = excluded.root_id, size = excluded.size,
                          mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, archive = excluded.archive,
                          known = excluded.known, unchanged = excluded.unchanged, touched = excluded.touched,
                          details_only = excluded.details_only, later = excluded.later,
                          tried = jobs.tried AND NOT ({_OTHERWISE}),
                          deaths = CASE WHEN {_OTHERWISE} THEN 0 ELSE jobs.deaths END
                        WHERE jobs.worker_id IS NULL""",
                    (model_id, later, *columns, model_id, model_id, model_id),
                )

    def enlist(self, name: str, lease: float) -> int:
        return self._number(
            """INSERT INTO workers (name, since, alive_until)
               VALUES (%s, clock_timestamp(), clock_timestamp() + %s * interval '1 second') RETURNING id""",
            (name, lease),
        )

    def renew(self, worker: int, lease: float) -> bool:
        with self._aside():
            renewed = self._run(
                "UPDATE workers SET alive_until = clock_timestamp() + %s * interval '1 second' WHERE id = %s",
                (lease, worker),
            )
        return bool(renewed.rowcount)

    def leave(self, worker: int) -> None:
        with self._aside(others_wait=True):
            self._run("UPDATE jobs SET worker_id = NULL WHERE worker_id = %s", (worker,))
            self._run("DELETE FROM workers WHERE id = %s", (worker,))

    def reap(self) -> None:
        lost = f"EXISTS (SELECT FROM workers WHERE NOT {ALIVE}) OR EXISTS ({_LOST_JOBS})"
        if self._one(f"SELECT WHERE {lost}") is None:
            return
        with self._aside(others_wait=True):
            self._run(
                f"""DELETE FROM workers WHERE id IN
                      (SELECT id FROM workers WHERE NOT {ALIVE} FOR UPDATE SKIP LOCKED) AND NOT {ALIVE}"""
            )
            self._run(
                f"""UPDATE jobs SET worker_id = NULL, tried = true, deaths = deaths + tried::integer
                    WHERE id IN ({_LOST_JOBS})"""
            )

    def claim(
        self, worker: int, model_ids: Sequence[int], root_ids: Sequence[int], most: int, tried: bool = False
    ) -> list[Job]:
        best = self._one(
            f"""SELECT model_id, root_id FROM unnest(%s::bigint[]) WITH ORDINALITY AS models (model_id, place)
               CROSS JOIN unnest(%s::bigint[]) AS roots (root_id)
               CROSS JOIN LATERAL (SELECT later, id FROM jobs WHERE worker_id IS NULL AND jobs.tried = %s
                 AND jobs.model_id = models.model_id AND jobs.root_id = roots.root_id
                 ORDER BY later, id LIMIT 1) AS foremost
               WHERE NOT {is_paused("roots.root_id", "models.model_id")}
               ORDER BY later, place > 1, foremost.id LIMIT 1""",
            (list(model_ids), list(root_ids), tried),
        )
        if best is None:
            return []
        with self._aside():
            rows = self._rows(
                f"""WITH found AS (SELECT id FROM jobs WHERE worker_id IS NULL AND tried = %s AND model_id = %s
                      AND root_id = %s ORDER BY later, id LIMIT %s FOR UPDATE SKIP LOCKED)
                    UPDATE jobs SET worker_id = %s FROM found WHERE jobs.id = found.id
                      AND EXISTS (SELECT FROM workers WHERE workers.id = %s AND {ALIVE})
                    RETURNING jobs.id, model_id, tried, deaths, {_FILE}""",
                (tried, *best, most, worker, worker),
            )
        return sorted(_job(row) for row in rows)

    def give_back(self, worker: int, job_ids: Collection[int]) -> None:
        if job_ids:
            with self._aside(others_wait=True):
                self._run(
                    "UPDATE jobs SET worker_id = NULL WHERE id = ANY(%s::bigint[]) AND worker_id = %s",
                    (list(job_ids), worker),
                )

    def own(self, worker: int, job_ids: Collection[int]) -> set[int]:
        rows = self._rows(
            "SELECT id FROM jobs WHERE id = ANY(%s::bigint[]) AND worker_id = %s FOR UPDATE", (list(job_ids), worker)
        )
        return {row[0] for row in rows}

    def finish(self, job_ids: Collection[int]) -> None:
        """Takes jobs out of the queue, and counts them for their workers and models, at the end of the caller's
        transaction: the worker's row is locked from then on, and its sign of life waits.
        """
        self._run(
            f"""WITH gone AS (DELETE FROM jobs WHERE id = ANY(%s::bigint[]) RETURNING model_id, worker_id),
                  counted AS (
                    UPDATE workers SET done = done + of_worker.jobs
                    FROM (SELECT worker_id, count(*) AS jobs FROM gone GROUP BY worker_id) AS of_worker
                    WHERE workers.id = of_worker.worker_id)
                INSERT INTO settings (key, value)
                SELECT '{JOBS_DONE}' || model_id, count(*)::text FROM gone GROUP BY model_id
                ON CONFLICT (key) DO UPDATE SET value = (settings.value::bigint + excluded.value::bigint)::text""",
            (list(job_ids),),
        )

    def remove_jobs_below(self, folder: bytes) -> int:
        """Takes the jobs of the file `folder`, or of all files below the folder, out of the queue, within the caller's
        transaction. Returns how many there were. A worker that is at one of them keeps nothing of it.
        """
        condition, values = below("path", folder)
        self._run("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, NUMBERING))
        return self._run(f"DELETE FROM jobs WHERE {condition}", values).rowcount

    def jobs_left(self, model_ids: Sequence[int], root_ids: Sequence[int]) -> QueueState:
        return self._state(
            "WHERE model_id = ANY(%s::bigint[]) AND root_id = ANY(%s::bigint[])", (list(model_ids), list(root_ids))
        )

    def queue_state(self) -> QueueState | None:
        """How it stands with the whole queue."""
        return self._state("", ())

    def runs(self) -> list[StoredRun] | None:
        """Who has the library for itself at present, and who walks which root; None where the server does not know."""
        return runs(self.connection)

    def _state(self, of_which: str, values: Sequence[object]) -> QueueState:
        (counts,) = self._rows(
            f"""WITH counted AS (
                  SELECT model_id, root_id, count(*) FILTER (WHERE workers.id IS NULL) AS waiting,
                    count(*) FILTER (WHERE workers.id IS NULL AND tried) AS tried, count(workers.id) AS working
                  FROM jobs LEFT JOIN workers ON workers.id = worker_id AND {ALIVE} {of_which}
                  GROUP BY model_id, root_id)
                SELECT coalesce(sum(waiting), 0)::bigint, coalesce(sum(tried), 0)::bigint,
                  coalesce(sum(working), 0)::bigint,
                  coalesce(sum(waiting) FILTER (WHERE {is_paused("root_id", "model_id")}), 0)::bigint FROM counted""",
            values,
        )
        workers = self._rows(
            f"""SELECT name, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), done FROM workers
                WHERE {ALIVE} ORDER BY id"""
        )
        waiting, tried, working, paused = counts
        return QueueState(waiting, tried, working, tuple(WorkerState(*row) for row in workers), paused)

    @contextmanager
    def _aside(self, others_wait: bool = False) -> Iterator[None]:
        """A transaction that leaves the library in the state that it is in. It is durable a moment later: what of it a
        server loses that is killed was not stored, and is claimed or done again.
        """
        try:
            self._run("BEGIN")
            if others_wait:
                self._run("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, NUMBERING))
            else:
                self._run("SET LOCAL synchronous_commit = off")
            yield
            self._run("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):
                self.connection.rollback()
            raise


def _job(row: Row) -> Job:
    number, model_id, tried, deaths, *file = row
    return Job(number, model_id, tried, deaths, QueuedFile(*file))
