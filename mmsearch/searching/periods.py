"""A period as people say it → from when to when it lasts: `july 2019`, `last summer`, `2015..2018`, `3 weeks ago`.

What a text means is told by it and by the day on which it is said. Days are local ones, weeks begin on Monday, and
seasons are three whole months each, those of the north. What comes again (a week, a July, a summer, a Christmas) is
`this` one from its beginning until the next begins, and the `last` one once it has ended: in July last summer is that
of the year before, and in November it is that of the same year. Winter bears the year in which it begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache

from mmsearch.errors import Invalid
from mmsearch.records import Reading
from mmsearch.searching.recurring import (
    DAY,
    FEASTS,
    MONTH,
    SEASON,
    WEEKDAY,
    Days,
    begun,
    begun_of_years,
    coming,
    each_year,
    ended,
    months_on,
)

# From which day on, and before which one; None where it is open.
Bounds = tuple[date | None, date | None]

_NUMBER = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_OTHER_CALENDARS = ("ru", "uk")
_LEADING = "in|on|at|from|during|over|of|the"


def _one_of(*names: str) -> str:
    return f"(?:{'|'.join(sorted(names, key=len, reverse=True))})"


_OF_YEARS = _one_of(*MONTH, *SEASON, *FEASTS)
_AGAIN = _one_of("day", "week", "weekend", "month", "year", *MONTH, *SEASON, *FEASTS, *WEEKDAY)
_COUNTED = rf"(?P<count>\d{{1,4}}|{_one_of(*_NUMBER)})"
_YEARS_BACK = rf"(?:\d{{1,4}}|{_one_of(*_NUMBER)}) years? ago"
_YEAR = rf"(?:,? (?:of |in )?(?P<year>\d{{4}}(?: year)?|(?:last|this|next) year|{_YEARS_BACK}))?"

_OPEN = (
    r"(?P<word>since|after|before|until|till|up to) (?P<of>.+)|"
    r"from (?P<from_on>.+) on(?:wards?)?|(?P<onwards>.+) (?:onwards?|and later)"
)
_UP_TO = ("until", "till", "up to")
_BETWEEN = (
    r"between (?P<from>.+) and (?P<to>.+)|"
    r"(?P<first>.+?)(?:\s*(?:\.\.+|…|–|—)\s*|\s+(?:to|till|until|through|-)\s+|(?<=^\d{4})-(?=\d{4}$))(?P<last>.+)"
)
_NUMBERS = r"(?P<year>\d{4})(?:(?P<between>[-/])(?P<month>\d{1,2})(?:(?P=between)(?P<day>\d{1,2}))?)?"
# With dots the day comes first, wherever dates are written so. With slashes it may be the month: that is not guessed.
_DOTTED = r"(?:(?P<day>\d{1,2})\.)?(?P<month>\d{1,2})\.(?P<year>\d{4})"
_DECADE = r"(?P<century>\d\d)?(?P<decade>\d)0'?s"
_DAY_OF_MONTH = (
    rf"(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<of_month>{_one_of(*MONTH)})|"
    rf"(?P<month>{_one_of(*MONTH)}) (?P<day_of>\d{{1,2}})(?:st|nd|rd|th)?){_YEAR}"
)
_OF_A_YEAR = rf"(?P<name>{_OF_YEARS}){_YEAR}"
# 2019年の夏
_YEAR_BEFORE = rf"(?P<year>\d{{4}})(?: year)? (?P<name>{_OF_YEARS})"
_YEAR_ALONE = r"(?:year )?(?P<year>\d{4})(?: year)?"
_AGO = rf"{_COUNTED} (?P<name>{_AGAIN})s? ago"
_SINCE = rf"(?P<which>last|past|previous|next|coming) {_COUNTED} (?P<unit>day|week|month|year)s?"
_WHICH = rf"(?P<which>last|past|previous|this|current|next|coming) (?P<name>{_AGAIN})"
# Of a query that only mentions July, or winter, nobody knows that a date is meant.
_COMING = ("next", "coming")
_SAYS_COMING = re.compile(r"\b(?:next|coming|tomorrow)\b")
_SAYS_WHEN = re.compile(rf"\d{{4}}|\b(?:last|past|previous|this|current|ago|today|yesterday)\b|{_SAYS_COMING.pattern}")
_MOST_WORDS = 6
_BESIDE = " ,.!?;:–-()"


@dataclass(frozen=True)
class Period:
    """From when, included, to when, excluded, a period lasts: naive local date-times, as `Filters` have them.

    One of them is None where the period has no beginning or no end.
    """

    after: datetime | None
    before: datetime | None

    @property
    def dates(self) -> str:
        """Its first and last year, month or day, as short as that tells it: `2019`, `2019-06 to 2019-08`, `2019 and
        later`.
        """
        first, end = (None if one is None else one.date() for one in (self.after, self.before))
        length = 10
        if all(one is None or one.day == 1 for one in (first, end)):
            length = 4 if all(one is None or one.month == 1 for one in (first, end)) else 7
        begins, ends = (
            None if one is None else one.isoformat()[:length] for one in (first, None if end is None else end - DAY)
        )
        if begins is None or ends is None:
            return f"{ends} and earlier" if begins is None else f"{begins} and later"
        return begins if begins == ends else f"{begins} to {ends}"


@dataclass(frozen=True)
class PeriodInText:
    """A period that is named at an end of a text: the words that name it, from when to when it lasts, and the text
    without them.
    """

    phrase: str
    after: datetime
    before: datetime
    rest: str


def parse_period(written: str, today: date | None = None) -> Period:
    """The period that a text names, said on that day, or today.

    In the languages that queries are read in the names of months, seasons and feasts, yesterday, last summer, next
    week, since when and until when are known too.

    Raises:
        Invalid: it names none, or one that ends before it begins.
    """
    said = today or date.today()
    days = _days(written, said) or _days_in_other_words(written, said)
    if days is None:
        raise Invalid(
            f"{written[:80]!r} is no period; write it as 2019, 2019-07, july 2019, summer 2019, christmas 2018, "
            "2015..2018, since 2024, before 2019, 1990s, yesterday, last summer, next week or 3 weeks ago."
        )
    if _ends_before(days):
        raise Invalid(f"{written[:80]!r} ends before it begins; write what is earlier first.")
    return _period(days)


def narrowed(
    when: Period, after: datetime | None, before: datetime | None, names: tuple[str, str, str]
) -> tuple[datetime | None, datetime | None]:
    """From when to when what lies in a period, and in other bounds; `names` are those of the three as they are given.

    Raises:
        Invalid: nothing does.
    """
    begin = max((one for one in (when.after, after) if one is not None), default=None)
    end = min((one for one in (when.before, before) if one is not None), default=None)
    if begin is not None and end is not None and begin >= end:
        period, first, last = names
        other = last if begin == when.after else first
        raise Invalid(f"No time of {period}, which is {when.dates}, passes {other}; leave one of them out.")
    return begin, end


def period_in(text: str, today: date, read_as: Reading | None = None) -> PeriodInText | None:
    """The period that the last or the first words of a text name, where these say which year is meant and it has a
    beginning and an end.

    `read_as` is how the text was read that is not in English.
    """
    words = text.split()
    sizes = range(min(_MOST_WORDS, len(words)), 0, -1)
    ends = [(words[-size:], words[:-size]) for size in sizes] + [(words[:size], words[size:]) for size in sizes]
    languages = [read_as.language] if read_as is not None and any(map(_SAYS_WHEN.search, read_as.english)) else []
    for named, others in ends:
        days = _days_said(named, languages, today)
        if days is None:
            continue
        begin, end = days
        if begin is None or end is None:
            return None
        if not _is_meant(begin, end, today, " ".join(named)):
            continue
        while _days_said(named[1:], languages, today) == days:  # in July 2019
            named = named[1:]
        after, before = (datetime.combine(day, time.min) for day in (begin, end))
        return PeriodInText(" ".join(named).strip(_BESIDE), after, before, " ".join(others).strip(_BESIDE))
    return None


def _is_meant(begin: date, end: date, today: date, phrase: str) -> bool:
    """Whether a query may mean these days: those to come only where it says so."""
    if begin > today:
        return _SAYS_COMING.search(phrase.casefold()) is not None
    return end.year <= today.year + 1


def _days_said(words: Sequence[str], languages: Iterable[str | None], today: date) -> Bounds | None:
    """The days that words of a query name, where they say which year is meant."""
    phrase = " ".join(words).strip(_BESIDE)
    for reading in (phrase, *_in_english(phrase, languages)):
        days = _days(reading, today) if _SAYS_WHEN.search(reading.casefold()) else None
        if days is not None and not _ends_before(days):
            return days
    return None


def _ends_before(days: Bounds) -> bool:
    begin, end = days
    return begin is not None and end is not None and begin >= end


def _period(days: Bounds) -> Period:
    return Period(*(None if day is None else datetime.combine(day, time.min) for day in days))


def _days_in_other_words(written: str, today: date) -> Bounds | None:
    """What a text in another language says, where all languages in which it says anything agree."""
    from mmsearch.language import NAMES

    found = {days for english in _in_english(written, NAMES) if (days := _days(english, today)) is not None}
    return found.pop() if len(found) == 1 else None


def _in_english(written: str, languages: Iterable[str | None]) -> Iterator[str]:
    """What a text says in English that is in one of some languages; without any nothing of them is loaded.

    Feasts that lie on other days there are left out: a new year may be its eve, and there is more than one calendar.
    """
    for language in languages:
        if language is None:
            continue
        from mmsearch.language import period_in_english

        others = ("new year", "christmas", "easter") if language in _OTHER_CALENDARS else ("new year",)
        for english in period_in_english(written, language):
            is_number = re.fullmatch(_NUMBERS, _without_leading(english))  # of 2019 is what somebody mistyped
            if not is_number and not any(feast in english for feast in others):
                yield english


def _without_leading(text: str) -> str:
    return re.sub(rf"^(?:(?:{_LEADING}) )+", "", text, flags=re.IGNORECASE)


def _days(written: str, today: date) -> Bounds | None:
    """The days of the period that a text in English names; None where it names none that a calendar has."""
    said = " ".join(written.casefold().replace("’", "'").split())
    text = _without_leading(said)
    try:
        opened = re.fullmatch(_OPEN, said)
        days = None if opened is None else _of_open(opened, today)
        between = re.fullmatch(_BETWEEN, text)
        if days is None and between is not None:
            first = _one_period(_without_leading(between["from"] or between["first"]), today)
            last = _one_period(_without_leading(between["to"] or between["last"]), today)
            return None if first is None or last is None else (first[0], last[1])
        return days or _one_period(text, today)
    except (ValueError, OverflowError):
        return None


def _of_open(match: re.Match[str], today: date) -> Bounds | None:
    days = _one_period(_without_leading(match["of"] or match["from_on"] or match["onwards"]), today)
    if days is None:
        return None
    begin, end = days
    if match["word"] == "before" and begin == date.min:
        return None  # the calendar has no day before that
    opened: dict[str | None, Bounds] = {"after": (end, None), "before": (None, begin)}
    return opened.get(match["word"], (None, end) if match["word"] in _UP_TO else (begin, None))


def _one_period(text: str, today: date) -> Days | None:
    for pattern, meant in _meant():
        match = pattern.fullmatch(text)
        if match is not None:
            return meant(match, today)
    return None


def _of_numbers(match: re.Match[str], today: date) -> Days | None:
    year, month, day = (None if match[one] is None else int(match[one]) for one in ("year", "month", "day"))
    begin = date(year or 0, month or 1, day or 1)
    if day is not None:
        return begin, begin + DAY
    return begin, months_on(begin, 12 if month is None else 1)


def _of_year(match: re.Match[str], today: date) -> Days | None:
    begin = date(int(match["year"]), 1, 1)
    return begin, months_on(begin, 12)


def _of_decade(match: re.Match[str], today: date) -> Days | None:
    years = 10 * int(match["decade"])
    century = today.year // 100 - (years > today.year % 100) if match["century"] is None else int(match["century"])
    return date(100 * century + years, 1, 1), date(100 * century + years + 10, 1, 1)


def _of_word(match: re.Match[str], today: date) -> Days | None:
    if match[0] == "tomorrow":
        return coming("day", today)
    return ended("day", 1, today) if match[0] == "yesterday" else (today, today + DAY)


def _of_day_of_month(match: re.Match[str], today: date) -> Days | None:
    month, day = MONTH[match["month"] or match["of_month"]], int(match["day"] or match["day_of"])

    def of_year(year: int) -> Days:
        return date(year, month, day), date(year, month, day) + DAY

    return _in_year(of_year, match["year"], today)


def _of_a_year(match: re.Match[str], today: date) -> Days | None:
    return _in_year(each_year(match["name"]), match["year"], today)


def _of_weekday(match: re.Match[str], today: date) -> Days | None:
    return next(begun(match[0], today))


def _of_ago(match: re.Match[str], today: date) -> Days | None:
    return ended(match["name"], _number(match["count"]), today)


def _of_since(match: re.Match[str], today: date) -> Days | None:
    number, unit = _number(match["count"]), match["unit"]
    if number < 1:
        return None
    if match["which"] not in _COMING:
        number = -number
    if unit in ("day", "week"):
        other = today + number * (7 if unit == "week" else 1) * DAY
    else:
        other = months_on(today, number * (12 if unit == "year" else 1))
    return min(today, other), max(today, other) + DAY


def _of_which(match: re.Match[str], today: date) -> Days | None:
    if match["which"] in ("this", "current"):
        return next(begun(match["name"], today), None)
    return coming(match["name"], today) if match["which"] in _COMING else ended(match["name"], 1, today)


Meant = Callable[[re.Match[str], date], Days | None]
_MEANT: tuple[tuple[str, Meant], ...] = (
    (_NUMBERS, _of_numbers),
    (_YEAR_ALONE, _of_year),
    (_DOTTED, _of_numbers),
    (_DECADE, _of_decade),
    ("today|yesterday|tomorrow", _of_word),
    (_DAY_OF_MONTH, _of_day_of_month),
    (_OF_A_YEAR, _of_a_year),
    (_YEAR_BEFORE, _of_a_year),
    (_one_of(*WEEKDAY), _of_weekday),
    (_AGO, _of_ago),
    (_SINCE, _of_since),
    (_WHICH, _of_which),
)


@cache
def _meant() -> tuple[tuple[re.Pattern[str], Meant], ...]:
    """The patterns, which take milliseconds to be made: most queries name no period."""
    return tuple((re.compile(pattern), meant) for pattern, meant in _MEANT)


def _number(written: str) -> int:
    return _NUMBER.get(written) or int(written)


def _in_year(of_year: Callable[[int], Days], year: str | None, today: date) -> Days | None:
    """That of a year, or the latest that has begun."""
    if year is None:
        return next(begun_of_years(of_year, today), None)
    of_the_year = _one_period(year, today)
    return None if of_the_year is None else of_year(of_the_year[0].year)
