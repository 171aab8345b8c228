"""A person looks for photos by what they know: by camera, place, stars and words; sidecars tell of photos too."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch, refused
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from mmsearch import Filters, IndexReport, Library, Near, Query, Term, reading
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.indexing import rereading
from mmsearch.output.reports import summary
from mmsearch.reading import image, open_file, read
from mmsearch.reading.places import cities_called, nearest_city
from mmsearch.reading.sidecars import facts_of_sidecars, sidecars_among
from mmsearch.reading.xmp import properties
from mmsearch.records import Details, Medium
from mmsearch.searching.details import parse_near, parse_places, parse_rating, parse_seconds
from mmsearch.store.sqlite.salvage import salvage

LIBRARIES = Path(__file__).parent / "data" / "libraries"
LISBON, BERLIN = (38.7139, -9.1394), (52.52, 13.405)
XMP = """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<rdf:Description rdf:about='' xmlns:a='http://ns.adobe.com/xap/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'
 xmlns:exif='http://ns.adobe.com/exif/1.0/' {attributes}>{elements}</rdf:Description>
</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"""
WORDS = (
    "<dc:title><rdf:Alt><rdf:li xml:lang='de'>Der Hafen</rdf:li><rdf:li xml:lang='x-default'>The harbour</rdf:li>"
    "</rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>boats</rdf:li><rdf:li>Places|Málaga</rdf:li></rdf:Bag>"
    "</dc:subject><dc:description><rdf:Alt><rdf:li>Boats &amp; nets.</rdf:li></rdf:Alt></dc:description>"
)


def xmp(attributes: str = "", elements: str = "") -> bytes:
    return XMP.format(attributes=attributes, elements=elements).encode()


def iptc(*records: tuple[int, bytes]) -> bytes:
    """The APP13 segment of a JPEG with those data sets, as programs of old write it."""
    data = b"".join(bytes((0x1C, 2, number)) + len(value).to_bytes(2, "big") + value for number, value in records)
    resource = b"8BIM\x04\x04\0\0" + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)
    segment = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment


def degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    seconds = round(abs(value) * 360_000)
    return (IFDRational(seconds // 360_000), IFDRational(seconds // 6_000 % 60), IFDRational(seconds % 6_000, 100))


def camera_exif(place: tuple[float, float] | None = None, **tags: Any) -> Image.Exif:
    """What a camera writes; `tags` are those of the camera's own part, by their numbers (`t34855`)."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "NIKON CORPORATION", "NIKON D70"
    inner = {0xA434: "AF-S Nikkor 35mm f/1.8G", 0x920A: IFDRational(350, 10), 0x8827: 400}
    exif.get_ifd(0x8769).update(inner | {int(name[1:]): value for name, value in tags.items()})
    if place is not None:
        north, east = place
        written = {1: "N" if north >= 0 else "S", 2: degrees(north), 3: "E" if east >= 0 else "W", 4: degrees(east)}
        exif.get_ifd(0x8825).update(written)
    return exif


def picture(path: Path, colour: str = "navy", app13: bytes = b"", **settings: Any) -> Path:
    Image.new("RGB", (64, 48), colour).save(path, **settings)
    if app13:
        data = path.read_bytes()
        path.write_bytes(data[:2] + app13 + data[2:])
    return path


