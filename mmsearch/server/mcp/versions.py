"""Versions of the protocol: how one is agreed on, and the form that answers have in each.

Up to 2025-11-25 a client greets (`initialize`) and one version holds from then on. Since 2026-07-28 it does not: each
request says its version, and each answer who gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsearch.server.mcp.messages import INVALID_PARAMS, RESOURCE_NOT_FOUND, UNSUPPORTED_VERSION, ProtocolError

# The newest first: that is offered to a client that greets with none of them.
GREETED = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
STATELESS = "2026-07-28"
WITH_BATCHES = "2025-03-26"
_STRUCTURED_SINCE = "2025-06-18"
_VERSION_KEY, _SOFTWARE_KEY = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/serverInfo"
# What a client may keep, and for how long: not at all, as the library may change at any moment.
_KEPT = ("server/discover", "tools/list", "resources/list", "resources/templates/list", "resources/read")


def version_of(params: Mapping[str, Any], greeted: str | None) -> str | None:
    """The version in which a request is written; `greeted` is the one that was agreed on, None where none was.

    Raises:
        ProtocolError: it is none that is spoken.
    """
    meta = params.get("_meta")
    asked = meta.get(_VERSION_KEY) if isinstance(meta, Mapping) else None
    if asked is None:
        return greeted
    if not isinstance(asked, str):
        raise ProtocolError(INVALID_PARAMS, "The version of the protocol is a text.")
    if asked != STATELESS:
        spoken = {"supported": [STATELESS], "requested": asked[:100]}
        raise ProtocolError(UNSUPPORTED_VERSION, f"A request that says its version is of {STATELESS}.", spoken)
    return asked


def is_structured(version: str | None) -> bool:
    """Whether a client takes objects beside texts."""
    return version is not None and version >= _STRUCTURED_SINCE


def formed(version: str | None, method: str, result: dict[str, Any], software: Mapping[str, Any]) -> dict[str, Any]:
    """The result as that version has it; `software` says who gives it."""
    if version != STATELESS:
        return result
    kept = {"ttlMs": 0, "cacheScope": "private"} if method in _KEPT else {}
    return {**result, **kept, "resultType": "complete", "_meta": {_SOFTWARE_KEY: dict(software)}}


def as_told(version: str | None, error: ProtocolError) -> ProtocolError:
    """The error with the code that it has in that version."""
    if version == STATELESS and error.code == RESOURCE_NOT_FOUND:
        return ProtocolError(INVALID_PARAMS, error.message, error.data)
    return error
