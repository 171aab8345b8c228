"""Whether all that makes up a library is in its database: a restore that broke off leaves a part of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from mmsearch.errors import Damaged
from mmsearch.store.postgres.connected import Connection
from mmsearch.store.postgres.schema import SCHEMA, statements

# A part is named by its kind and its name; constraints are counted by table.
Parts = Counter[tuple[str, str]]
_NAMED = re.compile(r"CREATE (TABLE|INDEX|TRIGGER) (\w+)")
_CONSTRAINTS = re.compile(r"PRIMARY KEY|UNIQUE|REFERENCES")
# Of one moment: a model may come or go meanwhile. What a space is to have is told as `wanted`.
_ALL = """SELECT 'there', CASE relkind WHEN 'i' THEN 'index' ELSE 'table' END, relname, 1 FROM pg_class
    WHERE relnamespace = {schema} AND relkind IN ('r', 'p', 'i')
  UNION ALL SELECT 'there', 'trigger', tgname, count(*) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = {schema} AND NOT tgisinternal GROUP BY tgname
  UNION ALL SELECT 'there', 'constraint', relname, count(*) FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = {schema} AND contype IN ('p', 'u', 'f') GROUP BY relname
  UNION ALL SELECT DISTINCT 'wanted', kind, 'vectors_' || model_id || '_' || modality, 1
    FROM {name}.spaces JOIN {name}.models ON models.id = model_id
    CROSS JOIN (VALUES ('table'), ('constraint')) AS of_space (kind)""".format(
    name=SCHEMA, schema=f"'{SCHEMA}'::regnamespace"
)


def check_whole(connection: Connection, where: str) -> None:
    """Looks whether the tables of the present version, and all that goes with them, are there.

    Raises:
        Damaged: some are not.
    """
    there, wanted = Counter[tuple[str, str]](), _parts_of(statements())
    for which, kind, name, count in connection.execute(_ALL.encode()).fetchall():
        (there if which == "there" else wanted)[kind, name] += count
    lost = sorted((wanted - there).elements(), key=lambda part: (part[0] != "table", part))
    if lost:
        kind, name = lost[0]
        first = f"a constraint of {name}" if kind == "constraint" else f"the {kind} {name}"
        missing = first if len(lost) == 1 else f"{first} and {len(lost) - 1} other parts"
        raise Damaged(
            f"The library in {where} is not whole, as after a restore that broke off ({missing} of it missing); "
            "restore a backup into a new database that has pgvector."
        )


def _parts_of(made_by: Iterable[str]) -> Parts:
    """What statements make."""
    parts: Parts = Counter()
    for statement in made_by:
        if found := _NAMED.match(statement):
            kind, name = found[1].lower(), found[2]
            parts[kind, name] += 1
            if kind == "table" and (constraints := len(_CONSTRAINTS.findall(statement))):
                parts["constraint", name] += constraints
    return parts