def details_in(path: Path) -> Details:
    """What a whole reading finds, which is what a reading of details alone finds."""
    with open_file(os.fsencode(path)) as file:
        found = read(file, 64).facts.details
        assert file.reader.details(file) == found
    status = path.stat()
    assert reading.details_at(os.fsencode(path), status.st_size, status.st_mtime_ns, reading.ReadLimits()) == found
    return found


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four photos: of Lisbon with words and stars, of Berlin, of nowhere with words of IPTC, and one that is mute."""
    folder = tmp_path / "album"
    folder.mkdir()
    picture(folder / "lisbon.jpg", "navy", exif=camera_exif(LISBON), xmp=xmp("a:Rating='4'", WORDS))
    picture(folder / "berlin.jpg", "green", exif=camera_exif(BERLIN, t34855=1600))
    picture(
        folder / "old.jpg", "brown", iptc((5, b"Grandmother"), (25, b"family"), (25, b"caf\xe9"), (120, b"In 1950"))
    )
    picture(folder / "mute.png", "white")
    return folder


def names(hits: Any) -> list[str]:
    return sorted(os.path.basename(hit.path) for hit in hits)


def listed(library: Library, **filters: Any) -> list[str]:
    return names(library.list_files(Filters(**filters)).hits)


def test_a_photo_tells_its_camera_place_stars_and_words(album: Path) -> None:
    found = details_in(album / "lisbon.jpg")
    assert (found.latitude, found.longitude) == pytest.approx(LISBON, abs=1e-4)
    assert replace(found, latitude=None, longitude=None) == Details(
        camera="NIKON D70",
        lens="AF-S Nikkor 35mm f/1.8G",
        focal_length=35.0,
        iso=400,
        place="Lisbon, Portugal",
        rating=4,
        title="The harbour",
        keywords=("boats", "Places|Málaga"),
        description="Boats & nets.",
    )
    old = details_in(album / "old.jpg")
    assert (old.title, old.keywords, old.description) == ("Grandmother", ("family", "café"), "In 1950")
    assert details_in(album / "mute.png") == Details()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_every_format_that_holds_exif_tells_it(tmp_path: Path, ending: str) -> None:
    found = details_in(picture(tmp_path / f"photo.{ending}", exif=camera_exif(LISBON).tobytes()))
    assert (found.camera, found.focal_length, found.iso, found.place) == ("NIKON D70", 35.0, 400, "Lisbon, Portugal")


def test_what_windows_writes_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x9C9B] = "Über den Dächern\0".encode("utf-16-le")
    exif[0x9C9E] = "roofs;Wien ; \0".encode("utf-16-le")
    exif[0x4746], exif[0x010E] = 3, "OLYMPUS DIGITAL CAMERA         "
    found = details_in(picture(tmp_path / "windows.jpg", exif=exif))
    assert (found.title, found.keywords, found.rating) == ("Über den Dächern", ("roofs", "Wien"), 3)
    assert found.description is None  # no person has written that


def test_a_sensitivity_too_large_for_its_tag_is_looked_for_elsewhere(tmp_path: Path) -> None:
    path = picture(tmp_path / "night.jpg", exif=camera_exif(t34855=65535, t34866=102400))
    assert details_in(path).iso == 102_400


@pytest.mark.parametrize(
    "place",
    [{2: degrees(1.0), 4: degrees(2.0)}, {1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)}, {1: "N", 2: degrees(95)}],
)
def test_a_place_that_is_none_is_none(tmp_path: Path, place: dict[int, object]) -> None:
    exif = camera_exif()
    exif.get_ifd(0x8825).update(place)
    found = details_in(picture(tmp_path / "photo.jpg", exif=exif))
    assert (found.camera, found.latitude, found.longitude, found.place) == ("NIKON D70", None, None, None)


def test_damaged_exif_and_hostile_xmp_leave_a_photo_as_it_is(tmp_path: Path) -> None:
    bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>" + xmp("", "<dc:title>&b;</dc:title>")
    exif = camera_exif().tobytes()
    for number, packet in enumerate((bomb, xmp()[:200], b"\xff\xfe<", xmp("", "<dc:title>" + "<a>" * 20_000))):
        cut = exif[: len(exif) * (number + 1) // 6]
        assert details_in(picture(tmp_path / f"{number}.jpg", exif=cut, xmp=packet)).title is None
    assert properties(bomb) == {}
    assert properties(xmp("", WORDS))["dc:subject"] == ["boats", "Places|Málaga"]


def test_the_nearest_city_is_the_city_and_not_its_district() -> None:
    paris, nowhere = nearest_city(48.8584, 2.2945), nearest_city(0.0, -30.0)
    assert paris is not None and paris.label == "Paris, France" and nowhere is None
    assert [city.label for city in cities_called("Cologne")] == ["Köln, Germany"]
    assert cities_called("sao paulo")[0].label == "São Paulo, Brazil"
    assert cities_called("Paris, US")[0].label == "Paris, United States"
    assert cities_called("Nowhere at all") == cities_called("") == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--camera", "d70"), ["berlin.jpg", "lisbon.jpg"]),
        (("--camera", "canon"), []),
        (("--lens", "NIKKOR 35"), ["berlin.jpg", "lisbon.jpg"]),
        (("--near", "Lisbon"), ["lisbon.jpg"]),
        (("--near", "38.7,-9.1,5"), ["lisbon.jpg"]),
        (("--near", "Potsdam,10"), []),
        (("--near", "Potsdam,40"), ["berlin.jpg"]),
        (("--place", "portugal"), ["lisbon.jpg"]),
        (("--place", "Lisboa"), ["lisbon.jpg"]),
        (("--place", "Port"), []),
        (("--rating", "4"), ["lisbon.jpg"]),
        (("--rating", "5"), []),
        (("--keyword", "malaga"), ["lisbon.jpg"]),
        (("--keyword", "BOATS", "--keyword", "Málaga"), ["lisbon.jpg"]),
        (("--keyword", "boat"), []),
        (("--keyword", "cafe"), ["old.jpg"]),
        (("--camera", "nikon", "--place", "Berlin"), ["berlin.jpg"]),
        (("--longer", "1:30"), []),
    ],
    ids=str,
)
def test_filters_list_and_search(told: Path, command: Mmsearch, filters: tuple[str, ...], found: list[str]) -> None:
    for asked in ((), ("a wall", "--min-score", "0")):
        done = command("search", *asked, *filters, "--paths", library=told)
        assert done.code == (0 if found else 1), done.err
        assert sorted(os.path.basename(path) for path in done.out.split()) == found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library folder of `album`. Tests do not change it."""
    folder = tmp_path_factory.mktemp("told")
    made = album.__wrapped__(folder)  # type: ignore[attr-defined]
    with Library(folder / "library") as library:
        library.index(made)
    return folder / "library"


