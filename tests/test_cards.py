"""A calendar is found by its events, and an address book by its cards: by what a person sees of them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Filters, Library, Query, reading
from mmsearch.reading import OpenFile, Reading, open_file, read
from mmsearch.reading.text import READER
from mmsearch.searching.query import text_term

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Calendar 1.0//EN
X-WR-CALNAME:Family
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:4f1c-77@example.org
DTSTAMP:20240401T080000Z
DTSTART;TZID=Europe/Berlin:20240503T100000
DTEND;TZID=Europe/Berlin:20240503T113000
SUMMARY:Dentist\\, second visit
LOCATION:Harbour Street 7\\nthird floor
DESCRIPTION:Bring the old x-ray pictures\\; the insurance card is in the blu
 e folder
ORGANIZER;CN="Doctor Miller: practice":mailto:practice@example.org
ATTENDEE;CN=Ann Smith;ROLE=REQ-PARTICIPANT:mailto:ann@example.org
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:This is an event reminder
TRIGGER:-PT30M
END:VALARM
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20240719
DTEND;VALUE=DATE:20240722
RRULE:FREQ=YEARLY;INTERVAL=2
SUMMARY:Sailing on the lake
END:VEVENT
BEGIN:VTODO
DUE:20240101T090000Z
SUMMARY:Water the tomatoes
END:VTODO
END:VCALENDAR
"""

CARDS = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;Dr.;
TEL;WORK;VOICE:+49 30 1234567
ADR;HOME;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:;;K=C3=B6nigstra=C3=9Fe 5;=
Leipzig;;04109;Germany
NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Repairs the=0D=0Apiano, speaks Fran=E7ais
PHOTO;JPEG;ENCODING=BASE64:
 /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRof
 Hh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwh

END:VCARD
BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//iOS 12.1//EN
FN:Eva Novak
N:Novak;Eva;;;
ORG:Botanical Garden;Greenhouses
TITLE:Gardener
item1.EMAIL;type=INTERNET;type=pref:eva@example.org
item1.X-ABLabel:_$!<Work>!$_
BDAY:1604-02-29
UID:2c5f
CATEGORIES:orchids,friends
REV:2024-04-01T08:00:00Z
END:VCARD
"""


def texts(path: Path, content: str | bytes) -> list[tuple[int | None, str]]:
    """The line and the text of each part."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_file(os.fsencode(path)) as file:
        assert file.reader.medium == "text"
        return [(part.locator.line, part.payload) for part in read(file, 64).parts]


def test_an_event_is_found_by_what_a_person_sees_of_it(tmp_path: Path, library: Library, mmsearch: Mmsearch) -> None:
    (tmp_path / "family.ics").write_text(CALENDAR)
    (tmp_path / "people.vcf").write_text(CARDS)
    library.index([tmp_path])
    hit = library.search(Query((text_term("dentist insurance card"),))).hits[0]
    assert (hit.type, hit.line, hit.offset) == ("text", 12, CALENDAR.index("BEGIN:VEVENT"))
    assert hit.snippet is not None and hit.snippet.startswith("Dentist, second visit\nFriday 3 May 2024, 10:00")
    assert "family.ics:12\t" in mmsearch("search", "dentist", library=Path(library.folder)).out
    hit = library.search(Query((text_term("piano"),))).hits[0]
    assert Path(hit.path).name == "people.vcf"
    assert hit.snippet is not None and hit.snippet.startswith("Dr. Jörg Müller")
    assert not library.search(Query((text_term('"event reminder"'),))).hits
    assert not library.search(Query((text_term("VTIMEZONE"),))).hits


def test_each_event_is_a_passage_of_its_own(tmp_path: Path) -> None:
    assert texts(tmp_path / "a.ics", CALENDAR) == [
        (1, "Family"),
        (
            12,
            "Dentist, second visit\nFriday 3 May 2024, 10:00 to 11:30\nHarbour Street 7\nthird floor\n"
            "Bring the old x-ray pictures; the insurance card is in the blue folder\n"
            "with Doctor Miller: practice, Ann Smith",
        ),
        (29, "Sailing on the lake\nFriday 19 July 2024 to Sunday 21 July 2024, every 2 years"),
        (35, "Water the tomatoes\nMonday 1 January 2024, 09:00 UTC"),
    ]


