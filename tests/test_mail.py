"""Mails and mailboxes are found by what they say, and by what is attached to them."""

from __future__ import annotations

import os
import random
import tracemalloc
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from pdf_writer import text_page, written
from PIL import Image
from test_documents import parts_of, refused
from test_pdf import PAGE, written_over

from mmsearch import Library
from mmsearch.reading import ReadLimits, UnreadableFile, open_file, read
from mmsearch.reading.document import mail
from mmsearch.reading.document.mail_text import decoded, decoded_header, text_of_page, without_history
from mmsearch.records import Part


def message(subject: str, body: str, sender: str = "Ada Lovelace <ada@example.org>") -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["Subject"], made["From"], made["To"] = subject, sender, "Charles <charles@example.org>"
    made["Date"] = "Tue, 05 Mar 2024 14:30:00 +0100"
    made.set_content(body)
    return made


def saved(path: Path, *messages: EmailMessage) -> Path:
    """As a mail, or, of that extension, as a mailbox."""
    if path.suffix != ".mbox":
        path.write_bytes(messages[0].as_bytes())
        return path
    separator = b"From ada@example.org Tue Mar  5 14:30:00 2024\n"
    bodies = (one.as_bytes().replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") for one in messages)
    path.write_bytes(b"\n".join(separator + body for body in bodies))
    return path


def texts(parts: list[Part]) -> list[tuple[int | None, str | None, str]]:
    return [(part.locator.page, part.locator.part_name, part.payload) for part in parts if part.modality == "text"]


def test_a_mail_its_pdf_and_its_photo_are_found(tmp_path: Path, photos: Path, library: Library) -> None:
    made = message("Holiday plans", "Shall we go to the mountains?\n")
    pdf = written(
        [text_page("Packing list of all.", "Boots, rope and an ice axe."), text_page("A beaver builds dams.")]
    )
    made.add_attachment(pdf, maintype="application", subtype="pdf", filename="plan.pdf")
    cat = (photos / "photos" / "cat.png").read_bytes()
    made.add_attachment(cat, maintype="image", subtype="png", filename="übersicht.png")
    made.add_attachment(b"\0\1\2\3", maintype="application", subtype="octet-stream", filename="tool.exe")
    folder = tmp_path / "mails"
    folder.mkdir()
    saved(folder / "holiday.eml", made)
    report = library.index([folder])
    assert (report.added, report.failed) == (1, 0)
    hit = library.search("animals that build dams").hits[0]
    assert (hit.type, hit.page, hit.part_name) == ("document", 2, "Holiday plans/plan.pdf")
    hit = library.search("a photo of a cat").hits[0]
    assert (hit.source, hit.part_name) == ("embedded", "Holiday plans/übersicht.png")
    hit = library.search("a trip to the mountains").hits[0]
    assert (hit.page, hit.part_name, hit.taken) == (None, "Holiday plans", "2024-03-05T14:30:00+01:00")
    text = texts(parts_of(folder / "holiday.eml"))[0][2]
    assert text == (
        "Holiday plans\nFrom: Ada Lovelace <ada@example.org>\nTo: Charles <charles@example.org>\n"
        "Date: Tue, 05 Mar 2024 14:30:00 +0100\n\nShall we go to the mountains?\n\n"
        "Attached: plan.pdf, übersicht.png, tool.exe"
    )


def test_what_is_attached_and_cannot_be_read_is_said(tmp_path: Path, photos: Path, library: Library) -> None:
    made = message("The scans", "As you asked.\n")
    photo = (photos / "photos" / "rocket.jpg").read_bytes()
    pages = written([text_page("The boats lie in the harbour."), text_page("Budget of the harbour.")])
    for data, kind, name in (
        (written([text_page("Words")], user_password=True), "pdf", "secret.pdf"),
        (written_over(pages, next(PAGE.finditer(pages))), "pdf", "plan.pdf"),
        (photo[: len(photo) // 2], "jpeg", "rocket.jpg"),
        (b"\0\1\2\3", "octet-stream", "tool.exe"),
    ):
        made.add_attachment(data, maintype="application", subtype=kind, filename=name)
    saved(tmp_path / "a.eml", made)
    saved(tmp_path / "b.mbox", message("First", "Nothing is attached."), made)
    report = library.index(tmp_path)
    said = ["secret.pdf left out: encrypted", "plan.pdf: page 1 left out: damaged PDF", "rocket.jpg: incomplete JPEG"]
    assert [one.reason for one in report.incomplete] == [
        "; ".join(said),
        "; ".join(f"mail 2: {one}" for one in said),
    ]
    assert [one.reason for one in library.status().incomplete] == [one.reason for one in report.incomplete]


def test_a_mailbox_is_read_mail_by_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [
        message(f"Letter {number}", f"From here on it is {number}.\nFrom 10:00 on.\n") for number in range(1, 30)
    ]
    letters[6].add_attachment("Bring the tent.", filename="todo.txt")
    path = saved(tmp_path / "Inbox.mbox", *letters)
    whole = texts(parts_of(path))
    assert [(page, name) for page, name, _ in whole[:8]] == [
        *((number, f"Letter {number}") for number in range(1, 8)),
        (7, "Letter 7/todo.txt"),
    ]
    assert "\n\nFrom here on it is 3.\nFrom 10:00 on." in whole[2][2]
    with open_file(os.fsencode(path)) as file:
        assert read(file, 64).facts.pages == 29
    for size in (1_500, 3_001):  # separators lie across the blocks in which it is gone through
        monkeypatch.setattr(mail, "_BLOCK_BYTES", size)
        assert texts(parts_of(path)) == whole


def test_mailboxes_of_several_programs_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(
        b"From - Tue Mar 05 14:30:00 2024\r\nSubject: one\r\n\r\nFirst.\r\n\r\nFrom me to you in 2024\r\n"
        b"\r\nFrom \r\nSubject: two\r\n\r\nSecond.\r\n"
    )
    assert [name for _, name, _ in texts(parts_of(path))] == ["one", "two"]
    path.write_text("These are just words.")
    assert refused(path) == "not the kind of document that its name says"
    (tmp_path / "notes.eml").write_bytes(b"\x00\x01\x02")
    assert refused(tmp_path / "notes.eml") == "not the kind of document that its name says"
    content = message("Apple", "An apple a day.").as_bytes()
    (tmp_path / "1.emlx").write_bytes(b"%-10d\n" % len(content) + content + b"<?xml version='1.0'?><plist/>")
    ((_, name, text),) = texts(parts_of(tmp_path / "1.emlx"))
    assert name == "Apple" and text.endswith("An apple a day.")


def test_of_a_mail_within_mails_the_innermost_is_found_to_the_depth_allowed(tmp_path: Path) -> None:
    made = message("depth 5", "Too deep.")
    for depth in range(4, -1, -1):
        outer = message(f"depth {depth}", f"This is at {depth}.")
        outer.add_attachment(made)
        made = outer
    names = [name for _, name, _ in texts(parts_of(saved(tmp_path / "a.eml", made)))]
    assert names == ["/".join(f"depth {depth}" for depth in range(last + 1)) for last in range(4)]


def test_pictures_that_are_signs_are_left_out(tmp_path: Path) -> None:
    import io

    made = message("Newsletter", "Hello")
    for size in ((97, 97), (96, 400)):
        kept = io.BytesIO()
        Image.effect_noise(size, 80).save(kept, "PNG")
        made.add_attachment(kept.getvalue(), maintype="image", subtype="png", filename=f"{size[0]}.png")
    parts = parts_of(saved(tmp_path / "a.eml", made))
    assert [part.locator.part_name for part in parts if part.modality == "image"] == ["Newsletter/97.png"]


def test_a_mail_that_is_a_web_page_is_shown_as_text(tmp_path: Path) -> None:
    made = message("Sale", " \n")
    page = (
        "<style>p {color: red}</style><p>Half&nbsp;price <b>today</b> &amp; tomorrow</p><p>Shoes</p>"
        "<blockquote type=cite><p>An older offer</p></blockquote><br>"
    )
    made.add_alternative(page, subtype="html")
    text = texts(parts_of(saved(tmp_path / "a.eml", made)))[0][2]
    assert text.split("\n\n", 1)[1] == "Half price today & tomorrow\nShoes"
    both = message("Both", "The plain words.\n")
    both.add_alternative("<p>The words of the page.</p>", subtype="html")
    text = texts(parts_of(saved(tmp_path / "b.eml", both)))[0][2]
    assert "plain words" in text and "of the page" not in text
    assert text_of_page("one<br>two").split("\n") == ["one", "    two"]


def test_quoted_history_at_the_end_is_left_out() -> None:
    history = "\n".join(f"> line {number}" for number in range(6))
    assert without_history(f"Yes, I will come.\n\nOn Monday, Ada wrote:\n{history}\n") == "Yes, I will come."
    for kept in (f"{history}\n", f"> Will you come?\n\nYes.\n{history[:17]}", f"Look:\n{history}\nThat was it."):
        assert without_history(kept) == kept


def test_encodings_that_are_wrong_are_read_as_well_as_can_be() -> None:
    assert decoded("Grüße".encode(), "us-ascii") == "Grüße"
    assert decoded("Grüße aus Köln, wo es schön ist".encode("latin-1"), "utf-8") == "Grüße aus Köln, wo es schön ist"
    assert decoded(b"it\x92s", "iso-8859-1") == "it’s"
    assert decoded(b"words", "no-such-charset") == decoded(b"words", "idna") == "words"
    assert decoded_header("=?utf-8?b?R3LDvMOfZQ==?= und\r\n =?iso-8859-1?q?K=FCsse?=") == "Grüße und Küsse"
    assert decoded_header("=?utf-8?b?R3LDv?= ok").endswith("ok")
    assert decoded_header("Gr\udcfc\udcdfe aus Berlin") == "Grüße aus Berlin"


DAMAGED = (
    b"Subject: a\nContent-Type: multipart/mixed\n\nno boundary said",
    b"Subject: a\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nnever closed",
    b"Subject: a\nContent-Type: text/plain; charset*=x'y\nContent-Transfer-Encoding: base64\n\n=?!QUJ",
    b"Subject: a\nContent-Type: text/plain; charset=\xff\xfe\n\n\xff\xfewords",
    b"Subject: a\nContent-Type: application/pdf; name*0*=utf-9''%ff; name*2=b\n\n%PDF-1.4",
    b"Subject: a\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogYg==",
    b"Subject: a\nDate: not a date at all\nContent-Type: ;;;=\n\nwords",
    b"Subject: a\n" + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(999)),
)


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_mails_are_read_as_far_as_they_go(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.eml").write_bytes(content)
    try:
        assert texts(parts_of(tmp_path / "a.eml"))[0][2].startswith("a")
    except UnreadableFile as error:
        assert error.reason == "damaged mail" and b"b998" in content
    (tmp_path / "a.mbox").write_bytes(b"From a 10:00\n" + content + b"\n\nFrom b 10:00\nSubject: next\n\nIt is there.")
    assert texts(parts_of(tmp_path / "a.mbox"))[-1][1] == "next"


def test_mails_that_are_mutated_or_truncated_raise_nothing_else(tmp_path: Path, photos: Path) -> None:
    made = message("Grüße", "Words with ümlauts.\n> and quotes\n")
    made.add_alternative("<p>Words <b>on</b> a page</p>", subtype="html")
    made.add_attachment(message("inner", "Inner words."))
    photo = (photos / "photos" / "rocket.jpg").read_bytes()[:3_000]
    made.add_attachment(photo, maintype="image", subtype="jpeg", filename="rocket.jpg")
    whole = made.as_bytes()
    chance = random.Random(5)
    copies = [whole[: len(whole) * share // 10] for share in range(1, 11)]
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 5, 40))):
            place = chance.randrange(len(data) if chance.random() < 0.3 else 2_000)
            data[place : place + chance.randrange(3)] = bytes([chance.randrange(256)])
        copies.append(bytes(data))
    read_of_them = 0
    for number, copied in enumerate(copies):
        path = tmp_path / f"{number}.{'mbox' if number % 2 else 'eml'}"
        path.write_bytes(b"From a 10:00\n" * (number % 2) + copied)
        try:
            read_of_them += bool(parts_of(path))
        except UnreadableFile as error:
            assert error.reason in ("damaged mail", "no mail inside", "not the kind of document that its name says")
    assert read_of_them > 90


@pytest.mark.parametrize("name", ["a.eml", "a.mbox"])
def test_a_large_mail_takes_a_few_times_its_size(tmp_path: Path, name: str) -> None:
    made = message("The film", "It is attached.\n")
    made.add_attachment(random.Random(1).randbytes(6_000_000), maintype="video", subtype="x-own", filename="film.own")
    path = saved(tmp_path / name, made)
    tracemalloc.start()
    try:
        (part,) = parts_of(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "Attached: film.own" in part.payload
    # The file, its lines as objects, and those of an attachment put together.
    assert peak < 5.5 * path.stat().st_size


@pytest.mark.parametrize(
    "written",
    ["VGhlIGtleXM=", "VGhlIGtleXM", "VGhl\r\nIGtl\r\neXM=\r\n", "VGhl*IGtl!eXM=", "VGhlIGtleXM=\r\nVGhlIGtleXM="],
)
def test_base64_in_any_state_is_decoded_as_far_as_it_can_be(tmp_path: Path, written: str) -> None:
    head = "Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    path = tmp_path / "a.eml"
    path.write_bytes((head + written).encode())
    assert "The keys" in parts_of(path)[0].payload


def test_a_mail_over_its_limit_is_read_in_part_and_noted(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.eml", message("Long", "word " * 50_000))
    with open_file(os.fsencode(path), ReadLimits(max_member_bytes=5_000)) as file:
        reading = read(file, 64)
        (part,) = reading.parts
        assert reading.facts.note == "only its first 5,000 bytes were read"
        assert 3_000 < len(part.payload) < 5_000


def test_a_mailbox_made_to_be_slow_is_gone_through(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(
        b"From a 10:00\nSubject: " + b"=?" * 300_000 + b"\n\n" + b"\n\nFrom x" * 20_000 + b"From " * 200_000
    )
    ((page, _, _),) = texts(parts_of(path))
    assert page == 1
