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
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import count, islice

from mmsearch.errors import Invalid
from mmsearch.records import Reading

# The first day, and the one after the last.
Days = tuple[date, date]

_DAY = timedelta(days=1)
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = {**{name[:3]: number for number, name in enumerate(_MONTHS, 1)}, "sept": 9} | {
    name: number for number, name in enumerate(_MONTHS, 1)
}
_WEEKDAY = {
    name: number
    for number, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
}
_SEASON = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_FEASTS = {"christmas": "christmas", "xmas": "christmas", "easter": "easter"} | {
    f"new year{ending}{eve}": f"new year{eve}" for ending in ("", "s", "'s") for eve in ("", " eve")
}
_NUMBER = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_OTHER_CALENDARS = ("ru", "uk")
_LEADING = "in|on|at|from|during|over|of|the"


def _one_of(*names: str) -> str:
    return f"(?:{'|'.join(sorted(names, key=len, reverse=True))})"


_OF_YEARS = _one_of(*_MONTH, *_SEASON, *_FEASTS)
_AGAIN = _one_of("day", "week", "weekend", "month", "year", *_MONTH, *_SEASON, *_FEASTS, *_WEEKDAY)
_COUNTED = rf"(?P<count>\d{{1,4}}|{_one_of(*_NUMBER)})"
_YEAR = rf"(?:,? (?:of |in )?(?P<year>\d{{4}}|(?:last|this) year|(?:\d{{1,4}}|{_one_of(*_NUMBER)}) years? ago))?"

_BETWEEN = (
    r"between (?P<from>.+) and (?P<to>.+)|"
    r"(?P<first>.+?)(?:\s*(?:\.\.+|…|–|—)\s*|\s+(?:to|till|until|through|-)\s+|(?<=^\d{4})-(?=\d{4}$))(?P<last>.+)"
)
_NUMBERS = r"(?P<year>\d{4})(?:(?P<between>[-/])(?P<month>\d{1,2})(?:(?P=between)(?P<day>\d{1,2}))?)?"
# With dots the day comes first, wherever dates are written so. With slashes it may be the month: that is not guessed.
_DOTTED = r"(?:(?P<day>\d{1,2})\.)?(?P<month>\d{1,2})\.(?P<year>\d{4})"
_DECADE = r"(?P<century>\d\d)?(?P<decade>\d)0'?s"
_DAY_OF_MONTH = (
    rf"(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<of_month>{_one_of(*_MONTH)})|"
    rf"(?P<month>{_one_of(*_MONTH)}) (?P<day_of>\d{{1,2}})(?:st|nd|rd|th)?){_YEAR}"
)
_OF_A_YEAR = rf"(?P<name>{_OF_YEARS}){_YEAR}"
# 2019年の夏
_YEAR_BEFORE = rf"(?P<year>\d{{4}})(?: year)? (?P<name>{_OF_YEARS})"
_AGO = rf"{_COUNTED} (?P<name>{_AGAIN})s? ago"
_SINCE = rf"(?:last|past|previous) {_COUNTED} (?P<unit>day|week|month|year)s?"
_WHICH = rf"(?P<which>last|past|previous|this|current) (?P<name>{_AGAIN})"
# Of a query that only mentions July, or winter, nobody knows that a date is meant.
_SAYS_WHEN = re.compile(r"\d{4}|\b(?:last|past|previous|this|current|ago|today|yesterday)\b")
_MOST_WORDS = 6
_BESIDE = " ,.!?;:–-()"


@dataclass(frozen=True)
class Period:
    """From when, included, to when, excluded, a period lasts: naive local date-times, as `Filters` have them."""

    after: datetime
    before: datetime

    @property
    def dates(self) -> str:
        """Its first and last year, month or day, as short as that tells it: `2019`, `2019-06 to 2019-08`."""
        first, end = self.after.date(), self.before.date()
        length = 10
        if first.day == end.day == 1:
            length = 4 if first.month == end.month == 1 else 7
        begins, ends = (one.isoformat()[:length] for one in (first, end - _DAY))
        return begins if begins == ends else f"{begins} to {ends}"


@dataclass(frozen=True)
class PeriodInText:
    """A period that is named at an end of a text: the words that name it, and the text without them."""

    phrase: str
    period: Period
    rest: str


def parse_period(written: str, today: date | None = None) -> Period:
    """The period that a text names, said on that day, or today.

    In the languages that queries are read in the names of months, seasons and feasts, yesterday and last summer are
    known too.

    Raises:
        Invalid: it names none, or one that ends before it begins.
    """
    said = today or date.today()
    days = _days(written, said) or _days_in_other_words(written, said)
    if days is None:
        raise Invalid(
            f"{written[:80]!r} is no period; write it as 2019, 2019-07, july 2019, summer 2019, christmas 2018, "
            "2015..2018, 1990s, yesterday, last week, last summer or 3 weeks ago."
        )
    if days[0] >= days[1]:
        raise Invalid(f"{written[:80]!r} ends before it begins; write what is earlier first.")
    return _period(days)


