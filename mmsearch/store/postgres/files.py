"""The tables of roots, files, failures, and of kinds of files that nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmsearch.records import Counts, Failure, FileState, KnownFiles, Root
from mmsearch.store.conditions import ranges_below
from mmsearch.store.postgres.connected import NOW, Connected, Values
from mmsearch.store.postgres.encoded import FOUND_BY_SOUND, is_whole
from mmsearch.store.postgres.filters import below
from mmsearch.store.rows import ROOT_COLUMNS, known_files, root_of_row, written_extension, written_mounts

# Files that are asked for at a time, of roots that may have millions.
_PAGE = 20_000


class FileTables(Connected):
    """What lies where. What writes does so within the caller's transaction."""

    # An entry of a B-tree has a third of a page at most, 2,704 bytes, with all that is beside the path.
    longest_path = 2_600

    def roots(self) -> list[Root]:
        return [root_of_row(row) for row in self._rows(f"SELECT {ROOT_COLUMNS} FROM roots ORDER BY path")]

    def put_root(self, path: bytes, rules: str) -> Root:
        asked = f"SELECT {ROOT_COLUMNS} FROM roots WHERE path = %s"
        row = self._one(asked, (path,))
        if row is None or row[2] != rules:  # so that a run that changes nothing writes nothing
            self._run(
                f"""INSERT INTO roots (path, rules, added) VALUES (%s, %s, {NOW})
                    ON CONFLICT (path) DO UPDATE SET rules = excluded.rules""",
                (path, rules),
            )
            (row,) = self._rows(asked, (path,))
        return root_of_row(row)

    def set_mounts(self, root_id: int, mounts: Iterable[bytes]) -> None:
        self._run("UPDATE roots SET mounts = %s WHERE id = %s", (written_mounts(mounts), root_id))

    def set_absent(self, root_id: int, count: int) -> None:
        self._run("UPDATE roots SET absent = %s WHERE id = %s", (count, root_id))

    def mark_changed(self, root_ids: Iterable[int]) -> None:
        self._run(f"UPDATE roots SET changed = {NOW} WHERE id = ANY(%s::bigint[])", (list(root_ids),))

    def remove_root(self, root_id: int) -> None:
        for condition in ("unread WHERE root_id", "archives WHERE root_id", "roots WHERE id"):
            self._run(f"DELETE FROM {condition} = %s", (root_id,))
        self._run("DELETE FROM settings WHERE key LIKE 'paused ' || %s::bigint || ' %%'", (root_id,))

    def files_in_root(self, root: Root) -> int:
        condition, values = below("path", root.path)
        return self._number(f"SELECT count(*) FROM files WHERE {condition} AND root_id = %s", (*values, root.id))

    def files_at(self, paths: Sequence[bytes], model_id: int, readers: str) -> KnownFiles:
        files = self._rows(
            "SELECT path, id, root_id, size, mtime_ns, false, ctime_ns FROM files WHERE path = ANY(%s::bytea[])",
            (list(paths),),
        )
        failures = self._rows(
            """SELECT path, id, root_id, CASE WHEN readers IS NOT DISTINCT FROM %s THEN size ELSE -1 END, mtime_ns,
                 model_id FROM failures WHERE path = ANY(%s::bytea[])""",
            (readers, list(paths)),
        )
        return known_files(files, failures, model_id)

    def files_of_root(self, root: Root, folder: bytes | None = None) -> Iterator[tuple[int, bytes]]:
        top = root.path if folder is None else folder
        for first, end in ((top, top + b"\0"), *ranges_below(top)):
            while True:
                rows = self._rows(
                    """SELECT id, path FROM files WHERE path >= %s AND path < %s AND root_id = %s
                       ORDER BY path LIMIT %s""",
                    (first, end, root.id, _PAGE),
                )
                yield from ((row[0], row[1]) for row in rows)
                if len(rows) < _PAGE:
                    break
                first = rows[-1][1] + b"\0"

    def files_below(self, folder: bytes) -> list[int]:
        condition, values = below("path", folder)
        return [row[0] for row in self._rows(f"SELECT id FROM files WHERE {condition}", values)]

    def count_files_below(self, folder: bytes) -> int:
        condition, values = below("path", folder)
        return self._number(f"SELECT count(*) FROM files WHERE {condition}", values)

    def file_count(self) -> int:
        return self._number("SELECT count(*) FROM files")

    def content_at(self, path: bytes) -> int | None:
        row = self._one("SELECT content_id FROM files WHERE path = %s", (path,))
        return None if row is None else int(row[0])

    def put_file(self, file: FileState, content_id: int) -> None:
        self._run_later(
            f"""WITH put AS (
                  INSERT INTO files (path, extension, root_id, content_id, size, mtime_ns, ctime_ns)
                  VALUES (%(path)s, %(extension)s, %(root)s, %(content)s, %(size)s, %(mtime)s, %(ctime)s)
                  ON CONFLICT (path) DO UPDATE SET root_id = excluded.root_id, content_id = excluded.content_id,
                    size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns),
                mended AS (
                  DELETE FROM failures WHERE path = %(path)s AND (model_id IS NULL OR size <> %(size)s
                    OR mtime_ns <> %(mtime)s OR {is_whole("%(content)s", "failures.model_id")}))
                UPDATE models SET may_lack_files = true WHERE NOT may_lack_files
                  AND NOT {is_whole("%(content)s", "models.id")}""",
            {
                "path": file.path,
                "extension": written_extension(file.path),
                "root": file.root_id,
                "content": content_id,
                "size": file.size,
                "mtime": file.mtime_ns,
                "ctime": file.ctime_ns,
            },
        )

    def give_file_to(self, file_id: int, root_id: int) -> None:
        self._run("UPDATE files SET root_id = %s WHERE id = %s", (root_id, file_id))

    def remove_path(self, path: bytes) -> None:
        self._run("DELETE FROM files WHERE path = %s", (path,))
        self._run("DELETE FROM failures WHERE path = %s", (path,))

    def remove_files(self, file_ids: Iterable[int]) -> None:
        self._run("DELETE FROM files WHERE id = ANY(%s::bigint[])", (list(file_ids),))

    def note_failure(self, file: FileState, reason: str, readers: str) -> None:
        self.remove_path(file.path)
        self._put_failure(file, reason, readers)

    def note_not_encoded(self, file: FileState, reason: str, readers: str, model_id: int, is_held: bool) -> None:
        if not is_held:
            self._run("DELETE FROM files WHERE path = %s", (file.path,))
        # It could be read: what was said before of that does not hold any more.
        self._run("DELETE FROM failures WHERE path = %s AND model_id IS NULL", (file.path,))
        self._put_failure(file, reason, readers, model_id)

    def note_out_of_reach(self, root_id: int, path: bytes, reason: str) -> None:
        self._put_failure(FileState(root_id, path, -1, -1), reason, None)

    def failure_at(self, path: bytes) -> int | None:
        row = self._one("SELECT id FROM failures WHERE path = %s AND model_id IS NULL", (path,))
        return None if row is None else int(row[0])

    def _put_failure(self, file: FileState, reason: str, readers: str | None, model_id: int | None = None) -> None:
        self._run(
            f"""INSERT INTO failures (path, root_id, size, mtime_ns, reason, noted, readers, model_id)
                VALUES (%s, %s, %s, %s, %s, {NOW}, %s, %s)
                ON CONFLICT (path, model_id) DO UPDATE SET root_id = excluded.root_id, size = excluded.size,
                  mtime_ns = excluded.mtime_ns, reason = excluded.reason, noted = excluded.noted,
                  readers = excluded.readers""",
            (file.path, file.root_id, file.size, file.mtime_ns, reason, readers, model_id),
        )

    def failures(self) -> list[Failure]:
        rows = self._rows(f"SELECT path, reason, noted FROM failures WHERE NOT {FOUND_BY_SOUND} ORDER BY path")
        return [Failure(*row) for row in rows]

    def found_by_sound(self, model_id: int) -> set[bytes]:
        rows = self._rows(f"SELECT path FROM failures WHERE model_id = %s AND {FOUND_BY_SOUND}", (model_id,))
        return {row[0] for row in rows}

    def failures_of_root(self, root_id: int) -> Iterator[tuple[int, bytes]]:
        rows = self._rows("SELECT id, path FROM failures WHERE root_id = %s", (root_id,))
        return ((row[0], row[1]) for row in rows)

    def failures_below(self, folder: bytes) -> list[int]:
        condition, values = below("path", folder)
        return [row[0] for row in self._rows(f"SELECT id FROM failures WHERE {condition}", values)]

    def remove_failures(self, failure_ids: Iterable[int]) -> None:
        self._release("id = ANY(%s::bigint[])", (list(failure_ids),))

    def remove_failures_of_root(self, root_id: int) -> None:
        self._release("root_id = %s", (root_id,))

    def remove_failures_of_model(self, model_id: int) -> None:
        self._run("DELETE FROM failures WHERE model_id = %s", (model_id,))
        self._run("DELETE FROM stages WHERE stage LIKE '%% ' || %s::bigint", (model_id,))

    def _release(self, condition: str, values: Values) -> None:
        """Forgets these failures: models have files to encode then which they could not encode before."""
        self._run(
            f"""WITH gone AS (DELETE FROM failures WHERE {condition} RETURNING model_id)
                UPDATE models SET may_lack_files = true WHERE id IN (SELECT model_id FROM gone)""",
            values,
        )

    def count_not_encoded(self, model_id: int, reason: str | None = None) -> int:
        return self._number(
            """SELECT count(*) FROM failures JOIN files ON files.path = failures.path AND files.size = failures.size
                 AND files.mtime_ns = failures.mtime_ns
               WHERE failures.model_id = %s AND reason = coalesce(%s, reason)""",
            (model_id, reason),
        )

    def unread(self, root_id: int | None = None) -> dict[str, int]:
        rows = self._rows(
            """SELECT extension, sum(files)::bigint AS files FROM unread WHERE root_id = coalesce(%s, root_id)
               GROUP BY extension ORDER BY 2 DESC, extension""",
            (root_id,),
        )
        return {row[0]: row[1] for row in rows}

    def counts(self, model_id: int) -> Counts:
        media = self._rows(
            """SELECT medium, count(*) FROM files JOIN contents ON contents.id = content_id
               GROUP BY medium ORDER BY medium"""
        )
        ((contents, items, failures),) = self._rows(
            f"""SELECT (SELECT count(DISTINCT content_id) FROM files),
                 (SELECT count(*) FROM items WHERE model_id = %s AND content_id IN (SELECT content_id FROM files)),
                 (SELECT count(*) FROM failures WHERE NOT {FOUND_BY_SOUND})""",
            (model_id,),
        )
        return Counts(dict(media), contents, items, failures, self.unread())

    def put_unread(self, root_id: int, counts: Mapping[str, int]) -> None:
        self._run("DELETE FROM unread WHERE root_id = %s", (root_id,))
        self._run(
            """INSERT INTO unread (root_id, extension, files)
               SELECT %s, * FROM unnest(%s::text[], %s::bigint[])""",
            (root_id, list(counts), list(counts.values())),
        )