def test_json_carries_all_of_it(told: Path, command: Mmsearch) -> None:
    done = command(
        "search", "boats", "--min-score", "0", "--near", "Lisbon,10", "--rating", "1", "--json", library=told
    )
    (hit,) = done.json["hits"]
    assert (hit["camera"], hit["lens"], hit["focal_length"]) == ("NIKON D70", "AF-S Nikkor 35mm f/1.8G", 35.0)
    assert (hit["iso"], hit["rating"], hit["place"], hit["title"]) == (400, 4, "Lisbon, Portugal", "The harbour")
    assert (hit["keywords"], hit["description"]) == (["boats", "Places|Málaga"], "Boats & nets.")
    assert (round(hit["latitude"], 3), round(hit["longitude"], 3)) == (38.714, -9.139)
    filters = done.json["query"]["filters"]
    assert filters["near"] == {"latitude": 38.725, "longitude": -9.15, "km": 10.0, "name": "Lisbon, Portugal"}
    assert filters["rating"] == 1
    (mute,) = command("search", "--ext", "png", "--json", library=told).json["hits"]
    assert (mute["camera"], mute["latitude"], mute["keywords"]) == (None, None, [])


def test_a_name_of_several_cities_is_the_largest_and_that_is_said(told: Path, command: Mmsearch) -> None:
    done = command("search", "--near", "Paris", library=told)
    assert "near Paris, France, the largest that is called so; others are Paris, United States" in done.err
    assert "called so" not in command("search", "--near", "Lisbon", library=told).err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--near", "Xyzzyville"), "has none called 'Xyzzyville'; name a larger one"),
        (("--near", "100,0"), "is no place"),
        (("--near", "38.7,-9.1,far"), "no number of kilometres"),
        (("--near", "Lisbon,0"), "no distance"),
        (("--place", "..."), "There is no word in '...'"),
        (("--rating", "6"), "must be 1 to 5"),
        (("--longer", "soon"), "no length of time"),
        (("--longer", "90", "--shorter", "1:30"), "No length lies between --longer 90 and --shorter 1:30"),
    ],
)
def test_what_is_no_filter_is_told_in_a_sentence(
    told: Path, command: Mmsearch, options: tuple[str, ...], said: str
) -> None:
    done = command("search", "a cat", *options, library=told)
    assert (done.code, done.out) == (2, "") and said in done.err