def test_each_card_is_a_passage_of_its_own(tmp_path: Path) -> None:
    # As programs on Windows write it, too.
    for content in (CARDS, CARDS.replace("\n", "\r\n")):
        assert texts(tmp_path / "a.vcf", content) == [
            (
                1,
                "Dr. Jörg Müller\nKönigstraße 5, Leipzig, 04109, Germany\n+49 30 1234567\n"
                "Repairs the\npiano, speaks Français",
            ),
            (
                13,
                "Eva Novak\nBotanical Garden, Greenhouses\nGardener\neva@example.org\nborn 29 February\n"
                "orchids,friends",
            ),
        ]


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        ("20240503", "20240504", "Friday 3 May 2024"),
        ("20240503", None, "Friday 3 May 2024"),
        ("20240503T100000", None, "Friday 3 May 2024, 10:00"),
        ("20240503T220000Z", "20240504T020000Z", "Friday 3 May 2024, 22:00 UTC to Saturday 4 May 2024, 02:00 UTC"),
        ("2024-05-03T10:00:00", "20240503T100000", "Friday 3 May 2024, 10:00"),
        ("00010101", "00010101", "Monday 1 January 1"),
    ],
)
def test_when_an_event_is_stands_there_in_words(tmp_path: Path, begins: str, ends: str | None, words: str) -> None:
    end = f"DTEND:{ends}\n" if ends else ""
    event = f"BEGIN:VEVENT\nSUMMARY:Concert\nDTSTART:{begins}\n{end}END:VEVENT\n"
    assert texts(tmp_path / "a.ics", event) == [(1, f"Concert\n{words}")]


def event(begins: str, name: str = "Dentist", more: str = "") -> str:
    return f"BEGIN:VEVENT\nUID:{name}\nSUMMARY:{name}\n{begins}\n{more}END:VEVENT\n"


def calendar(*events: str) -> str:
    zone = "BEGIN:VTIMEZONE\nBEGIN:STANDARD\nDTSTART:16010101T030000\nEND:STANDARD\nEND:VTIMEZONE\n"
    return f"BEGIN:VCALENDAR\n{zone}{''.join(events)}END:VCALENDAR\n"


def test_an_event_is_found_by_when_it_is_and_a_calendar_of_many_by_its_file(
    tmp_path: Path, library: Library, mmsearch: Mmsearch
) -> None:
    for name, events in {
        "old.ics": [event("DTSTART;TZID=Europe/Berlin:20190503T100000")],
        "visit.ics": [event("DTSTART:20240503T220000Z", more="DTEND:20240504T010000Z\n")],
        "day.ics": [event("DTSTART;VALUE=DATE:20241231")],
        "many.ics": [event("DTSTART:20240101T100000"), event("DTSTART:20240201T100000", "Dentist again")],
    }.items():
        (tmp_path / name).write_text(calendar(*events))
        os.utime(tmp_path / name, (1_600_000_000, 1_600_000_000))  # in 2020
    library.index(tmp_path)

    def found(*asked: str) -> list[str]:
        answer = mmsearch("search", "dentist", *asked, "--json", library=Path(library.folder)).json
        return sorted(os.path.basename(hit["path"]) for hit in answer["hits"])

    assert found("--when", "2024") == ["day.ics", "visit.ics"]
    assert found("--when", "may 2024") == ["visit.ics"]
    assert found("--when", "2019") == ["old.ics"]
    assert found("--when", "2020") == ["many.ics"]
    assert found("--when", "31.12.2024") == ["day.ics"]
    assert found("--when", "since 2024") == ["day.ics", "visit.ics"]


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ([event("DTSTART;TZID=Europe/Berlin:20240503T100000")], "2024-05-03T10:00:00"),
        ([event("DTSTART:20240503T220000Z")], "2024-05-03T22:00:00+00:00"),
        ([event("DTSTART;VALUE=DATE:20240503")], "2024-05-03T00:00:00"),
        ([event("DTSTART:20200102T090000", more="RRULE:FREQ=WEEKLY\n")], "2020-01-02T09:00:00"),
        (
            [
                event("DTSTART:20200102T090000", more="RRULE:FREQ=WEEKLY\n"),
                event("DTSTART:20200109T110000", more="RECURRENCE-ID:20200109T090000\n"),
            ],
            "2020-01-02T09:00:00",
        ),
        ([event("DUE;VALUE=DATE:20240503").replace("VEVENT", "VTODO")], "2024-05-03T00:00:00"),
        ([event("DTSTART:20240503T990000")], None),
        ([event("DTSTART:20249999")], None),
        ([event("DTSTART:16010101T000000")], None),
        ([event("DTSTART:20240503"), event("DTSTART:20240504", "Doctor")], None),
        ([CARDS], None),
    ],
)
def test_when_the_only_event_of_a_calendar_begins_is_known(
    tmp_path: Path, events: list[str], taken: str | None
) -> None:
    path = tmp_path / "a.ics"
    path.write_text(calendar(*events))
    with open_file(os.fsencode(path)) as file:
        assert read(file, 64).facts.taken == taken


