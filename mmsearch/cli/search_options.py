"""The options of `mmsearch search`, and what they are together."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.filtering import (
    AfterOption,
    BeforeOption,
    CameraOption,
    ExtOption,
    FolderOption,
    KeywordOption,
    LensOption,
    LongerOption,
    NearOption,
    NotInOption,
    OnlyOption,
    PlaceOption,
    RatingOption,
    ShorterOption,
    TypedFilters,
    WhenOption,
)
from mmsearch.cli.running import DeviceOption, JsonOption, LibraryOption, only_form
from mmsearch.searching import DEFAULT_LIMIT

if TYPE_CHECKING:
    from mmsearch.output.hits import Form


class SortChoice(str, Enum):
    """What hits are ordered by."""

    SCORE = "score"
    SIMILARITY = "similarity"
    DATE = "date"
    NAME = "name"


class GroupChoice(str, Enum):
    """What hits under one heading have in common."""

    FOLDER = "folder"
    DAY = "day"
    PLACE = "place"


class ScanChoice(str, Enum):
    """How vectors are compared."""

    AUTO = "auto"
    EXACT = "exact"
    CODES = "codes"
    GRAPH = "graph"


QueryArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[QUERY]...",
        help="What to look for: all words are one text, quoted or not. A + between words begins another text "
        "(red car + 2:at night), and a number and colon before a text is its weight. The path of a picture "
        "looks for what is like it. A single - reads a text from stdin.",
    ),
]
AlsoOption = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="TEXT", help="Another text to look for, or weight:text (repeatable)."),
]
ImageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        "-i",
        metavar="FILE",
        help="A picture to look for, or weight:picture (repeatable); - for one from stdin.",
    ),
]
AvoidOption = Annotated[
    list[str] | None,
    typer.Option(
        "--not",
        metavar="TEXT",
        help="A text to keep away from, by half its vector, or weight:text (repeatable). So is what stands in a text "
        "behind without, with no, but not, or a comma and no, unless a file has these words as they are typed.",
    ),
]
AvoidImageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--not-image",
        metavar="FILE",
        help="A picture to keep away from, by three eighths of its vector, or weight:file (repeatable).",
    ),
]
LikeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--like",
        metavar="HIT",
        help="More like this hit, which is its rank in the last search, its path or its id, with a query or without "
        "(repeatable). Those named are left out.",
    ),
]
UnlikeOption = Annotated[
    list[str] | None, typer.Option("--unlike", metavar="HIT", help="Less like this hit (repeatable).")
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most so many hits.")]
OffsetOption = Annotated[int, typer.Option(metavar="N", help="Leave out the first N hits: the next page.")]
MinScoreOption = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="Leave out hits with a lower score, between 0 and 1. Without it, a single text leaves out what is no "
        "nearer than a text that means nothing would find; 0 shows everything.",
    ),
]
AdapterOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Search through this adapter instead of the one in use; none for none."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Search with this model of the library instead of the one in use."),
]
SortOption = Annotated[
    SortChoice | None,
    typer.Option(
        metavar="[score|similarity|date|name]",
        help="Show the hits of a page by score, by their cosine alone (similarity), the newest first (date), or by "
        "path (name). Without a query files that pass the filters are listed, the newest first.",
    ),
]
GroupOption = Annotated[
    GroupChoice | None,
    typer.Option(
        metavar="[folder|day|place]",
        help="Put together the hits of one folder, one day, or one place, under a heading on a terminal.",
    ),
]
RandomOption = Annotated[
    bool,
    typer.Option("--random", help="Draw the hits at random from all that answer, or that pass the filters."),
]
SeedOption = Annotated[
    int | None, typer.Option(metavar="N", help="Draw the same ones with --random each time that N is the same.")
]
LangOption = Annotated[
    str | None,
    typer.Option(
        "--lang",
        metavar="LL",
        help="The language of the texts (de, fr, ja, …), where their words do not tell; en takes them as they are. It "
        "matters to models that know English alone, such as the built-in one.",
    ),
]
CopiesOption = Annotated[
    bool,
    typer.Option("--copies", help="Show each copy of a file, and each file of one photo, as a hit of its own."),
]
AsJsonlOption = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a hit and line.")]
AsPathsOption = Annotated[
    bool, typer.Option("--paths", help="Print only the paths of files that are there, one a line.")
]
AsNullOption = Annotated[
    bool, typer.Option("--null", "-0", help="The same, each path ended by a NUL byte, for xargs -0.")
]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show on a terminal what is known of each hit, and how its passage begins."),
]
MomentsOption = Annotated[
    bool,
    typer.Option(
        "--moments", help="List below a video or a recording the other moments in it that answer, best first."
    ),
]
ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Say below each hit why it is one: which channels found it, which words stand where in it, and where in "
        "its picture what was asked for is. --preview and --contact-sheet then show pictures with heat maps over them, "
        "and --json has the numbers.",
    ),
]
ExplainToOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Explain the hits, and write the heat maps of their pictures to FOLDER as PNGs: one of the whole query "
        "and one of each of its words, side by side.",
    ),
]
OpenOption = Annotated[
    bool,
    typer.Option(
        "--open",
        help="Open the best hit in the viewer of this system, at its moment or page where one is installed that can.",
    ),
]
PreviewOption = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show each hit's picture beside it on the terminal, in fine pixels where that has them (kitty, iTerm2, "
        "sixel), else in blocks. MMSEARCH_PREVIEW=kitty, iterm2, sixel or blocks says which.",
    ),
]
ContactSheetOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write the hits with small pictures to FILE too: a web page (.html), or one picture (.png). It holds all "
        "that it shows. An older contact sheet is replaced, and nothing else.",
    ),
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Answer many queries, one text (or weight:text) a line of FILE (- for stdin): one JSON object a query "
        "and line.",
    ),
]
ScanOption = Annotated[
    ScanChoice,
    typer.Option(
        metavar="[auto|exact|codes|graph]",
        help="Compare with all vectors (exact), with those whose codes seem nearest (codes), by the HNSW graph "
        "(graph), or by codes and, where --batch is faster with it, by the graph (auto).",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="MMSEARCH_SERVER",
        help="Ask the server at URL, which is the address that `mmsearch serve` prints, instead of a library on this "
        "machine: no model is loaded. Folders are named as they are called there.",
    ),
]
TokenFileOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Take the token of the server from FILE, which you alone can read. Without it, it is that in the URL, or "
        "in MMSEARCH_TOKEN.",
    ),
]


@dataclass(frozen=True)
class SearchOptions:
    """What is typed behind `mmsearch search`, in the order in which its help lists it."""

    query: QueryArgument = None
    also: AlsoOption = None
    image: ImageOption = None
    avoid: AvoidOption = None
    avoid_image: AvoidImageOption = None
    like: LikeOption = None
    unlike: UnlikeOption = None
    limit: LimitOption = DEFAULT_LIMIT
    offset: OffsetOption = 0
    min_score: MinScoreOption = None
    adapter: AdapterOption = None
    model: ModelOption = None
    only: OnlyOption = None
    folder: FolderOption = None
    not_in: NotInOption = None
    ext: ExtOption = None
    when: WhenOption = None
    after: AfterOption = None
    before: BeforeOption = None
    camera: CameraOption = None
    lens: LensOption = None
    near: NearOption = None
    place: PlaceOption = None
    rating: RatingOption = None
    keyword: KeywordOption = None
    longer: LongerOption = None
    shorter: ShorterOption = None
    sort: SortOption = None
    group: GroupOption = None
    at_random: RandomOption = False
    seed: SeedOption = None
    lang: LangOption = None
    copies: CopiesOption = False
    as_json: JsonOption = False
    as_jsonl: AsJsonlOption = False
    as_paths: AsPathsOption = False
    as_null: AsNullOption = False
    verbose: VerboseOption = False
    moments: MomentsOption = False
    explain: ExplainOption = False
    explain_to: ExplainToOption = None
    open_best: OpenOption = False
    preview: PreviewOption = False
    contact_sheet: ContactSheetOption = None
    batch: BatchOption = None
    scan: ScanOption = ScanChoice.AUTO
    device: DeviceOption = "auto"
    library: LibraryOption = None
    server: ServerOption = None
    token_file: TokenFileOption = None

    @property
    def has_terms(self) -> bool:
        """Whether something is looked for."""
        return bool(self.query or self.also or self.image or self.avoid or self.avoid_image or self.like or self.unlike)

    @property
    def explains(self) -> bool:
        """Whether hits are explained."""
        return self.explain or self.explain_to is not None

    @property
    def filters(self) -> TypedFilters:
        """Those that filter."""
        return TypedFilters(
            only=self.only,
            folders=self.folder or (),
            not_folders=self.not_in or (),
            extensions=self.ext or (),
            times=(self.after, self.before),
            when=self.when,
            camera=self.camera,
            lens=self.lens,
            near=self.near,
            place=self.place,
            rating=self.rating,
            keywords=self.keyword or (),
            lengths=(self.longer, self.shorter),
        )

    @property
    def form(self) -> Form:
        """How hits are printed.

        Raises:
            Invalid: in more than one way.
        """
        from mmsearch.output.hits import Form

        asked = only_form(
            {Form.JSON: self.as_json, Form.JSONL: self.as_jsonl, Form.PATHS: self.as_paths, Form.NULL: self.as_null}
        )
        return asked or (Form.TABLE if sys.stdout.isatty() else Form.LINES)