def test_what_is_written_of_places_and_lengths_is_understood() -> None:
    assert parse_near("38.7, -9.1").near == Near(38.7, -9.1, 25.0)
    assert parse_near("Lisbon, Portugal, 5 km").near.km == 5.0
    assert parse_places("Lisboa") == ("Lisboa", "Lisbon, Portugal")
    assert parse_places("Paris") == ("Paris",)
    assert [parse_seconds(one) for one in ("90", "1:30", "1:00:00", "0.5")] == [90.0, 90.0, 3600.0, 0.5]
    with refused("must be 1 to 5"):
        parse_rating(0)


def test_filters_work_for_searches_in_python(told: Path) -> None:
    with Library(told) as library:
        asked = Query((Term("text", "anything"),), Filters(near=Near(*BERLIN, km=5.0)), min_score=0.0)
        assert names(library.search(asked).hits) == ["berlin.jpg"]
        assert listed(library, camera="nikon", rating=1) == ["lisbon.jpg"]


# Sidecars


@pytest.mark.parametrize(
    ("sidecar", "photo"),
    [
        ("IMG_1.xmp", "IMG_1.jpg"),
        ("IMG_1.XMP", "img_1.JPG"),
        ("IMG_1.jpg.xmp", "IMG_1.jpg"),
        ("IMG_1.jpg.json", "IMG_1.jpg"),
        ("IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg"),
        ("IMG_1.jpg.supplemental-meta.json", "IMG_1.jpg"),
        ("IMG_1.jpg.s.json", "IMG_1.jpg"),
        ("IMG_1.jpg..json", "IMG_1.jpg"),
        ("IMG_1.jpg(1).json", "IMG_1(1).jpg"),
        ("IMG_1.jpg.supplemental-metadata(2).json", "IMG_1(2).jpg"),
        ("IMG_1.jpg.supplem(2).json", "IMG_1(2).jpg"),
        ("IMG_1(1).jpg.json", "IMG_1(1).jpg"),
        ("A photo with a long name of more than forty-si.json", "A photo with a long name of more than forty-six.jpg"),
        (
            "Ein Foto mit einem langen Namen, über Grenzen .json",
            "Ein Foto mit einem langen Namen, über Grenzen hin.jpg",
        ),
    ],
)
def test_a_sidecar_is_known_by_its_name(sidecar: str, photo: str) -> None:
    others = ["other.jpg", "IMG_11.jpg", "A photo.jpg", "notes.json", "data.jpg.txt"]
    among = [os.fsencode(name) for name in (*others, photo, sidecar)]
    told = sidecars_among(among, lambda name: name.lower().endswith(b".jpg"))
    assert told == {os.fsencode(sidecar): (os.fsencode(photo),)}


@pytest.mark.parametrize("name", ["IMG_1.json", "IMG_1.jpg(1).json", "IMG_1.jpg.supplemental-other.json", "IMG_2.xmp"])
def test_a_file_of_another_name_is_no_sidecar(name: str) -> None:
    assert sidecars_among([b"IMG_1.jpg", os.fsencode(name)], lambda one: one.endswith(b".jpg")) == {}


def test_one_xmp_tells_of_all_photos_of_its_name_unless_it_names_one() -> None:
    names = [b"a.jpg", b"a.heic", b"a.xmp", b"a.heic.xmp"]
    told = sidecars_among(names, lambda name: not name.endswith(b".xmp"))
    assert told == {b"a.xmp": (b"a.jpg", b"a.heic"), b"a.heic.xmp": (b"a.heic",)}


def takeout(place: tuple[float, float] = (0.0, 0.0), seconds: str = "1556704800", **more: object) -> str:
    told = {"title": "IMG_1.jpg", "geoData": {"latitude": place[0], "longitude": place[1], "altitude": 0.0}}
    return json.dumps({**told, "photoTakenTime": {"timestamp": seconds, "formatted": "1 May 2019"}, **more})


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A mute photo with what Takeout says of it, and the photo of a camera with an editor's XMP."""
    folder = tmp_path / "exported"
    folder.mkdir()
    picture(folder / "IMG_1.jpg", "navy")
    (folder / "IMG_1.jpg.supplemental-metada.json").write_text(takeout(LISBON, description="A tram uphill"))
    picture(folder / "IMG_2.jpg", "green", exif=camera_exif(BERLIN), xmp=xmp("a:Rating='1'", WORDS))
    (folder / "IMG_2.xmp").write_bytes(xmp("a:Rating='5'", "<dc:title>Dawn</dc:title>"))
    return folder


