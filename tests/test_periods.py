"""Periods as people say them: which days they are, whatever day it is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from mmsearch.errors import Invalid
from mmsearch.language import NAMES, Reading, period_words, read
from mmsearch.searching.periods import Period, narrowed, parse_period, period_in
from mmsearch.searching.query import parse_date

# A Friday.
TODAY = date(2026, 11, 27)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "dates"),
    [
        ("2019", "2019"),
        ("2019-07", "2019-07"),
        ("2019-7-4", "2019-07-04"),
        ("2020-02-29", "2020-02-29"),
        ("2019/07", "2019-07"),
        ("2019/7/4", "2019-07-04"),
        ("4.7.2019", "2019-07-04"),
        ("07.2019", "2019-07"),
        ("1.3.2019 to 31.3.2019", "2019-03"),
        ("July 2019", "2019-07"),
        ("sept 2019", "2019-09"),
        ("2019 july", "2019-07"),
        ("14 july 2019", "2019-07-14"),
        ("the 14th of July, 2019", "2019-07-14"),
        ("July 14th, 2019", "2019-07-14"),
        ("on 14 july", "2026-07-14"),
        ("29 february", "2024-02-29"),
        ("summer 2019", "2019-06 to 2019-08"),
        ("fall of 2019", "2019-09 to 2019-11"),
        ("winter 2019", "2019-12 to 2020-02"),
        ("christmas 2018", "2018-12-24 to 2018-12-26"),
        ("new year 2020", "2019-12-31 to 2020-01-01"),
        ("New Year’s Eve 2019", "2019-12-31"),
        ("easter 2021", "2021-04-02 to 2021-04-05"),
        ("easter 1818", "1818-03-20 to 1818-03-23"),
        ("easter 2038", "2038-04-23 to 2038-04-26"),
        ("2015..2018", "2015 to 2018"),
        ("2015-2018", "2015 to 2018"),
        ("2015 – 2018", "2015 to 2018"),
        ("from may 2015 to july 2016", "2015-05 to 2016-07"),
        ("between 2015 and christmas 2016", "2015-01-01 to 2016-12-26"),
        ("2026-11-20..today", "2026-11-20 to 2026-11-27"),
        ("1990s", "1990 to 1999"),
        ("the 90's", "1990 to 1999"),
        ("20s", "2020 to 2029"),
        ("today", "2026-11-27"),
        ("yesterday", "2026-11-26"),
        ("this week", "2026-11-23 to 2026-11-29"),
        ("last week", "2026-11-16 to 2026-11-22"),
        ("last weekend", "2026-11-21 to 2026-11-22"),
        ("this month", "2026-11"),
        ("last month", "2026-10"),
        ("this year", "2026"),
        ("last year", "2025"),
        ("last spring", "2026-03 to 2026-05"),
        ("this summer", "2026-06 to 2026-08"),
        ("last summer", "2026-06 to 2026-08"),
        ("this autumn", "2026-09 to 2026-11"),
        ("last autumn", "2025-09 to 2025-11"),
        ("last winter", "2025-12 to 2026-02"),
        ("last christmas", "2025-12-24 to 2025-12-26"),
        ("july", "2026-07"),
        ("november", "2026-11"),
        ("december", "2025-12"),
        ("july last year", "2025-07"),
        ("summer of last year", "2025-06 to 2025-08"),
        ("sunday", "2026-11-22"),
        ("friday", "2026-11-27"),
        ("last friday", "2026-11-20"),
        ("last 3 days", "2026-11-24 to 2026-11-27"),
        ("the last two weeks", "2026-11-13 to 2026-11-27"),
        ("past 9 months", "2026-02-27 to 2026-11-27"),
        ("last 3 years", "2023-11-27 to 2026-11-27"),
        ("3 days ago", "2026-11-24"),
        ("3 weeks ago", "2026-11-02 to 2026-11-08"),
        ("a month ago", "2026-10"),
        ("two summers ago", "2025-06 to 2025-08"),
        ("ten years ago", "2016"),
        ("year 2019", "2019"),
        ("2019-2021", "2019 to 2021"),
        ("from 2019 to 2021", "2019 to 2021"),
        ("since 2024", "2024 and later"),
        ("from May 2021 on", "2021-05 and later"),
        ("2019 onwards", "2019 and later"),
        ("since last summer", "2026-06 and later"),
        ("after May 2021", "2021-06 and later"),
        ("after 2019-12-31", "2020 and later"),
        ("after christmas 2018", "2018-12-27 and later"),
        ("before 2019", "2018 and earlier"),
        ("before the summer of 2019", "2019-05 and earlier"),
        ("until last summer", "2026-08 and earlier"),
        ("till yesterday", "2026-11-26 and earlier"),
        ("up to 2019", "2019 and earlier"),
        ("tomorrow", "2026-11-28"),
        ("next week", "2026-11-30 to 2026-12-06"),
        ("next weekend", "2026-11-28 to 2026-11-29"),
        ("coming friday", "2026-12-04"),
        ("next month", "2026-12"),
        ("next year", "2027"),
        ("next summer", "2027-06 to 2027-08"),
        ("next winter", "2026-12 to 2027-02"),
        ("next christmas", "2026-12-24 to 2026-12-26"),
        ("july next year", "2027-07"),
        ("next 3 days", "2026-11-27 to 2026-11-30"),
        ("next two months", "2026-11-27 to 2027-01-27"),
    ],
)
def test_what_people_say_is_these_days(written: str, dates: str) -> None:
    assert parse_period(written, TODAY).dates == dates
    assert parse_period(f"  {written.upper()} ", TODAY).dates == dates


def test_last_summer_is_over_and_this_one_need_not_be() -> None:
    july = date(2026, 7, 14)
    assert parse_period("last summer", july).dates == "2025-06 to 2025-08"
    assert parse_period("this summer", july).dates == "2026-06 to 2026-08"
    assert parse_period("july", july).dates == "2026-07"
    assert parse_period("last july", july).dates == "2025-07"
    january = date(2027, 1, 3)
    assert parse_period("this winter", january).dates == "2026-12 to 2027-02"
    assert parse_period("last winter", january).dates == "2025-12 to 2026-02"
    assert parse_period("summer", january).dates == "2026-06 to 2026-08"
    assert parse_period("new year", january).dates == "2026-12-31 to 2027-01-01"
    assert parse_period("last 3 months", date(2026, 5, 31)).dates == "2026-02-28 to 2026-05-31"


@pytest.mark.parametrize(
    "written",
    ["", " ", "soon", "2019-13", "31 june 2019", "32 july", "9999", "0000", "last", "the", "2015..",
     "..2018", "9999 years ago", "0 days ago", "last 0 weeks", "sunday 2019",
     "since", "since soon", "before", "before 0001", "vor 0001-01", "until 2019-13",
     "after 2019 to 2020", "next", "next 0 days", "next dog",
     "07/14/2019", "14/7/2019", "2019-07/14", "31.2.2019", "7.14.2019", "this ago", "x" * 999],
)  # fmt: skip
def test_what_is_no_period_is_one_sentence_with_examples(written: str) -> None:
    with pytest.raises(Invalid, match="is no period; write it as 2019, 2019-07, july 2019") as raised:
        parse_period(written, TODAY)
    assert "\n" not in raised.value.message and len(raised.value.message) < 300


def test_what_ends_before_it_begins_is_told() -> None:
    with pytest.raises(Invalid, match=r"'2018\.\.2015' ends before it begins"):
        parse_period("2018..2015", TODAY)


# However busy the machine is.
whenever = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))
MONTHS = [f"{date(2000, number, 1):%B}".lower() for number in range(1, 13)]
SEASONS = ["spring", "summer", "autumn", "fall", "winter"]
WEEKDAYS = [f"{date(2001, 1, number):%A}".lower() for number in range(1, 8)]
FEASTS = ["christmas", "easter", "new year", "new year's eve"]
BESIDE = ["last", "this", "next", "ago", "3", "2019", "to", "in", "since", "before", "until", "after", "from", "on"]
AGAIN = ["day", "week", "weekend", "month", "year", *MONTHS, *SEASONS, *WEEKDAYS, *FEASTS]


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12))


class Span(NamedTuple):
    """A period that has a beginning and an end."""

    after: datetime
    before: datetime


def span(written: str, day: date) -> Span:
    period = parse_period(written, day)
    assert period.after is not None and period.before is not None
    return Span(period.after, period.before)


def has(period: Span, day: date) -> bool:
    return period.after <= noon(day) < period.before


@whenever
@given(DAYS, st.sampled_from(AGAIN), st.integers(1, 40))
@example(date(2024, 2, 29), "year", 4)
@example(date(2027, 1, 1), "new year", 1)
def test_this_one_has_begun_and_the_last_ones_are_over_one_before_the_other(day: date, name: str, count: int) -> None:
    this, last = span(f"this {name}", day), span(f"last {name}", day)
    assert this.after < this.before and last.after < last.before
    assert this.after <= noon(day)
    assert last.before <= noon(day)
    assert this == last or (last.before <= this.after and has(this, this.after.date()))
    assert span(f"1 {name} ago", day) == last
    earlier, later = span(f"{count + 1} {name}s ago", day), span(f"{count} {name}s ago", day)
    assert earlier.after < earlier.before <= later.after < later.before <= noon(day)
    if name in ("day", "week", "month", "year"):
        assert has(this, day) and last.before == this.after and earlier.before == later.after


@whenever
@given(DAYS, st.sampled_from(AGAIN))
@example(date(2024, 2, 29), "year")
@example(date(2026, 12, 31), "new year")
def test_the_next_one_is_the_first_that_begins_after_today(day: date, name: str) -> None:
    this, following = span(f"this {name}", day), span(f"next {name}", day)
    assert day < following.after.date() <= day + 400 * DAY
    assert this.before <= following.after and span(f"this {name}", following.after.date()) == following
    assert following.after == this.before or name not in ("day", "week", "month", "year")


@whenever
@given(
    DAYS, st.sampled_from(["2019", "july 2019", "last summer", "yesterday", "christmas 2018", "3 weeks ago", "today"])
)
def test_what_is_open_begins_or_ends_where_a_period_does(day: date, written: str) -> None:
    period = span(written, day)
    for word, bounds in {
        "since": (period.after, None), "after": (period.before, None),
        "before": (None, period.after), "until": (None, period.before),
    }.items():  # fmt: skip
        assert parse_period(f"{word} {written}", day) == Period(*bounds)


@whenever
@given(DAYS, st.integers(1, 500), st.sampled_from(["day", "week", "month", "year"]))
def test_the_last_so_many_days_reach_to_this_one(day: date, count: int, unit: str) -> None:
    if unit == "year":
        count = count % 99 + 1
    period = span(f"last {count} {unit}s", day)
    assert has(period, day) and has(period, day - DAY) and not has(period, day + DAY)
    least, most = {"day": (1, 1), "week": (7, 7), "month": (28, 31), "year": (365, 366)}[unit]
    assert least * count <= (period.before - DAY - period.after).days <= most * count


@whenever
@given(DAYS)
def test_each_day_has_its_names(day: date) -> None:
    """It is in whatever it is said to be in, in all spellings; and a day has one day."""
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    for name in (
        f"{day.year}", f"{day:%Y-%m}", f"{day.isoformat()}", f"{month} {day.year}", f"{month[:3]} {day.year}",
        f"{day.year // 10}0s", f"{day.year}-{day.year + 1}", f"{day.year - 1} to {month} {day.year}", month, weekday,
        f"{day.day} {month}", "this week", "this month", "this year", "today",
    ):  # fmt: skip
        assert has(span(name, day), day), name
    for name in (f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat(), weekday, "today"):
        assert parse_period(name, day).dates == day.isoformat(), name
    assert parse_period("yesterday", day + DAY).dates == day.isoformat()
    assert parse_period("3 days ago", day + 3 * DAY).dates == day.isoformat()
    assert has(span("3 weeks ago", day + 21 * DAY), day)


@whenever
@given(st.integers(1000, 9900))
def test_the_seasons_of_a_year_follow_each_other(year: int) -> None:
    seasons = [span(f"{name} {year}", TODAY) for name in ("spring", "summer", "autumn", "winter")]
    assert [one.before for one in seasons[:-1]] == [one.after for one in seasons[1:]]
    assert seasons[-1].before == span(f"spring {year + 1}", TODAY).after
    easter = span(f"easter {year}", TODAY)
    assert (easter.after + 2 * DAY).weekday() == 6
    assert f"{year}-03-22" <= (easter.after + 2 * DAY).date().isoformat() <= f"{year}-04-25"


@whenever
@given(DAYS, DAYS, st.sampled_from(["..", " to ", " until ", " – ", "…"]))
def test_from_one_to_another_is_all_between(one: date, other: date, between: str) -> None:
    assume(one != other)
    first, last = sorted((one, other))
    period = span(f"{first}{between}{last}", TODAY)
    assert has(period, first) and has(period, last) and not has(period, first - DAY) and not has(period, last + DAY)
    with pytest.raises(Invalid, match="ends before it begins"):
        span(f"{last}{between}{first - DAY}", TODAY)


@whenever
@given(st.text(max_size=40) | st.lists(st.sampled_from([*AGAIN, *BESIDE])), DAYS)
def test_any_text_is_a_period_or_refused(said: str | list[str], day: date) -> None:
    written = said if isinstance(said, str) else " ".join(said)
    try:
        period = parse_period(written, day)
    except Invalid:
        return
    assert period.after is None or period.before is None or period.after < period.before
    assert period == parse_period(written, day) and (period.after or period.before) is not None
    found = period_in(written, day)
    assert found is None or found.after < found.before
    assert found is None or found.after.date() <= day or "next" in found.phrase


@pytest.mark.parametrize(
    ("language", "written", "english"),
    [
        ("de", "14. Juli 2019", "14 july 2019"), ("de", "Sommer 2019", "summer 2019"),
        ("de", "gestern", "yesterday"), ("de", "letzten Sommer", "last summer"),
        ("fr", "août 2018", "august 2018"), ("fr", "l'été dernier", "last summer"),
        ("es", "14 de julio de 2019", "14 july 2019"), ("es", "Navidad 2018", "christmas 2018"),
        ("it", "estate 2019", "summer 2019"), ("pt", "verão passado", "last summer"),
        ("nl", "herfst 2017", "autumn 2017"), ("sv", "förra sommaren", "last summer"),
        ("pl", "14 lipca 2019", "14 july 2019"), ("cs", "květen 2018", "may 2018"),
        ("tr", "geçen yaz", "last summer"), ("ru", "летом 2019", "summer 2019"),
        ("ru", "14 июля 2019", "14 july 2019"), ("uk", "минулого літа", "last summer"),
        ("ja", "去年の夏", "last summer"), ("ja", "2019年7月", "july 2019"),
        ("zh", "昨天", "yesterday"), ("ko", "지난 여름", "last summer"),
    ],
)  # fmt: skip
def test_other_languages_have_names_for_them(language: str, written: str, english: str) -> None:
    expected = parse_period(english, TODAY)
    assert parse_period(written, TODAY) == expected
    named = period_in(f"{written}", TODAY, read(written, language))
    assert named is None or Period(named.after, named.before) == expected
    assert named is not None or written == "2019年7月"


@pytest.mark.parametrize(
    ("language", "english", "forms"),
    [
        ("de", "since 2024", "seit 2024|ab 2024|seit dem Jahr 2024"), ("de", "before may 2021", "vor Mai 2021"),
        ("de", "until last summer", "bis letzten Sommer"), ("de", "after may 2021", "nach Mai 2021"),
        ("de", "next week", "nächste Woche"), ("de", "next month", "nächsten Monat"), ("de", "tomorrow", "morgen"),
        ("fr", "since may 2021", "depuis mai 2021"), ("fr", "until 2019", "jusqu’en 2019|jusqu'en 2019"),
        ("fr", "next week", "la semaine prochaine"), ("fr", "before last summer", "avant l'été dernier"),
        ("es", "since 2024", "desde 2024"), ("es", "before 2019", "antes de 2019"),
        ("es", "after may 2021", "después de mayo de 2021"), ("es", "next year", "el próximo año|el año que viene"),
        ("it", "since may 2021", "da maggio 2021"), ("it", "since 2024", "dal 2024"),
        ("it", "before 2019", "prima del 2019"), ("it", "next month", "il mese prossimo"),
        ("pt", "until 2019", "até 2019"), ("pt", "after may 2021", "após maio de 2021"),
        ("pt", "next week", "semana que vem"),
        ("nl", "since 2024", "sinds 2024|vanaf 2024"), ("nl", "until 2019", "tot en met 2019"),
        ("nl", "before 2019", "vóór 2019|voor 2019"), ("nl", "next month", "volgende maand"),
        ("sv", "since 2024", "sedan 2024"), ("sv", "before may 2021", "före maj 2021"),
        ("sv", "next year", "nästa år"),
        ("pl", "since 2024", "od 2024|od 2024 roku"), ("pl", "since may 2021", "od maja 2021"),
        ("pl", "before 2019", "przed 2019 rokiem|przed 2019"), ("pl", "next week", "w przyszłym tygodniu"),
        ("cs", "since 2024", "od roku 2024"), ("cs", "before 2019", "před rokem 2019"),
        ("cs", "next month", "příští měsíc"),
        ("tr", "since 2024", "2024'ten beri"), ("tr", "before 2019", "2019'dan önce|2019’dan önce"),
        ("tr", "next week", "gelecek hafta"), ("tr", "until 2019", "2019'a kadar"),
        ("ru", "since 2024", "с 2024 года|с 2024"), ("ru", "before 2019", "до 2019 года"),
        ("ru", "after may 2021", "после мая 2021"), ("ru", "until 2019", "по 2019 год"),
        ("ru", "next week", "на следующей неделе"),
        ("uk", "since 2024", "з 2024 року"), ("uk", "next month", "наступного місяця"),
        ("zh", "since 2024", "2024年以来"), ("zh", "before 2019", "2019年之前"), ("zh", "next week", "下周"),
        ("ja", "since 2024", "2024年以降|2024年以来"), ("ja", "until may 2021", "2021年5月まで"),
        ("ja", "next month", "来月"), ("ja", "2019", "2019年"),
        ("ko", "since 2024", "2024년부터"), ("ko", "until may 2021", "2021년 5월까지"), ("ko", "next year", "내년"),
    ],
)  # fmt: skip
def test_other_languages_say_since_when_and_what_is_next(language: str, english: str, forms: str) -> None:
    expected = parse_period(english, TODAY)
    for written in forms.split("|"):
        assert parse_period(written, TODAY) == parse_period(written.upper(), TODAY) == expected, written
        found = period_in(f"x {written}", TODAY, Reading(language, ("x 2019",)))
        assert found is None or Period(found.after, found.before) == expected


def test_each_language_has_these_words() -> None:
    for language in NAMES:
        phrases, around = period_words._tables(language)
        words = {*phrases.values(), *(english for english, _ in around)}
        least = {"tomorrow", "next week", "next month", "next year", "since", "until", "before", "after"}
        assert least - words <= ({"after"} if language == "ko" else set()), language


@pytest.mark.parametrize("written", ["vor 3 Wochen", "před rokem", "3週間前", "3周之前", "3년 전", "since hund"])
def test_what_says_how_long_ago_is_not_before(written: str) -> None:
    with pytest.raises(Invalid, match="is no period"):
        parse_period(written, TODAY)


@pytest.mark.parametrize("written", ["Silvester 2019", "Рождество 2018", "hund", "de 2019", "natalie 2019", "printed"])
def test_what_may_be_other_days_there_or_none_is_refused(written: str) -> None:
    with pytest.raises(Invalid, match="is no period"):
        parse_period(written, TODAY)


@pytest.mark.parametrize(
    ("text", "phrase", "rest"),
    [
        ("dog last summer", "last summer", "dog"),
        ("beach in July 2019", "July 2019", "beach"),
        ("beach, on 14 july 2019!", "14 july 2019", "beach"),
        ("kids (last 3 weeks)", "last 3 weeks", "kids"),
        ("yesterday", "yesterday", ""),
        ("2019 dog", "2019", "dog"),
        ("last summer in rome", "last summer", "in rome"),
        ("a cake from two years ago", "two years ago", "a cake"),
        ("music of the 1990s", "1990s", "music"),
        ("snow 2015..2018", "2015..2018", "snow"),
        # What only names a season, or a word that is a month too, is looked for.
        ("beach in summer", None, ""),
        ("may", None, ""),
        ("last supper", None, ""),
        ("the last of us", None, ""),
        ("christmas tree", None, ""),
        ("dog and last summer cat", None, ""),
        ("order 1234-5678", None, ""),
        ("dentist next week", "next week", "dentist"),
        ("2019 on the beach", "2019", "on the beach"),
        ("last summer on a boat", "last summer", "on a boat"),
        # What has no end is no part of a year.
        ("dog since 2024", None, ""),
        ("dog before last summer", None, ""),
        ("dog in 2031", None, ""),
        ("a dog", None, ""),
    ],
)
def test_the_ends_of_a_query_may_say_when(text: str, phrase: str | None, rest: str) -> None:
    found = period_in(text, TODAY)
    assert (phrase, rest) == ((None, "") if found is None else (found.phrase, found.rest))
    assert found is None or Period(found.after, found.before) == parse_period(found.phrase, TODAY)


@pytest.mark.parametrize(
    ("text", "phrase", "rest"),
    [
        ("eine Katze letzten Sommer", "letzten Sommer", "eine Katze"),
        ("eine Tasse Kaffee im Juli 2019", "Juli 2019", "eine Tasse Kaffee"),
        ("une tasse de café en juillet 2019", "juillet 2019", "une tasse de café"),
        ("собака прошлым летом", "прошлым летом", "собака"),
    ],
)
def test_the_ends_of_a_query_in_another_language_may_say_when(text: str, phrase: str, rest: str) -> None:
    found = period_in(text, TODAY, read(text))
    assert found is not None and (found.phrase, found.rest) == (phrase, rest)


def test_other_bounds_narrow_a_period() -> None:
    summer, names = parse_period("summer 2019", TODAY), ("`when`", "`after`", "`before`")
    july = parse_period("july 2019", TODAY)
    assert narrowed(summer, None, None, names) == (summer.after, summer.before)
    assert narrowed(summer, july.after, july.before, names) == (july.after, july.before)
    assert narrowed(july, summer.after, summer.before, names) == (july.after, july.before)
    for after, before, name in ((datetime(2020, 1, 1), None, "`after`"), (None, datetime(2019, 1, 1), "`before`")):
        with pytest.raises(Invalid, match=f"No time of `when`, which is 2019-06 to 2019-08, passes {name}"):
            narrowed(summer, after, before, names)


def test_other_bounds_close_a_period() -> None:
    since, before = (parse_period(written, TODAY) for written in ("since 2019", "before 2020"))
    begin, end, names = datetime(2019, 1, 1), datetime(2020, 1, 1), ("`when`", "`after`", "`before`")
    assert narrowed(since, None, end, names) == narrowed(before, begin, None, names) == (begin, end)
    assert narrowed(since, None, None, names) == (begin, None)
    with pytest.raises(Invalid, match="No time of `when`, which is 2019 and later, passes `before`; leave one"):
        narrowed(since, None, datetime(2018, 1, 1), names)


def test_a_date_may_be_said_so_too() -> None:
    assert parse_date("last summer") == parse_period("last summer").after
    assert parse_date("2019") == datetime(2019, 1, 1)
    assert parse_date("july 2019") == datetime(2019, 7, 1)
    assert parse_date("since july 2019") == datetime(2019, 7, 1)
    for written in ("before 2019", "until july 2019"):
        with pytest.raises(Invalid, match="is not a date"):
            parse_date(written)
    with pytest.raises(Invalid, match=r"is not a date; write it as 2024, .* or in words as last week or july 2019"):
        parse_date("soon")
