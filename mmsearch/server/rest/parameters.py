"""What a search takes: parameters, declared once, from which come their check and their description in OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from mmsearch.errors import Invalid

LONGEST_VALUE, MOST_VALUES, MOST_PARAMETERS = 10_000, 100, 1_000

# The values of each parameter, in the order in which they were given.
Given = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Parameter:
    """A parameter: what it means, its kind and bounds, and whether it may be given more than once."""

    name: str
    about: str
    kind: Literal["string", "integer", "number"] = "string"
    is_many: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    most_values: int = MOST_VALUES

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        bounds = {"minimum": self.least, "maximum": self.most}
        one: dict[str, Any] = {"type": self.kind, **{key: value for key, value in bounds.items() if value is not None}}
        if self.kind == "string":
            one["maxLength"] = LONGEST_VALUE
        if self.choices:
            one["enum"] = list(self.choices)
        return {"type": "array", "items": one, "maxItems": self.most_values} if self.is_many else one

    def number(self, given: Given) -> float | None:
        """Its value where it is a number.

        Raises:
            Invalid: it is none, or out of bounds.
        """
        if self.name not in given:
            return None
        written = given[self.name][0]
        try:
            value = int(written) if self.kind == "integer" else float(written)
        except ValueError:
            kind = "a whole number" if self.kind == "integer" else "a number"
            raise Invalid(f"`{self.name}` is {kind}, and not {written[:40]!r}.") from None
        least, most = self.least, self.most
        if not ((least is None or value >= least) and (most is None or value <= most)):
            between = f"{least:,g} to {most:,g}" if most is not None else f"{least:,g} or more"
            raise Invalid(f"`{self.name}` is {written[:40]}; it must be {between}.")
        return value


def checked(given: Mapping[str, Sequence[str]], parameters: Sequence[Parameter]) -> dict[str, Sequence[str]]:
    """The values that are not blank.

    Raises:
        Invalid: a parameter is unknown, given too often or too long, or has a value that it never has.
    """
    known = {one.name: one for one in parameters}
    found: dict[str, Sequence[str]] = {}
    for name, values in given.items():
        parameter = known.get(name)
        if parameter is None:
            raise Invalid(f"There is no parameter {name[:40]!r}; there are {', '.join(known) or 'none'}.")
        values = [value for value in values if value.strip()]
        if len(values) > (parameter.most_values if parameter.is_many else 1):
            most = f"{parameter.most_values:,} times" if parameter.is_many else "once"
            raise Invalid(f"`{name}` may be given {most}.")
        for value in values:
            if len(value) > LONGEST_VALUE:
                raise Invalid(f"`{name}` may have {LONGEST_VALUE:,} characters.")
            if "\0" in value:
                raise Invalid(f"`{name}` has a character in it that is none.")
            if parameter.choices and value not in parameter.choices:
                raise Invalid(f"`{name}` is one of {', '.join(parameter.choices)}.")
        if values:
            found[name] = values
    return found


def of_query(query: bytes) -> dict[str, list[str]]:
    """The values of a URL's query by name. Bytes that are no UTF-8 are lone surrogates, as in paths.

    Raises:
        Invalid: there are too many.
    """
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise Invalid(f"The URL has more than {MOST_PARAMETERS:,} parameters.") from None
    return of_pairs(pairs)


def of_pairs(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def of_json(body: Any) -> dict[str, list[str]]:
    """The values of an object as they would be in a URL: texts, numbers, and lists of these.

    Raises:
        Invalid: it is none, or holds something else.
    """
    if not isinstance(body, dict):
        raise Invalid("The body is an object of parameters, as JSON.")
    found: dict[str, list[str]] = {}
    for name, value in body.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        if any(isinstance(one, bool) or not isinstance(one, (str, int, float)) for one in values):
            raise Invalid(f"`{name[:40]}` is a text, a number, or a list of these.")
        found[name] = [str(one) for one in values]
    return found
