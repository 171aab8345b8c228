"""The tables of roots, files, failures, and of kinds of files that nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmsearch.records import Counts, Failure, FileState, KnownFiles, Root
from mmsearch.store.rows import ROOT_COLUMNS, known_files, root_of_row, written_extension, written_mounts
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.encoded import FOUND_BY_SOUND, is_whole
from mmsearch.store.sqlite.filters import below
from mmsearch.store.times import now


class FileTables(Connected):
    """What lies where. What writes does so within the caller's transaction."""

    def roots(self) -> list[Root]:
        rows = self.connection.execute(f"SELECT {ROOT_COLUMNS} FROM roots ORDER BY path")
        return [root_of_row(row) for row in rows]

    def put_root(self, path: bytes, rules: str) -> Root:
        self.connection.execute(
            """INSERT INTO roots (path, rules, added) VALUES (?, ?, ?)
               ON CONFLICT (path) DO UPDATE SET rules = excluded.rules WHERE rules <> excluded.rules""",
            (path, rules, now()),
        )
        row = self.connection.execute(f"SELECT {ROOT_COLUMNS} FROM roots WHERE path = ?", (path,)).fetchone()
        return root_of_row(row)

    def set_mounts(self, root_id: int, mounts: Iterable[bytes]) -> None:
        self.connection.execute("UPDATE roots SET mounts = ? WHERE id = ?", (written_mounts(mounts), root_id))

    def set_absent(self, root_id: int, count: int) -> None:
        self.connection.execute("UPDATE roots SET absent = ? WHERE id = ?", (count, root_id))

    def mark_changed(self, root_ids: Iterable[int]) -> None:
        moment = now()
        self.connection.executemany("UPDATE roots SET changed = ? WHERE id = ?", ((moment, one) for one in root_ids))

    def remove_root(self, root_id: int) -> None:
        self.connection.execute("DELETE FROM unread WHERE root_id = ?", (root_id,))
        self.connection.execute("DELETE FROM archives WHERE root_id = ?", (root_id,))
        self.connection.execute("DELETE FROM roots WHERE id = ?", (root_id,))

    def files_in_root(self, root: Root) -> int:
        condition, values = below("path", root.path)
        row = self.connection.execute(
            f"SELECT count(*) FROM files WHERE {condition} AND root_id = ?", (*values, root.id)
        ).fetchone()
        return int(row[0])

    def files_at(self, paths: Sequence[bytes], model_id: int, readers: str) -> KnownFiles:
        places = ", ".join("?" * len(paths))
        files = self.connection.execute(
            f"SELECT path, id, root_id, size, mtime_ns, 0, ctime_ns FROM files WHERE path IN ({places})", paths
        )
        failures = self.connection.execute(
            f"""SELECT path, id, root_id, CASE WHEN readers IS ? THEN size ELSE -1 END, mtime_ns, model_id
                FROM failures WHERE path IN ({places})""",
            (readers, *paths),
        )
        return known_files(files, failures, model_id)

    def files_of_root(self, root: Root, folder: bytes | None = None) -> Iterator[tuple[int, bytes]]:
        condition, values = below("path", root.path if folder is None else folder)
        return iter(
            self.connection.execute(f"SELECT id, path FROM files WHERE {condition} AND root_id = ?", (*values, root.id))
        )

    def files_below(self, folder: bytes) -> list[int]:
        condition, values = below("path", folder)
        return [row[0] for row in self.connection.execute(f"SELECT id FROM files WHERE {condition}", values)]

    def count_files_below(self, folder: bytes) -> int:
        condition, values = below("path", folder)
        row = self.connection.execute(f"SELECT count(*) FROM files WHERE {condition}", values).fetchone()
        return int(row[0])

    def file_count(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM files").fetchone()
        return int(row[0])

    def content_at(self, path: bytes) -> int | None:
        row = self.connection.execute("SELECT content_id FROM files WHERE path = ?", (path,)).fetchone()
        return None if row is None else int(row[0])

    def put_file(self, file: FileState, content_id: int) -> None:
        path, size, mtime_ns = file.path, file.size, file.mtime_ns
        self.connection.execute(
            """INSERT INTO files (path, extension, root_id, content_id, size, mtime_ns, ctime_ns)
               VALUES (?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (path) DO UPDATE SET root_id = excluded.root_id, content_id = excluded.content_id,
                 size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns""",
            (path, written_extension(path), file.root_id, content_id, size, mtime_ns, file.ctime_ns),
        )
        self.connection.execute(
            f"""DELETE FROM failures WHERE path = ?1 AND (model_id IS NULL OR size <> ?2 OR mtime_ns <> ?3
                 OR {is_whole("?4", "failures.model_id")})""",
            (path, size, mtime_ns, content_id),
        )
        self.connection.execute(
            f"""UPDATE models SET may_lack_files = 1 WHERE may_lack_files = 0
                AND NOT {is_whole("?1", "models.id")}""",
            (content_id,),
        )

    def give_file_to(self, file_id: int, root_id: int) -> None:
        self.connection.execute("UPDATE files SET root_id = ? WHERE id = ?", (root_id, file_id))

    def remove_path(self, path: bytes) -> None:
        self.connection.execute("DELETE FROM files WHERE path = ?", (path,))
        self.connection.execute("DELETE FROM failures WHERE path = ?", (path,))

    def remove_files(self, file_ids: Iterable[int]) -> None:
        self.connection.executemany("DELETE FROM files WHERE id = ?", ((file_id,) for file_id in file_ids))

    def note_failure(self, file: FileState, reason: str, readers: str) -> None:
        self.remove_path(file.path)
        self._put_failure(file, reason, readers)

    def note_not_encoded(self, file: FileState, reason: str, readers: str, model_id: int, is_held: bool) -> None:
        if not is_held:
            self.connection.execute("DELETE FROM files WHERE path = ?", (file.path,))
        # It could be read: what was said before of that does not hold any more.
        self.connection.execute("DELETE FROM failures WHERE path = ? AND model_id IS NULL", (file.path,))
        self._put_failure(file, reason, readers, model_id)

    def note_out_of_reach(self, root_id: int, path: bytes, reason: str) -> None:
        self._put_failure(FileState(root_id, path, -1, -1), reason, None)

    def failure_at(self, path: bytes) -> int | None:
        row = self.connection.execute("SELECT id FROM failures WHERE path = ? AND model_id IS NULL", (path,)).fetchone()
        return None if row is None else int(row[0])

    def _put_failure(self, file: FileState, reason: str, readers: str | None, model_id: int | None = None) -> None:
        self.connection.execute(
            """INSERT OR REPLACE INTO failures (path, root_id, size, mtime_ns, reason, noted, readers, model_id)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (file.path, file.root_id, file.size, file.mtime_ns, reason, now(), readers, model_id),
        )

    def failures(self) -> list[Failure]:
        rows = self.connection.execute(
            f"SELECT path, reason, noted FROM failures WHERE NOT {FOUND_BY_SOUND} ORDER BY path"
        )
        return [Failure(*row) for row in rows]

    def found_by_sound(self, model_id: int) -> set[bytes]:
        rows = self.connection.execute(
            f"SELECT path FROM failures WHERE model_id = ? AND {FOUND_BY_SOUND}", (model_id,)
        )
        return {row[0] for row in rows}

    def failures_of_root(self, root_id: int) -> Iterator[tuple[int, bytes]]:
        return iter(self.connection.execute("SELECT id, path FROM failures WHERE root_id = ?", (root_id,)))

    def failures_below(self, folder: bytes) -> list[int]:
        condition, values = below("path", folder)
        return [row[0] for row in self.connection.execute(f"SELECT id FROM failures WHERE {condition}", values)]

    def remove_failures(self, failure_ids: Iterable[int]) -> None:
        for one in failure_ids:
            self._release("id = ?", (one,))
            self.connection.execute("DELETE FROM failures WHERE id = ?", (one,))

    def remove_failures_of_root(self, root_id: int) -> None:
        self._release("root_id = ?", (root_id,))
        self.connection.execute("DELETE FROM failures WHERE root_id = ?", (root_id,))

    def remove_failures_of_model(self, model_id: int) -> None:
        self.connection.execute("DELETE FROM failures WHERE model_id = ?", (model_id,))
        self.connection.execute("DELETE FROM stages WHERE stage LIKE '% ' || ?", (model_id,))

    def _release(self, condition: str, values: tuple[Any, ...]) -> None:
        """Says that models have files to encode which they could not encode before: these failures are let go."""
        self.connection.execute(
            f"UPDATE models SET may_lack_files = 1 WHERE id IN (SELECT model_id FROM failures WHERE {condition})",
            values,
        )

    def count_not_encoded(self, model_id: int, reason: str | None = None) -> int:
        row = self.connection.execute(
            """SELECT count(*) FROM failures JOIN files ON files.path = failures.path AND files.size = failures.size
                 AND files.mtime_ns = failures.mtime_ns WHERE failures.model_id = ? AND reason = ifnull(?, reason)""",
            (model_id, reason),
        ).fetchone()
        return int(row[0])

    def unread(self, root_id: int | None = None) -> dict[str, int]:
        rows = self.connection.execute(
            """SELECT extension, sum(files) FROM unread WHERE ?1 IS NULL OR root_id = ?1
               GROUP BY extension ORDER BY sum(files) DESC, extension""",
            (root_id,),
        )
        return dict(rows.fetchall())

    def counts(self, model_id: int) -> Counts:
        media = self.connection.execute(
            """SELECT medium, count(*) FROM files JOIN contents ON contents.id = content_id
               GROUP BY medium ORDER BY medium"""
        ).fetchall()
        contents, items, failures = self.connection.execute(
            f"""SELECT (SELECT count(DISTINCT content_id) FROM files),
                 (SELECT count(*) FROM items WHERE model_id = ? AND content_id IN (SELECT content_id FROM files)),
                 (SELECT count(*) FROM failures WHERE NOT {FOUND_BY_SOUND})""",
            (model_id,),
        ).fetchone()
        return Counts(dict(media), contents, items, failures, self.unread())

    def put_unread(self, root_id: int, counts: Mapping[str, int]) -> None:
        self.connection.execute("DELETE FROM unread WHERE root_id = ?", (root_id,))
        self.connection.executemany(
            "INSERT INTO unread (root_id, extension, files) VALUES (?, ?, ?)",
            ((root_id, extension, files) for extension, files in counts.items()),
        )
