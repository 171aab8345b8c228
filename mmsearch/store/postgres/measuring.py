"""What monitors are told of a team's library, from its tables and from what the server counts of them by itself.

Nothing here looks through a large table for long: jobs are counted up to a number and estimated beyond it, and what has
not come by then is cut off after two seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from psycopg import errors

from mmsearch.models.revisions import name_of
from mmsearch.store.measures import Measure, MeasureGroup
from mmsearch.store.postgres.encoded import FOUND_BY_SOUND, SOUND_MODELS_THERE, is_whole
from mmsearch.store.postgres.jobs import ALIVE, JOBS_DONE
from mmsearch.store.postgres.models import ModelTables
from mmsearch.store.postgres.pauses import is_paused
from mmsearch.store.postgres.schema import SCHEMA

# More jobs of a model than this are not counted, but estimated by the server's statistics.
MOST_COUNTED = 20_000
# Of reasons for failures so many are told, the most frequent ones.
_MOST_REASONS = 20
_PATIENCE_SECONDS, _LOCK_SECONDS = 2.0, 0.5

# Numbers of jobs are microseconds since 1970, but for those that an older mmsearch has queued.
_OLDEST_NUMBER = 10**15
# The oldest of each root are the first of their part of the index `jobs_waiting`, whose order is that of the claims.
_WAITING = "jobs.worker_id IS NULL AND jobs.model_id = models.id"
_QUEUE = f"""SELECT models.id,
    (SELECT count(*) FROM (SELECT FROM jobs WHERE {_WAITING} LIMIT %(most)s + 1) AS first_ones),
    (SELECT count(*) FROM (SELECT FROM roots CROSS JOIN LATERAL
      (SELECT FROM jobs WHERE {_WAITING} AND jobs.root_id = roots.id AND jobs.tried LIMIT %(most)s) AS one
      LIMIT %(most)s) AS first_ones),
    (SELECT count(*) FROM jobs JOIN workers ON workers.id = worker_id WHERE model_id = models.id AND {ALIVE}),
    (SELECT count(*) FROM jobs WHERE worker_id IS NOT NULL AND model_id = models.id
      AND NOT EXISTS (SELECT FROM workers WHERE workers.id = worker_id AND {ALIVE})),
    (SELECT count(*) FROM (SELECT FROM roots CROSS JOIN LATERAL
      (SELECT FROM jobs WHERE {_WAITING} AND jobs.root_id = roots.id LIMIT %(most)s) AS one
      WHERE {is_paused("roots.id", "models.id")} LIMIT %(most)s) AS first_ones),
    coalesce((SELECT extract(epoch FROM clock_timestamp()) - min(one.id) / 1e6
      FROM roots CROSS JOIN (VALUES (false), (true)) AS tries (tried)
      CROSS JOIN (VALUES (false), (true)) AS ranks (later)
      CROSS JOIN LATERAL (SELECT id FROM jobs WHERE {_WAITING} AND jobs.root_id = roots.id AND jobs.tried = tries.tried
        AND jobs.later >= ranks.later AND id >= {_OLDEST_NUMBER} ORDER BY jobs.later, id LIMIT 1) AS one
      WHERE NOT {is_paused("roots.id", "models.id")}), 0)::float8
  FROM models ORDER BY models.id"""
# By the index of those that wait, in its order, and so no further than is counted.
_IN_ORDER = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)"
_LACKING = f"""SELECT models.id, CASE WHEN may_lack_files THEN (SELECT count(*) FROM files
      WHERE NOT {is_whole("files.content_id", "models.id")}
        AND NOT EXISTS (SELECT FROM failures WHERE failures.path = files.path AND failures.model_id = models.id
          AND failures.size = files.size AND failures.mtime_ns = files.mtime_ns)
        AND (models.id NOT IN {SOUND_MODELS_THERE}
          OR content_id IN (SELECT id FROM contents WHERE medium = ANY(%s::text[])))) ELSE 0 END
  FROM models ORDER BY models.id"""
_TABLES = """SELECT pg_class.relname, coalesce(n_live_tup, 0), coalesce(n_dead_tup, 0),
    coalesce(pg_table_size(pg_class.oid), 0), coalesce(pg_indexes_size(pg_class.oid), 0)
  FROM pg_class LEFT JOIN pg_stat_user_tables ON pg_stat_user_tables.relid = pg_class.oid
  WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY pg_class.relname"""
# A model's items are those that its tables of vectors have, which the server counts as they come and go.
_ITEMS = """SELECT coalesce(sum(greatest(n_live_tup, reltuples)), 0)::bigint FROM pg_class
  LEFT JOIN pg_stat_user_tables ON relid = pg_class.oid WHERE relnamespace = %s::regnamespace AND relkind = 'r'
    AND pg_class.relname ~ ('^vectors_' || (SELECT value FROM settings WHERE key = 'model_id') || '_')"""
# How far standbys are behind: a null is what a role may not see.
_STANDBYS = """SELECT coalesce(nullif(application_name, ''), 'standby'), host(client_addr), pid,
    pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8,
    CASE WHEN replay_lsn >= pg_current_wal_lsn() THEN 0 ELSE extract(epoch FROM replay_lag) END::float8
  FROM pg_stat_replication WHERE replay_lsn IS NOT NULL ORDER BY 1, 2, 3"""
_OF_ITSELF = """SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8,
    CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
      ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8"""
_ARCHIVING = """SELECT extract(epoch FROM clock_timestamp() - last_archived_time)::float8,
    (last_failed_time IS NOT NULL AND last_failed_time > coalesce(last_archived_time, '-infinity'))::integer
  FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'"""