def test_sidecars_tell_of_their_photos_and_are_no_texts_of_their_own(exported: Path, command: Mmsearch) -> None:
    done = command("index", exported, "--json").json
    assert (done["added"], done["others"], done["unread"], done["details_read"]) == (2, 0, {}, 2)
    one, two = sorted(command("search", "--json", "--sort", "name").json["hits"], key=lambda hit: str(hit["path"]))
    assert (one["place"], one["description"], one["camera"]) == ("Lisbon, Portugal", "A tram uphill", None)
    assert one["taken"].startswith("2019-05-01T")
    # What it says comes before what the photo says, which keeps the rest.
    assert (two["rating"], two["title"], two["camera"], two["place"]) == (5, "Dawn", "NIKON D70", "Berlin, Germany")
    assert two["keywords"] == ["boats", "Places|Málaga"]
    assert command("search", "--after", "2019-04", "--before", "2019-06", "--paths").out.split() == [one["path"]]
    assert command("search", "--rating", "5", "--paths").out.split() == [two["path"]]


def test_a_scan_of_an_old_photo_is_as_old_as_a_sidecar_says(tmp_path: Path) -> None:
    (tmp_path / "scan.jpg.json").write_text(takeout(seconds="-460000000"))
    taken = facts_of_sidecars([os.fsencode(tmp_path / "scan.jpg.json")]).taken
    assert taken is not None and datetime.fromisoformat(taken).timestamp() == -460000000


def test_of_two_sidecars_what_a_person_edits_comes_first(exported: Path) -> None:
    (exported / "IMG_1.jpg.xmp").write_bytes(xmp("a:Rating='2'", "<dc:description>Mine</dc:description>"))
    paths = [os.fsencode(path) for path in sorted(exported.glob("IMG_1.jpg.*"))]
    facts = facts_of_sidecars(paths)
    assert (facts.details.description, facts.details.rating, facts.details.place) == ("Mine", 2, "Lisbon, Portugal")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"x"', b'{"geoData": 7, "photoTakenTime": []}', b"[" * 20_000, b"\xff\xfe\0"]
)
def test_a_sidecar_that_says_nothing_is_no_trouble(exported: Path, library: Library, content: bytes) -> None:
    (exported / "IMG_1.jpg.supplemental-metada.json").write_bytes(content)
    assert library.index(exported).added == 2
    assert listed(library, places=("Portugal",)) == []


def test_a_sidecar_that_changes_or_goes_is_noticed_and_nothing_is_encoded(
    exported: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(exported)
    monkeypatch.setattr(BuiltinEncoder, "encode", _refuse)
    (exported / "IMG_2.xmp").write_bytes(xmp("a:Rating='2'", "<dc:title>Dusk over it</dc:title>"))
    report = library.index(exported)
    assert (report.details_read, report.unchanged, report.updated) == (1, 2, 0)
    assert "1 with new details" in summary(report)
    assert (listed(library, rating=5), listed(library, rating=2)) == ([], ["IMG_2.jpg"])
    (exported / "IMG_2.xmp").unlink()
    (exported / "IMG_1.jpg.supplemental-metada.json").unlink()
    assert library.index(exported).details_read == 2
    (of_photo,) = library.list_files(Filters(rating=1)).hits
    assert (of_photo.title, of_photo.rating) == ("The harbour", 1)
    assert listed(library, places=("Portugal",)) == []
    assert library.care.examine().sound


def _refuse(*_: object) -> None:
    raise AssertionError("encoded again")


def test_an_unchanged_tree_with_sidecars_writes_nothing(exported: Path, library: Library) -> None:
    library.index(exported)
    database = Path(library.folder) / "library.db"
    before = database.read_bytes()
    report = library.index(exported)
    assert (report.unchanged, report.details_read) == (2, 0)
    library.close()
    assert database.read_bytes() == before


def test_a_json_that_was_a_text_leaves_once_its_photo_is_there(exported: Path, library: Library) -> None:
    (exported / "IMG_1.jpg").rename(exported / "away")
    assert library.index(exported).added == 3  # the photo has no extension, and so no sidecar; the JSON is a text
    (exported / "away").rename(exported / "IMG_1.jpg")
    report = library.index(exported)
    assert (report.moved, report.removed, report.details_read) == (1, 1, 1)
    assert names(library.list_files().hits) == ["IMG_1.jpg", "IMG_2.jpg"]


def test_what_is_known_of_a_photo_leaves_with_it(exported: Path, library: Library) -> None:
    library.index(exported)
    library.forget(exported / "IMG_1.jpg")
    library.close()
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("details", "sidecars")
        ]
    assert counts == [1, 1]