def test_an_older_library_learns_when_events_are_and_encodes_no_calendar_of_many(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "one.ics").write_text(calendar(event("DTSTART:20190503")))
    (home / "many.ics").write_text(calendar(event("DTSTART:20190503"), event("DTSTART:20190504", "Doctor")))

    def read_without(file: OpenFile, side: int) -> Reading:
        found = READER.read(file, side)
        return replace(found, facts=replace(found.facts, taken=None), since=None)

    old = replace(READER, versions={**READER.versions, ".ics": 3}, read=read_without)
    of_2019 = Filters(after=datetime(2019, 1, 1), before=datetime(2020, 1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(reading, "READERS", [old if one is READER else one for one in reading.READERS])
        library.index([home])
        assert not library.list_files(of_2019).hits
    report = library.index()
    assert report.encoded + report.updated <= 1 and report.failed == 0
    assert [Path(os.fsdecode(one.path)).name for one in library.list_files(of_2019).hits] == ["one.ics"]
    assert library.index().unchanged == 2


@pytest.mark.parametrize(
    "content",
    [
        CALENDAR[: CALENDAR.index("LOCATION")],  # it breaks off
        CALENDAR.replace("END:VEVENT\n", ""),
        CALENDAR.replace("20240503", "20249999"),
        CALENDAR.replace("DTSTART", "DTSTART" + ';X="' * 3),
        CALENDAR + "END:VEVENT\nEND:VCALENDAR\nBEGIN:\n:\n",
        "BEGIN:VCALENDAR\n" * 500 + CALENDAR,
    ],
)
def test_of_a_damaged_calendar_what_is_there_is_read(tmp_path: Path, content: str) -> None:
    assert any("Dentist, second visit" in text for _, text in texts(tmp_path / "a.ics", content))


def test_what_has_no_event_or_card_is_a_text_like_others(tmp_path: Path) -> None:
    for name in ("a.ics", "a.vcf"):
        assert texts(tmp_path / name, "Call Ann: she knows.\n") == [(None, "Call Ann: she knows.\n")]


def test_an_older_library_reads_calendars_and_cards_again_and_nothing_else(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "a.ics").write_text(CALENDAR)
    (home / "a.txt").write_text("The boats of summer.")

    def read_plain(file: OpenFile, side: int) -> Reading:
        return READER.read(replace(file, path=b"/x.txt"), side)

    old = replace(READER, versions={}, way_of_reading=lambda extension: 0, read=read_plain)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "READERS", [old if one is READER else one for one in reading.READERS])
        library.index([home])
        assert library.search(Query((text_term("VTIMEZONE"),))).hits
    report = library.index()
    assert (report.encoded + report.updated, report.unchanged) == (1, 1)
    assert not library.search(Query((text_term("VTIMEZONE"),))).hits
    assert library.status().counts.items == 5