class MeasureTables(ModelTables):
    """Measures of the library, in groups; see `Measured`."""

    has_measures = True

    def measured(self, group: MeasureGroup) -> tuple[Measure, ...] | None:
        """The measures of a group now; None where they take the server too long, or the role may not see them."""
        try:
            with self.one_state():
                self._run(
                    "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
                    (f"{_PATIENCE_SECONDS}s", f"{_LOCK_SECONDS}s"),
                )
                return tuple(_GROUPS[group](self))
        except (errors.QueryCanceled, errors.LockNotAvailable, errors.InsufficientPrivilege):
            return None

    def _queue(self) -> Iterator[Measure]:
        names = self._names()
        self._run(_IN_ORDER)
        for model_id, waiting, tried, working, lost, paused, oldest in self._rows(_QUEUE, {"most": MOST_COUNTED}):
            of_model = ("model", names[model_id])
            if waiting > MOST_COUNTED:
                waiting = max(waiting, self._about(f"jobs WHERE worker_id IS NULL AND model_id = {model_id:d}"))
            # What workers were at that are lost waits, too, until somebody takes it from them.
            states = {"waiting": waiting + lost, "tried": tried, "working": working, "paused": paused}
            for state, count in states.items():
                yield Measure("jobs", count, (of_model, ("state", state)))
            yield Measure("oldest_job_seconds", max(0.0, oldest), (of_model,))

    def _about(self, rows: str) -> int:
        """About how many rows there are, as the server's planner thinks."""
        plan = self._one(f"EXPLAIN (FORMAT JSON) SELECT FROM {rows}")
        return int(plan[0][0]["Plan"]["Plan Rows"]) if plan is not None else 0

    def _workers(self) -> Iterator[Measure]:
        yield Measure("workers", self._number(f"SELECT count(*) FROM workers WHERE {ALIVE}"))

    def _done(self) -> Iterator[Measure]:
        rows = self._rows(
            f"""SELECT models.id, coalesce(value::bigint, 0) FROM models
                LEFT JOIN settings ON key = '{JOBS_DONE}' || models.id ORDER BY models.id"""
        )
        names = self._names()
        for model_id, count in rows:
            yield Measure("jobs_done_total", count, (("model", names[model_id]),))

    def _failures(self) -> Iterator[Measure]:
        rows = self._rows(
            f"""SELECT reason, count(*) FROM failures WHERE NOT {FOUND_BY_SOUND}
                GROUP BY reason ORDER BY 2 DESC, reason"""
        )
        for reason, count in rows[:_MOST_REASONS]:
            yield Measure("failures", count, (("reason", reason),))
        if others := rows[_MOST_REASONS:]:
            yield Measure("failures", sum(count for _, count in others), (("reason", "others"),))

    def _lacking(self) -> Iterator[Measure]:
        from mmsearch.reading import media_with_sound

        names = self._names()
        for model_id, count in self._rows(_LACKING, (media_with_sound(),)):
            yield Measure("lacking_files", count, (("model", names[model_id]),))

    def _files(self) -> Iterator[Measure]:
        rows = self._rows(
            """SELECT medium, count(*) FROM files JOIN contents ON contents.id = content_id
               GROUP BY medium ORDER BY medium"""
        )
        for medium, count in rows:
            yield Measure("files", count, (("type", medium),))

    def _tables(self) -> Iterator[Measure]:
        bytes_in_all = 0
        for table, live, dead, of_table, of_indexes in self._rows(_TABLES, (SCHEMA,)):
            labels = (("table", table),)
            yield Measure("live_tuples", live, labels)
            yield Measure("dead_tuples", dead, labels)
            yield Measure("table_bytes", of_table, labels)
            yield Measure("index_bytes", of_indexes, labels)
            bytes_in_all += of_table + of_indexes
        yield Measure("library_bytes", bytes_in_all)
        yield Measure("items", self._number(_ITEMS, (SCHEMA,)))

    def _replication(self) -> Iterator[Measure]:
        if self.connection.info.parameter_status("in_hot_standby") == "on":
            rows = [("this server", None, 0, *row) for row in self._rows(_OF_ITSELF)]
        else:
            rows = self._rows(_STANDBYS)
            yield Measure("standbys", self._number("SELECT count(*) FROM pg_stat_replication"))
        names: set[str] = set()
        for name, address, process, behind, seconds in rows:
            called = name if address is None else f"{name} at {address}"
            called = called if called not in names else f"{called}, {process}"
            names.add(called)
            if behind is not None:
                yield Measure("replication_lag_bytes", max(0.0, behind), (("standby", called),))
            if seconds is not None:
                yield Measure("replication_lag_seconds", max(0.0, seconds), (("standby", called),))

    def _archiving(self) -> Iterator[Measure]:
        for age, is_failing in self._rows(_ARCHIVING):
            if age is not None:
                yield Measure("wal_archived_age_seconds", max(0.0, age))
            yield Measure("wal_archiving_fails", is_failing)

    def _names(self) -> dict[int, str]:
        """What the models are called, by their ids."""
        return {model_id: name_of(identity) for model_id, identity in self.model_rows()}


_GROUPS: Mapping[MeasureGroup, Callable[[MeasureTables], Iterator[Measure]]] = {
    "queue": MeasureTables._queue,
    "workers": MeasureTables._workers,
    "done": MeasureTables._done,
    "failures": MeasureTables._failures,
    "lacking": MeasureTables._lacking,
    "files": MeasureTables._files,
    "tables": MeasureTables._tables,
    "replication": MeasureTables._replication,
    "archiving": MeasureTables._archiving,
    "roots": lambda store: iter(()),
}
