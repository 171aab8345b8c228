"""A folder of all that people keep, without any extra: what is read, and which extra is named for the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import office_files as made
import pillow_heif
from conftest import NOTES
from library_state import everything
from pdf_writer import text_page, written
from PIL import Image

from mmsearch import Library

# What extras bring is not there; then the command runs.
PLAIN = """
import sys
sys.modules.update(dict.fromkeys(
    ("av", "rawpy", "pillow_jxl", "resvg_py", "kreuzberg", "rapidocr", "faster_whisper", "sentence_transformers")
))
from mmsearch.cli import main
sys.argv[0] = "mmsearch"
main()
"""
NOT_READ = {
    "jxl": ["painting.jxl"],
    "office": ["letter.doc", "mail.msg", "talk.ppt", "table.xls"],
    "raw": ["IMG_1.cr2", "IMG_2.dng", "IMG_3.nef"],
    "svg": ["logo.svg"],
    "video": ["clip.mkv", "clip.mp4", "song.flac", "song.mp3"],
}
PICTURES = ("jpg", "png", "webp", "gif", "tif", "bmp", "avif", "jp2", "ppm", "tga", "ico", "pcx")


def write_documents(folder: Path) -> None:
    words = "The train to Lisbon leaves at nine."
    made.docx(folder / "letter.docx", made.paragraph(words))
    made.pptx(folder / "talk.pptx", [made.slide(made.shape(words))])
    made.xlsx(folder / "table.xlsx", {"Trains": "<row><c t='s'><v>0</v></c></row>"}, [words])
    for kind, name in (("text", "odt"), ("spreadsheet", "ods"), ("presentation", "odp")):
        inner = f"<text:p>{words}</text:p>"
        body = {
            "text": inner,
            "spreadsheet": f"<table:table><table:table-row><table:table-cell>{inner}</table:table-cell>"
            "</table:table-row></table:table>",
            "presentation": f"<draw:page><draw:frame><draw:text-box>{inner}</draw:text-box></draw:frame></draw:page>",
        }[kind]
        made.open_document(folder / f"trains.{name}", kind, body)
    made.epub(folder / "book.epub", {"one.xhtml": f"<html><body><p>{words}</p></body></html>"})
    (folder / "book.fb2").write_bytes(made.fb2(f"<section><p>{words}</p></section>"))
    (folder / "letter.rtf").write_bytes(rb"{\rtf1\ansi " + words.encode() + b"}")
    (folder / "paper.pdf").write_bytes(written([text_page(words, "And it comes back in the evening, at seven.")]))
    cells = [{"cell_type": "markdown", "source": words}]
    (folder / "cells.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}))
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Trains", "Ada <ada@example.org>"
    mail.set_content(words)
    (folder / "mail.eml").write_bytes(mail.as_bytes())
    (folder / "mails.mbox").write_bytes(b"From ada@example.org Tue Mar  5 14:30:00 2024\n" + mail.as_bytes())


def write_texts(folder: Path) -> None:
    for number, ending in enumerate(("txt", "md", "html", "csv", "json", "py", "rst", "tex", "srt", "vtt", "lrc")):
        (folder / f"note.{ending}").write_text(f"{number}. {NOTES['tax.txt']}")


def test_what_every_installation_reads_and_which_extra_reads_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    for number, ending in enumerate(PICTURES):
        Image.new("RGB", (64, 48), (20 * number, 90, 160)).save(folder / f"photo.{ending}")
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "teal")).save(folder / "photo.heic")
    write_documents(folder)
    write_texts(folder)
    read = {path.name for path in folder.iterdir()}
    assert len(read) == len(PICTURES) + 1 + 13 + 11
    for name in (name for some in NOT_READ.values() for name in some):
        (folder / name).write_bytes(os.urandom(64))
    (folder / "tool.exe").write_bytes(b"MZ\0\1")
    library = tmp_path / "library"
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, "index", folder],
        env={**os.environ, "MMSEARCH_LIBRARY": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{len(read)} files searchable: {len(read)} added in "), done.stderr
    for extra, names in NOT_READ.items():
        kinds = ", ".join(sorted({Path(name).suffix for name in names}))
        assert f"the extra {extra} reads {kinds}" in done.stderr
    assert "skipped" not in done.stderr
    with Library(library) as opened:
        assert set(everything(opened)) == read
