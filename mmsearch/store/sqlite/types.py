"""What types the values of tables without checksums have: damage can make a text of a number."""

from __future__ import annotations

_TEXT, _NUMBER, _REAL, _BYTES, _NOTHING = "text", "integer", "real", "blob", "null"
_DETAILS = {
    **dict.fromkeys(("camera", "lens", "place", "title", "keywords", "description"), (_TEXT, _NOTHING)),
    **dict.fromkeys(("focal_length", "latitude", "longitude"), (_REAL, _NOTHING)),
    **dict.fromkeys(("iso", "rating"), (_NUMBER, _NOTHING)),
}
TYPES: dict[str, dict[str, tuple[str, ...]]] = {
    "settings": {"key": (_TEXT,), "value": (_TEXT, _NUMBER)},
    "failures": {
        "path": (_BYTES,), "root_id": (_NUMBER,), "size": (_NUMBER, _NOTHING), "mtime_ns": (_NUMBER, _NOTHING),
        "reason": (_TEXT,), "noted": (_TEXT, _NOTHING), "readers": (_TEXT, _NOTHING), "model_id": (_NUMBER, _NOTHING),
    },
    "adapters": {
        "name": (_TEXT,), "version": (_NUMBER,), "model_fingerprint": (_TEXT,), "weights": (_BYTES,), "about": (_TEXT,),
        "added": (_TEXT,),
    },
    "spaces": {"model_id": (_NUMBER,), "modality": (_TEXT,), "medium": (_TEXT,)},
    "remarks": {
        "content_id": (_NUMBER,), "model_id": (_NUMBER,), "note": (_TEXT, _NOTHING), "left_out": (_NUMBER,),
        "most": (_NUMBER,),
    },
    "query_banks": {
        "model_id": (_NUMBER,), "fingerprint": (_TEXT,), "sharpness": (_REAL,), "centre": (_REAL,),
        "vectors": (_BYTES,),
    },
    "part_names": {"item_id": (_NUMBER,), "name": (_TEXT,)},
    "details": {"content_id": (_NUMBER,), "version": (_NUMBER,), **_DETAILS},
    "sidecars": {"file_id": (_NUMBER,), "state": (_TEXT,), "taken": (_TEXT, _NOTHING), **_DETAILS},
    "stages": {
        "content_id": (_NUMBER,), "stage": (_TEXT,), "version": (_TEXT,), "parts": (_NUMBER,),
        "failure": (_TEXT, _NOTHING), "noted": (_TEXT,),
    },
    "stage_parts": {
        "content_id": (_NUMBER,), "stage": (_TEXT,), "ordinal": (_NUMBER,), "page": (_NUMBER, _NOTHING),
        "region": (_TEXT, _NOTHING), "time_from": (_REAL, _NOTHING), "time_to": (_REAL, _NOTHING),
        "part_name": (_TEXT, _NOTHING), "text": (_TEXT,),
    },
    "wordless": {"content_id": (_NUMBER,), "model_id": (_NUMBER,)},
    "archives": {
        "path": (_BYTES,), "root_id": (_NUMBER,), "size": (_NUMBER,), "mtime_ns": (_NUMBER,),
        "ctime_ns": (_NUMBER, _NOTHING), "read_as": (_TEXT,), "files": (_NUMBER,), "unread": (_TEXT,),
        "trouble": (_TEXT, _NOTHING),
    },
    "unread": {"root_id": (_NUMBER,), "extension": (_TEXT,), "files": (_NUMBER,)},
}  # fmt: skip


def mistyped(column: str, allowed: tuple[str, ...]) -> str:
    """The condition that a value of the column is of no such type."""
    return f"typeof({column}) NOT IN ({', '.join(repr(name) for name in allowed)})"
