"""How a command line is parsed: what all commands have, and what is said where something is written wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar, cast, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from mmsearch import output
from mmsearch.errors import Invalid

Options = TypeVar("Options")

# Typer names the class of errors of a command line by its subclasses only.
UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])

# What other tools call it.
SYNONYMS = {
    "--also": ("--and", "--plus", "--query", "--text"),
    "--after": ("--from", "--newer", "--since"),
    "--before": ("--older", "--to", "--until"),
    "--contact-sheet": ("--gallery", "--html", "--montage", "--thumbnails"),
    "--device": ("--cuda", "--gpu"),
    "--dry-run": ("--check", "--dryrun", "--preview", "--simulate"),
    "--ext": ("--extension", "--extensions", "--glob", "--suffix"),
    "--group": ("--group-by", "--heading"),
    "--hidden": ("--all", "-a"),
    "--image": ("--file", "--img", "--photo", "--picture"),
    "--in": ("--dir", "--directory", "--folder", "--path", "--root", "--within"),
    "--library": ("--data", "--database", "--db", "--index"),
    "--like": ("--more-like", "--similar"),
    "--limit": (
        "--count",
        "--max",
        "--num",
        "--number",
        "--results",
        "--size",
        "--top",
        "--top-k",
        "--topk",
        "-k",
        "-l",
    ),
    "--min-score": ("--cutoff", "--min", "--score", "--threshold"),
    "--not": ("--exclude", "--minus", "--negative", "--without"),
    "--not-in": ("--exclude-dir", "--not-dir", "--outside"),
    "--null": ("--print0", "--zero", "-z"),
    "--offset": ("--page", "--skip", "--start"),
    "--paths": ("--files", "--files-only", "--only-paths", "-p"),
    "--preview": ("--images", "--inline", "--show"),
    "--quiet": ("--silent", "-s"),
    "--random": ("--sample", "--shuffle"),
    "--rebuild": ("--force", "--full", "--reindex"),
    "--sort": ("--order", "--order-by", "--sort-by"),
    "--type": ("--filetype", "--kind", "--medium", "-t"),
    "--unlike": ("--less-like", "--dislike"),
    "--when": ("--date", "--during", "--on", "--period", "--year"),
    "--workers": ("--jobs", "--threads", "-j"),
    "--yes": ("--assume-yes", "--force"),
}


# What a command is called elsewhere.
COMMAND_SYNONYMS = {
    "compact": ("optimize", "shrink", "vacuum"),
    "duplicates": ("dedupe", "dupes", "duplicate"),
    "doctor": ("check", "fsck", "repair", "verify"),
    "forget": ("delete", "drop", "remove", "rm"),
    "index": ("add", "import", "reindex", "scan", "sync", "update"),
    "search": ("ask", "find", "grep", "list", "look", "ls", "query"),
    "status": ("info", "stats"),
}


def taking(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Makes a command of a function that takes its options together: each field of a dataclass is one, in its order.

    The fields are written as parameters of a command would be: `name: Annotated[str, typer.Option(…)] = "default"`.
    """

    def taken_by(function: Callable[[Options], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            function(options(**values))

        hints = get_type_hints(options, include_extras=True)
        fields = [
            one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in inspect.signature(options).parameters.items()
        ]
        command.__doc__, command.__name__ = function.__doc__, function.__name__
        cast("Any", command).__signature__ = inspect.Signature(fields)
        return command

    return taken_by


def _be_quiet(context: Any, parameter: Any, asked: bool) -> None:
    if asked:
        output.be_quiet()


def _quiet_option() -> TyperOption:
    return TyperOption(
        param_decls=["--quiet", "-q"],
        is_flag=True,
        default=False,
        expose_value=False,
        is_eager=True,
        callback=_be_quiet,
        help="Print no notes and no progress bar; errors are printed all the same.",
    )


class Command(TyperCommand):
    """A command that can be told to be quiet."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.append(_quiet_option())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words behind the command; an error says of which command it is."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if getattr(error, "ctx", None) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise


class Group(TyperGroup):
    """The command itself, or one with others below it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.append(_quiet_option())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words before the command; an error knows which command stands behind them."""
        typed = tuple(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            known = self.list_commands(ctx)
            error.called = next((word for word in typed if word in known), None)  # type: ignore[attr-defined]
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called.

        Raises:
            Invalid: there is none of that name.
        """
        if not ctx.resilient_parsing and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise Invalid(_no_command(ctx, self.list_commands(ctx), args))
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group each of whose commands is imported and parsed when it is asked for: a search starts without the others.

    `places` has them by name, each as `module:function` of this package, where a `typer.Typer` is a group.
    """

    places: Mapping[str, str] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in their order."""
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in self.commands and cmd_name in self.places:
            self.commands[cmd_name] = _command_at(self.places[cmd_name], cmd_name)
        return self.commands.get(cmd_name)


def _command_at(place: str, name: str) -> Any:
    module, called = place.split(":")
    found = getattr(import_module(f"{__package__}.{module}"), called)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False, rich_markup_mode=None)
        found.command(name, cls=Command)(function)
    command = get_command(found)
    command.name = name
    return command


def help_on(context: Any, words: Sequence[str]) -> str:
    """What `--help` prints of the command of that name.

    Raises:
        Invalid: there is none.
    """
    root = context.find_root()
    found, inner = root.command, root
    for number, word in enumerate(words):
        commands = found.list_commands(inner) if isinstance(found, Group) else []
        if word not in commands:
            raise Invalid(_no_command(inner, commands, words[number:]))
        found = found.get_command(inner, word)
        inner = found.context_class(found, info_name=word, parent=inner, **found.context_settings)
    text: str = found.get_help(inner)
    return text


def in_a_sentence(error: Exception) -> str:
    """What is wrong with a command line, as all errors are told."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mmsearch"
    where = f"`{path} --help` lists what there is."
    option: str | None = getattr(error, "option_name", None)
    if option is not None and context is not None and hasattr(error, "possibilities"):
        known = _options_of(context.command)
        called: str | None = getattr(error, "called", None)
        if called is not None and option in _options_of(context.command.get_command(context, called)):
            return f"Options come after the command: `{path} {called} … {option}`."
        likely = likely_option(option, known)
        meant = f"did you mean {likely}? " if likely else ""
        return f"There is no option {option}; {meant}{where}"
    message = " ".join(cast("Any", error).format_message().split()).removesuffix(".")
    return f"{message}; {where}"


def _options_of(command: Any) -> list[str]:
    return [name for one in command.params for name in (*one.opts, *one.secondary_opts) if name[0] == "-"]


def likely_option(written: str, known: Sequence[str]) -> str | None:
    """The option that is probably meant, of those that the command has."""
    called = [name for name, others in SYNONYMS.items() if written in others and name in known]
    near = get_close_matches(written, [name for name in known if name.startswith("--")], n=1, cutoff=0.7)
    return next(iter((*called, *near)), None)


def _no_command(context: Any, commands: Sequence[str], words: Sequence[str]) -> str:
    path = context.command_path
    called = [name for name, others in COMMAND_SYNONYMS.items() if words[0] in others and name in commands]
    near = [*called, *get_close_matches(words[0], commands, n=1)]
    if near:
        rest = f"did you mean `{path} {near[0]}`?"
    elif context.parent is None:
        rest = f'to look for it, write `{path} search "{" ".join(words)}"`.'
    else:
        rest = f"`{path} --help` lists those that there are."
    return f"There is no command {words[0]!r}; {rest}"
