"""Calendars (.ics) and cards of addresses (.vcf) → what a person sees of each event, task or card, one part each."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

from mmsearch.reading.noise import blank_noise
from mmsearch.records import Locator, Part

_HEAD = re.compile(r'(?:[\w-]{1,80}\.)?([\w-]{1,80})((?:;(?:[^":;]|"[^"]*")*)*):')
_ESCAPED = re.compile(r"\\(.)", re.S)
_BETWEEN_FIELDS = re.compile(r"(?<!\\);")
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d)(?::?\d\d)?(Z)?)?")
_DAY = re.compile(r"--(\d\d)-?(\d\d)")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_EVENTS = ("VEVENT", "VTODO", "VJOURNAL")
# Programs that know no date write one of long ago.
_FIRST_YEAR = 1900
_UNITS = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}


class _Property(NamedTuple):
    """What one line says: its name in capitals, its parameters, and the value as it is written."""

    name: str
    parameters: Mapping[str, str]
    value: str

    @property
    def text(self) -> str:
        return _unescaped(self.value)

    @property
    def fields(self) -> list[str]:
        """The fields of a name or an address."""
        return [_unescaped(one).strip() for one in _BETWEEN_FIELDS.split(self.value)]


@dataclass
class _Component:
    """What lies between BEGIN and END: where that begins, in characters, on which line, and what is said in it."""

    kind: str
    start: int
    line: int
    said: list[_Property] = field(default_factory=list)

    def first(self, name: str) -> _Property | None:
        return next((one for one in self.said if one.name == name), None)

    def texts(self, *names: str) -> Iterator[str]:
        """What is said under those names, in their order."""
        for name in names:
            yield from (one.text for one in self.said if one.name == name)


def read_cards(text: str) -> tuple[list[Part], str | None]:
    """The events or cards of a text in their order, and before them what a calendar is called; and when its event
    begins, where it has a single one, as `FileFacts.taken` has it.

    None are given where there are none: it is a text like others.
    """
    found, events = [], []
    for one in _components(text):
        if one.kind in _EVENTS and one.first("RECURRENCE-ID") is None:  # else another day of one that is there
            events.append(one)
        said = _WORDS_OF[one.kind](one)
        words = blank_noise("\n".join(dict.fromkeys(line.strip() for line in said if line.strip())))
        if any(map(str.isalpha, words)):
            found.append((one.start, Part("text", words, Locator(start=one.start, line=one.line))))
    begins = _begin_of(events[0]) if len(events) == 1 else None
    return [part for _, part in sorted(found, key=lambda one: one[0])], begins


def _begin_of(event: _Component) -> str | None:
    """The date and time at which an event begins, where it is; a day that has no time begins at midnight.

    What is told by the clock of a zone is that clock's time, without an offset, as photos have theirs.
    """
    for said in (event.first("DTSTART"), event.first("DUE")):
        found = None if said is None else _DATE.match(said.value.strip())
        if found is None:
            continue
        year, month, day, hour, minute = (int(one or 0) for one in found.groups()[:5])
        try:
            begins = datetime(year, month, day, hour, minute, tzinfo=timezone.utc if found[6] else None)
        except ValueError:
            continue
        if year >= _FIRST_YEAR:
            return begins.isoformat()
    return None


def _components(text: str) -> Iterator[_Component]:
    """Those components that have words; what breaks off ends there."""
    within: list[_Component] = []
    for start, line, written in _unfolded(text):
        said = _property(written)
        if said is None:
            continue
        kind = said.value.strip().upper()
        if said.name == "BEGIN":
            within.append(_Component(kind, start, line))
        elif said.name == "END":
            while within and any(one.kind == kind for one in within):
                ended = within.pop()
                if ended.kind in _WORDS_OF:
                    yield ended
                if ended.kind == kind:
                    break
        elif within:
            within[-1].said.append(said)
    yield from (one for one in within if one.kind in _WORDS_OF)


def _unfolded(text: str) -> Iterator[tuple[int, int, str]]:
    """The lines as they were before they were folded: where each begins, in characters, on which line, and the line."""
    at = 0
    begins, number, pieces, is_quoted = 0, 1, list[str](), False
    for count, line in enumerate(text.split("\n"), start=1):
        is_broken = is_quoted and bool(pieces) and pieces[-1].endswith("=")
        if pieces and is_broken:
            pieces[-1] = pieces[-1][:-1]
            pieces.append(line)
        elif pieces and line.startswith((" ", "\t")):
            pieces.append(line[1:])
        else:
            if pieces:
                yield begins, number, "".join(pieces)
            begins, number, pieces = at, count, [line]
            is_quoted = "QUOTED-PRINTABLE" in line.partition(":")[0].upper()
        at += len(line) + 1
    if pieces:
        yield begins, number, "".join(pieces)


def _property(line: str) -> _Property | None:
    head = _HEAD.match(line)
    if head is None:
        return None
    parameters: dict[str, str] = {}
    for one in head[2].split(";"):
        name, is_given, value = one.partition("=")
        # Cards of version 2.1 leave names out: TEL;HOME.
        parameters[name.strip().upper()] = value.strip().strip('"') if is_given else ""
    value = line[head.end() :]
    if "QUOTED-PRINTABLE" in (parameters.get("ENCODING", "").upper(), *parameters):
        value = _from_quoted(value, parameters.get("CHARSET", "utf-8"))
    return _Property(head[1].upper(), parameters, value)


def _from_quoted(value: str, charset: str) -> str:
    data = quopri.decodestring(value.encode("utf-8", "surrogateescape")).replace(b"\r\n", b"\n")
    try:
        return data.decode(charset, "replace")
    except (LookupError, UnicodeError):
        return data.decode("utf-8", "replace")


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def _words_of_calendar(calendar: _Component) -> list[str]:
    return list(calendar.texts("X-WR-CALNAME", "NAME", "X-WR-CALDESC"))


def _words_of_event(event: _Component) -> list[str]:
    people = [one.parameters.get("CN", "") for one in event.said if one.name in ("ORGANIZER", "ATTENDEE")]
    with_whom = ", ".join(dict.fromkeys(filter(None, people)))
    return [
        *event.texts("SUMMARY"),
        _when(event),
        *event.texts("LOCATION", "DESCRIPTION", "CATEGORIES"),
        f"with {with_whom}" if with_whom else "",
    ]


def _words_of_card(card: _Component) -> list[str]:
    names = list(card.texts("FN"))
    if not any(name.strip() for name in names):
        names = [" ".join(_in_speech(one.fields)) for one in card.said if one.name == "N"]
    works_for = [", ".join(filter(None, one.fields)) for one in card.said if one.name == "ORG"]
    addresses = [", ".join(filter(None, one.fields)) for one in card.said if one.name == "ADR"]
    born = card.first("BDAY")
    return [
        *names,
        *card.texts("NICKNAME"),
        *works_for,
        *card.texts("TITLE", "ROLE"),
        *addresses,
        *card.texts("EMAIL", "TEL", "URL"),
        f"born {_day_of(born.value)}" if born is not None and born.value.strip() else "",
        *card.texts("NOTE", "CATEGORIES"),
    ]


def _in_speech(fields: Sequence[str]) -> Iterator[str]:
    """A name that is written as family name, given name, further ones, title, what comes after."""
    family, given, *rest = (*fields, "", "")
    return filter(None, (*rest[1:2], given, *rest[:1], family, *rest[2:]))


def _when(event: _Component) -> str:
    """When an event is, in words: `Friday 3 May 2024, 10:00 to 11:30, every week`."""
    begins, ends = (_moment(event.first(name)) for name in ("DTSTART", "DTEND"))
    begins = begins or _moment(event.first("DUE"))
    if begins is None:
        return ""
    if ends is not None and ends.time is None:  # the first day on which it is over
        ends = ends._replace(day=ends.day - timedelta(days=1)) if ends.day > begins.day else None
    said = [begins.words]
    if ends is not None and ends.day > begins.day:
        said = [f"{begins.words} to {ends.words}"]
    elif ends is not None and ends.time is not None and ends.time != begins.time:
        said = [f"{begins.words} to {ends.time}"]
    rule = event.first("RRULE")
    return ", ".join((*said, *_how_often("" if rule is None else rule.value)))


def _how_often(rule: str) -> Sequence[str]:
    parts = dict(one.partition("=")[::2] for one in rule.upper().split(";"))
    unit, step = _UNITS.get(parts.get("FREQ", "")), parts.get("INTERVAL", "1")
    if unit is None:
        return ()
    return (f"every {unit}" if step == "1" or not step.isdecimal() else f"every {step} {unit}s",)


class _Moment(NamedTuple):
    """A day, and the time on it where that is said."""

    day: date
    time: str | None

    @property
    def words(self) -> str:
        day = f"{_WEEKDAYS[self.day.weekday()]} {self.day.day} {_MONTHS[self.day.month - 1]} {self.day.year}"
        return day if self.time is None else f"{day}, {self.time}"


def _moment(said: _Property | None) -> _Moment | None:
    found = None if said is None else _DATE.match(said.value.strip())
    if found is None:
        return None
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
    return _Moment(day, f"{found[4]}:{found[5]}{' UTC' if found[6] else ''}" if found[4] else None)


def _day_of(value: str) -> str:
    """A birthday in words, as it is written where it is none that is known."""
    known = _DATE.match(value.strip()) or _DAY.match(value.strip())
    if known is None:
        return _unescaped(value)
    *year, month, day = known.groups()[: 3 if known.re is _DATE else 2]
    if not 1 <= int(month) <= 12:
        return _unescaped(value)
    return " ".join((str(int(day)), _MONTHS[int(month) - 1], *(one for one in year if one != "1604")))


_WORDS_OF = {
    "VCALENDAR": _words_of_calendar,
    **dict.fromkeys(_EVENTS, _words_of_event),
    "VCARD": _words_of_card,
}
