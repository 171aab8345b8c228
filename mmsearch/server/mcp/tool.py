"""What a tool is: its name, what it takes, what it does and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.server.mcp.answers import Call, fault
from mmsearch.server.mcp.arguments import Argument, schema_of, values_of


def object_with(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON Schema of an object with these fields; docs/json.md tells of the others that it may have."""
    return {"type": "object", "properties": dict(properties), "required": list(required)}


@dataclass(frozen=True)
class Tool:
    """A tool that reads. `does` gets the values of all arguments, and gives the result as MCP has it."""

    name: str
    title: str
    about: str
    arguments: Sequence[Argument]
    does: Callable[[Call, Mapping[str, Any]], dict[str, Any]]
    gives: Mapping[str, Any]

    def described(self, is_structured: bool) -> dict[str, Any]:
        """How it is listed; what it gives is told to clients that take objects."""
        found = {
            "name": self.name,
            "title": self.title,
            "description": self.about,
            "inputSchema": schema_of(self.arguments),
            "annotations": {"title": self.title, "readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
        }
        return {**found, "outputSchema": dict(self.gives)} if is_structured else found

    def answer(self, call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
        """What it gives, or what is wrong, in a sentence that says what to do."""
        try:
            return self.does(call, values_of(self.arguments, given))
        except MmsearchError as error:
            return fault(call, error)