# Libraries that know less


def test_an_older_library_learns_what_its_photos_know_and_nothing_is_encoded(
    album: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of schema 8 is after its upgrade: no details, and read by the readers of its day."""
    monkeypatch.setattr(reading, "READERS", [replace(image.READER, details_version=0), *reading.READERS[1:]])
    library.index(album)
    assert listed(library, camera="nikon") == []
    monkeypatch.undo()
    monkeypatch.setattr(BuiltinEncoder, "encode", _refuse)
    hashed = _count_hashes(monkeypatch)
    report = library.index(album)
    assert (report.details_read, report.unchanged, report.encoded, report.failed) == (4, 4, 0, 0)
    assert hashed == []
    assert listed(library, camera="nikon") == ["berlin.jpg", "lisbon.jpg"]
    again = library.index(album)
    assert (again.details_read, again.unchanged) == (0, 4)
    assert library.care.examine().sound


def _count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths of files that are read whole from now on."""
    from mmsearch.reading import opening

    hashed: list[bytes] = []
    real = opening._opened_once

    def counted(path: bytes, *more: Any) -> Any:
        hashed.append(path)
        return real(path, *more)

    monkeypatch.setattr(opening, "_opened_once", counted)
    return hashed


def test_a_library_of_schema_8_is_read_for_details_alone(
    tmp_path: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copyfile(LIBRARIES / "schema-8.db", folder / "library.db")
    with Library(folder) as library:
        library.status()
        report: IndexReport = library.index(album)
        assert report.added == 4
        assert listed(library, camera="d70") == ["berlin.jpg", "lisbon.jpg"]
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        told = connection.execute("SELECT count(*) FROM details").fetchone()[0]
        pictures = connection.execute("SELECT count(*) FROM contents WHERE medium = 'image'").fetchone()[0]
    assert 4 == told < pictures  # those of the old root are on a drive that is away


def test_a_photo_that_changed_meanwhile_is_no_photo_that_is_known(
    album: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READERS", [replace(image.READER, details_version=0), *reading.READERS[1:]])
    library.index(album)
    monkeypatch.undo()
    picture(album / "berlin.jpg", "red")
    report = library.index(album)
    assert (report.updated, report.details_read) == (1, 3)
    assert listed(library, camera="d70") == ["lisbon.jpg"]


def test_the_store_knows_whose_details_are_old(album: Path, library: Library) -> None:
    library.index(album)
    library.close()
    store = library._access.reading()
    assert rereading.files_lacking_details(store) == set()
    newer: dict[Medium, int] = {"image": image.READER.details_version + 1}
    assert len(store.files_detailed_otherwise(newer)) == 4


def test_damaged_details_are_found_and_read_again(album: Path, library: Library) -> None:
    library.index(album)
    library.close()
    database = Path(library.folder) / "library.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE details SET camera = 'Other' WHERE camera IS NOT NULL")
    assert not library.care.examine().sound
    library.care.repair()
    assert library.care.examine().sound
    assert library.index(album).details_read == 2
    assert listed(library, camera="nikon") == ["berlin.jpg", "lisbon.jpg"]


def test_what_is_saved_of_a_damaged_library_keeps_details(exported: Path, library: Library) -> None:
    library.index(exported)
    library.close()
    database = str(Path(library.folder) / "library.db")
    salvage(database, f"{database}-damaged")
    assert listed(library, places=("Portugal",), rating=None) == ["IMG_1.jpg"]
    assert library.index(exported).details_read == 0
