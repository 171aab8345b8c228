"""What comes again in the calendar, by its name (a week, a July, a summer, a Christmas): on which days it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count, islice

# The first day, and the one after the last.
Days = tuple[date, date]

DAY = timedelta(days=1)
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
MONTH = {**{name[:3]: number for number, name in enumerate(_MONTHS, 1)}, "sept": 9} | {
    name: number for number, name in enumerate(_MONTHS, 1)
}
WEEKDAY = {
    name: number
    for number, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
}
SEASON = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
FEASTS = {"christmas": "christmas", "xmas": "christmas", "easter": "easter"} | {
    f"new year{ending}{eve}": f"new year{eve}" for ending in ("", "s", "'s") for eve in ("", " eve")
}
_OF_DAYS = ("day", "week", "weekend", *WEEKDAY)


def ended(name: str, number: int, today: date) -> Days | None:
    """The last one of that name that has ended, or with a number above 1 one so many before."""
    over = (days for days in begun(name, today) if days[1] <= today)
    return next(islice(over, number - 1, None), None)


def coming(name: str, today: date) -> Days:
    """The first one of that name that begins after today."""
    begin, end = next(begun(name, today), (today, today))
    if name in ("month", "year"):
        size = 12 if name == "year" else 1
        return end, months_on(end, size)
    if name in _OF_DAYS:
        step = DAY if name == "day" else 7 * DAY
        return begin + step, end + step
    of_year = each_year(name)
    return next(days for year in count(today.year) if (days := of_year(year))[0] > today)


def begun(name: str, today: date) -> Iterator[Days]:
    """All of that name that have begun, the latest first."""
    if name in ("month", "year"):
        size = 12 if name == "year" else 1
        begin = today.replace(day=1, month=1 if name == "year" else today.month)
        return ((months_on(begin, -size * back), months_on(begin, size - size * back)) for back in count())
    if name in _OF_DAYS:
        length = {"week": 7, "weekend": 2}.get(name, 1) * DAY
        step = DAY if name == "day" else 7 * DAY
        weekday = {"day": today.weekday(), "week": 0, "weekend": 5}.get(name, WEEKDAY.get(name, 0))
        begin = today - (today.weekday() - weekday) % 7 * DAY
        return ((begin - back * step, begin - back * step + length) for back in count())
    return begun_of_years(each_year(name), today)


def begun_of_years(of_year: Callable[[int], Days], today: date) -> Iterator[Days]:
    for year in range(today.year + 1, 0, -1):
        try:
            days = of_year(year)
        except ValueError:  # a 29th of February
            continue
        if days[0] <= today:
            yield days


def each_year(name: str) -> Callable[[int], Days]:
    """What comes once a year, by the year."""

    def of_year(year: int) -> Days:
        if name in MONTH or name in SEASON:
            begin = date(year, MONTH.get(name) or SEASON[name], 1)
            return begin, months_on(begin, 1 if name in MONTH else 3)
        feast = FEASTS[name]
        if feast == "christmas":
            return date(year, 12, 24), date(year, 12, 27)
        if feast == "easter":  # from Good Friday to Easter Monday
            sunday = _easter_sunday(year)
            return sunday - 2 * DAY, sunday + 2 * DAY
        eve = date(year if feast == "new year eve" else year - 1, 12, 31)
        return eve, eve + (DAY if feast == "new year eve" else 2 * DAY)

    return of_year


def months_on(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a month that has no such day."""
    year, month = divmod(12 * day.year + day.month - 1 + months, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - DAY).day
    return date(year, month + 1, min(day.day, last))


def _easter_sunday(year: int) -> date:
    """Easter of the Gregorian calendar (Meeus, Jones and Butcher, "Astronomical Algorithms", 1991)."""
    golden, century, of_century = year % 19, year // 100, year % 100
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
