"""What a tool takes: arguments, declared once, from which come a JSON Schema and the check of what is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mmsearch.errors import Invalid

LONGEST_TEXT = 10_000
MOST_TEXTS = 100


@dataclass(frozen=True)
class Argument:
    """An argument of a tool: its kind, what it means, and its bounds. `texts` is a list of texts, or one."""

    name: str
    kind: Literal["text", "texts", "integer", "number", "boolean"]
    about: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    default: Any = None
    is_required: bool = False

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        text: dict[str, Any] = {"type": "string", **({"enum": list(self.choices)} if self.choices else {})}
        found: dict[str, Any] = {"type": self.kind}
        if self.kind == "text":
            found = text
        elif self.kind == "texts":
            found = {"type": "array", "items": text}
        bounds = {"minimum": self.least, "maximum": self.most, "default": self.default}
        return {**found, "description": self.about, **{key: one for key, one in bounds.items() if one is not None}}

    def value(self, given: Any) -> Any:
        """What was given, as it is used.

        Raises:
            Invalid: it is of another kind, or out of bounds.
        """
        if self.kind == "texts":
            texts = given if isinstance(given, list) else [given]
            if len(texts) > MOST_TEXTS:
                raise Invalid(f"`{self.name}` takes no more than {MOST_TEXTS} texts.")
            return tuple(self._text(one) for one in texts)
        if self.kind == "text":
            return self._text(given)
        if self.kind == "boolean":
            if not isinstance(given, bool):
                raise Invalid(f"`{self.name}` is true or false.")
            return given
        return self._number(given)

    def _text(self, given: Any) -> str:
        if not isinstance(given, str):
            raise Invalid(f"`{self.name}` is a text{' or a list of texts' if self.kind == 'texts' else ''}.")
        if len(given) > LONGEST_TEXT:
            raise Invalid(f"`{self.name}` may have {LONGEST_TEXT:,} characters; give a shorter text.")
        if "\0" in given or any("\ud800" <= letter <= "\udfff" for letter in given):
            raise Invalid(f"`{self.name}` has characters in it that are none; give plain text.")
        if self.choices and given not in self.choices:
            raise Invalid(f"`{self.name}` is one of {', '.join(self.choices)}.")
        return given

    def _number(self, given: Any) -> float:
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        if not is_number or (self.kind == "integer" and given != given // 1):
            raise Invalid(f"`{self.name}` is {'a whole number' if self.kind == 'integer' else 'a number'}.")
        if (self.least is not None and given < self.least) or (self.most is not None and given > self.most):
            least, most = (f"{one:,}" if one is not None else "any" for one in (self.least, self.most))
            raise Invalid(f"`{self.name}` must be {least} to {most}.")
        return int(given) if self.kind == "integer" else float(given)


def schema_of(arguments: Sequence[Argument]) -> dict[str, Any]:
    """The JSON Schema of an object with these arguments."""
    return {
        "type": "object",
        "properties": {one.name: one.schema() for one in arguments},
        "required": [one.name for one in arguments if one.is_required],
        "additionalProperties": False,
    }


def values_of(arguments: Sequence[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each argument, its default where none is given.

    Raises:
        Invalid: one is lacking, unknown, of another kind or out of bounds.
    """
    known = {one.name: one for one in arguments}
    for name in given:
        if name not in known:
            raise Invalid(f"There is no argument {name[:100]!r}; there are {', '.join(known) or 'none'}.")
    found: dict[str, Any] = {}
    for one in arguments:
        if given.get(one.name) is not None:
            found[one.name] = one.value(given[one.name])
        elif one.is_required:
            raise Invalid(f"`{one.name}` is to be given.")
        else:
            found[one.name] = () if one.kind == "texts" and one.default is None else one.default
    return found