def narrowed(
    when: Period, after: datetime | None, before: datetime | None, names: tuple[str, str, str]
) -> tuple[datetime, datetime]:
    """From when to when what lies in a period, and in other bounds; `names` are those of the three as they are given.

    Raises:
        Invalid: nothing does.
    """
    begin, end = max(when.after, after or when.after), min(when.before, before or when.before)
    if begin >= end:
        period, first, last = names
        other = last if begin == when.after else first
        raise Invalid(f"No time of {period}, which is {when.dates}, passes {other}; leave one of them out.")
    return begin, end


def period_in(text: str, today: date, read_as: Reading | None = None) -> PeriodInText | None:
    """The period that the last or the first words of a text name, where these say which year is meant.

    `read_as` is how the text was read that is not in English.
    """
    words = text.split()
    sizes = range(min(_MOST_WORDS, len(words)), 0, -1)
    ends = [(words[-size:], words[:-size]) for size in sizes] + [(words[:size], words[size:]) for size in sizes]
    languages = [read_as.language] if read_as is not None and any(map(_SAYS_WHEN.search, read_as.english)) else []
    for named, others in ends:
        days = _days_said(named, languages, today)
        if days is None or days[0] > today or days[1].year > today.year + 1:
            continue
        while _days_said(named[1:], languages, today) == days:  # in July 2019
            named = named[1:]
        return PeriodInText(" ".join(named).strip(_BESIDE), _period(days), " ".join(others).strip(_BESIDE))
    return None


def _days_said(words: Sequence[str], languages: Iterable[str | None], today: date) -> Days | None:
    """The days that words of a query name, where they say which year is meant."""
    phrase = " ".join(words).strip(_BESIDE)
    for reading in (phrase, *_in_english(phrase, languages)):
        days = _days(reading, today) if _SAYS_WHEN.search(reading.casefold()) else None
        if days is not None and days[0] < days[1]:
            return days
    return None


def _period(days: Days) -> Period:
    return Period(*(datetime.combine(day, time.min) for day in days))


def _days_in_other_words(written: str, today: date) -> Days | None:
    """What a text in another language says, where all languages in which it says anything agree."""
    from mmsearch.language import NAMES

    found = {days for english in _in_english(written, NAMES) if (days := _days(english, today)) is not None}
    return found.pop() if len(found) == 1 else None


def _in_english(written: str, languages: Iterable[str | None]) -> Iterator[str]:
    """What a text says in English that is in one of some languages; without any nothing of them is loaded.

    Feasts that lie on other days there are left out: a new year may be its eve, and there is more than one calendar.
    """
    for language in languages:
        from mmsearch.language import phrase_in_english

        english = None if language is None else phrase_in_english(written, language)
        others = ("new year", "christmas", "easter") if language in _OTHER_CALENDARS else ("new year",)
        if english is None or any(feast in english for feast in others):
            continue
        if not re.fullmatch(_NUMBERS, _without_leading(english)):  # of 2019 is what somebody mistyped
            yield english


def _without_leading(text: str) -> str:
    return re.sub(rf"^(?:(?:{_LEADING}) )+", "", text, flags=re.IGNORECASE)


def _days(written: str, today: date) -> Days | None:
    """The days of the period that a text in English names; None where it names none that a calendar has."""
    text = _without_leading(" ".join(written.casefold().replace("’", "'").split()))
    try:
        between = re.fullmatch(_BETWEEN, text)
        if between is not None:
            first = _one_period(_without_leading(between["from"] or between["first"]), today)
            last = _one_period(_without_leading(between["to"] or between["last"]), today)
            return None if first is None or last is None else (first[0], last[1])
        return _one_period(text, today)
    except (ValueError, OverflowError):
        return None


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
        return begin, begin + _DAY
    return begin, _months_on(begin, 12 if month is None else 1)


def _of_decade(match: re.Match[str], today: date) -> Days | None:
    years = 10 * int(match["decade"])
    century = today.year // 100 - (years > today.year % 100) if match["century"] is None else int(match["century"])
    return date(100 * century + years, 1, 1), date(100 * century + years + 10, 1, 1)


def _of_word(match: re.Match[str], today: date) -> Days | None:
    return _ended("day", 1, today) if match[0] == "yesterday" else (today, today + _DAY)


