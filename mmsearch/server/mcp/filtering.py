"""Arguments that choose among files."""

from __future__ import annotations

from mmsearch.server.mcp.arguments import Argument

TYPES = ("image", "document", "video", "audio", "text")
BASIC = (
    Argument("type", "text", "Only files of this type.", choices=TYPES),
    Argument(
        "in", "texts", "Only files below these folders: absolute paths, as in `path` of hits and `roots` of status."
    ),
    Argument("ext", "texts", "Only files with these extensions: jpg, pdf."),
    Argument(
        "when",
        "text",
        "Only what was taken (else modified) in that time, in words or numbers: 2019, july 2019, 2019-07-14, "
        "summer 2019, christmas 2018, 2015..2018, 1990s, today, last week, last summer, since 2024, before may 2021, "
        "next week.",
    ),
    Argument("after", "text", "Only what was taken (else modified) then or later: 2024, 2024-05, 2024-05-31."),
    Argument("before", "text", "Only what was taken (else modified) earlier."),
)
FILTERS = (
    *BASIC,
    Argument("not_in", "texts", "No files below these folders."),
    Argument("camera", "text", "Only photos by a camera with this in its name: iphone, eos 5d."),
    Argument("lens", "text", "Only photos through a lens with this in its name."),
    Argument(
        "near",
        "text",
        "Only photos taken within 25 km of a place, or as many as it says: Lisbon; Lisbon,5; 38.7,-9.1,5.",
    ),
    Argument("place", "text", "Only photos taken in this country, or to which this city is the nearest."),
    Argument("rating", "integer", "Only photos with at least so many stars.", least=1, most=5),
    Argument("keyword", "texts", "Only photos with all of these keywords."),
    Argument("longer", "text", "Only what plays longer than this: 90, or 1:30."),
    Argument("shorter", "text", "Only what plays shorter than this."),
)