def _of_day_of_month(match: re.Match[str], today: date) -> Days | None:
    month, day = _MONTH[match["month"] or match["of_month"]], int(match["day"] or match["day_of"])

    def of_year(year: int) -> Days:
        return date(year, month, day), date(year, month, day) + _DAY

    return _in_year(of_year, match["year"], today)


def _of_a_year(match: re.Match[str], today: date) -> Days | None:
    return _in_year(_each_year(match["name"]), match["year"], today)


def _of_weekday(match: re.Match[str], today: date) -> Days | None:
    return next(_begun(match[0], today))


def _of_ago(match: re.Match[str], today: date) -> Days | None:
    return _ended(match["name"], _number(match["count"]), today)


def _of_since(match: re.Match[str], today: date) -> Days | None:
    number, unit = _number(match["count"]), match["unit"]
    if number < 1:
        return None
    if unit in ("day", "week"):
        return today - number * (7 if unit == "week" else 1) * _DAY, today + _DAY
    return _months_on(today, -number * (12 if unit == "year" else 1)), today + _DAY


def _of_which(match: re.Match[str], today: date) -> Days | None:
    if match["which"] in ("this", "current"):
        return next(_begun(match["name"], today), None)
    return _ended(match["name"], 1, today)


Meant = Callable[[re.Match[str], date], Days | None]
_MEANT: tuple[tuple[str, Meant], ...] = (
    (_NUMBERS, _of_numbers),
    (_DOTTED, _of_numbers),
    (_DECADE, _of_decade),
    ("today|yesterday", _of_word),
    (_DAY_OF_MONTH, _of_day_of_month),
    (_OF_A_YEAR, _of_a_year),
    (_YEAR_BEFORE, _of_a_year),
    (_one_of(*_WEEKDAY), _of_weekday),
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


def _ended(name: str, number: int, today: date) -> Days | None:
    """The last one of that name that has ended, or with a number above 1 one so many before."""
    ended = (days for days in _begun(name, today) if days[1] <= today)
    return next(islice(ended, number - 1, None), None)


def _in_year(of_year: Callable[[int], Days], year: str | None, today: date) -> Days | None:
    """That of a year, or the latest that has begun."""
    if year is None:
        return next(_begun_of_years(of_year, today), None)
    of_the_year = _one_period(year, today)
    return None if of_the_year is None else of_year(of_the_year[0].year)


def _begun(name: str, today: date) -> Iterator[Days]:
    """All of that name that have begun, the latest first."""
    if name in ("month", "year"):
        size = 12 if name == "year" else 1
        begin = today.replace(day=1, month=1 if name == "year" else today.month)
        return ((_months_on(begin, -size * back), _months_on(begin, size - size * back)) for back in count())
    if name in ("day", "week", "weekend", *_WEEKDAY):
        length = {"week": 7, "weekend": 2}.get(name, 1) * _DAY
        step = _DAY if name == "day" else 7 * _DAY
        weekday = {"day": today.weekday(), "week": 0, "weekend": 5}.get(name, _WEEKDAY.get(name, 0))
        begin = today - (today.weekday() - weekday) % 7 * _DAY
        return ((begin - back * step, begin - back * step + length) for back in count())
    return _begun_of_years(_each_year(name), today)


def _begun_of_years(of_year: Callable[[int], Days], today: date) -> Iterator[Days]:
    for year in range(today.year + 1, 0, -1):
        try:
            days = of_year(year)
        except ValueError:  # a 29th of February
            continue
        if days[0] <= today:
            yield days


def _each_year(name: str) -> Callable[[int], Days]:
    """What comes once a year, by the year."""

    def of_year(year: int) -> Days:
        if name in _MONTH or name in _SEASON:
            begin = date(year, _MONTH.get(name) or _SEASON[name], 1)
            return begin, _months_on(begin, 1 if name in _MONTH else 3)
        feast = _FEASTS[name]
        if feast == "christmas":
            return date(year, 12, 24), date(year, 12, 27)
        if feast == "easter":  # from Good Friday to Easter Monday
            sunday = _easter_sunday(year)
            return sunday - 2 * _DAY, sunday + 2 * _DAY
        eve = date(year if feast == "new year eve" else year - 1, 12, 31)
        return eve, eve + (_DAY if feast == "new year eve" else 2 * _DAY)

    return of_year


def _months_on(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a month that has no such day."""
    year, month = divmod(12 * day.year + day.month - 1 + months, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - _DAY).day
    return date(year, month + 1, min(day.day, last))


def _easter_sunday(year: int) -> date:
    """Easter of the Gregorian calendar (Meeus, Jones and Butcher, "Astronomical Algorithms", 1991)."""
    golden, century, of_century = year % 19, year // 100, year % 100
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
