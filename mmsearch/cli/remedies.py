"""What to do about an error, in the words of the command line: the engine names an action, this page the command."""

from __future__ import annotations

from collections.abc import Callable

from mmsearch.cli.installing import in_shell, install_extra, install_package
from mmsearch.cli.running import library_chosen_by
from mmsearch.errors import MmsearchError, Remedy
from mmsearch.records import OPTIMISED_ENDING
from mmsearch.store.locations import is_url


def _install(name: str) -> str:
    """A model that is not on this disk, or not whole, is fetched, or made of the one it is an optimised form of."""
    original = name.removesuffix(OPTIMISED_ENDING)
    get = f"fetch it with `mmsearch models pull {name}`"
    if name != original:
        get = f"make it with `mmsearch models pull {original}` and `mmsearch models optimise {original}`"
    return (
        f"{get} or, without a network, bring it over from another machine with `mmsearch models export {name} FILE` "
        "there and `mmsearch models import FILE` here"
    )


def _index_into(location: str) -> str:
    """Where a library is yet to be made; what named the place may have a typing error in it."""
    chosen_by = library_chosen_by()
    if chosen_by:
        into = f"--library {in_shell(location)} " if chosen_by == "--library" else ""
        return f"correct {chosen_by}, which names it, or run `mmsearch index {into}FOLDER` first"
    into = f"--library {in_shell(location)} " if is_url(location) else ""
    return f"run `mmsearch index {into}FOLDER` first"


# Action → what follows the sentence and a semicolon; one that begins with a space or a comma goes on with the sentence.
# {subject} is what the remedy names, or "" there.
SENTENCES: dict[str, str | Callable[[str], str]] = {
    "adapters.list": "`mmsearch adapters` lists them",
    "adapters.remove": "remove it with `mmsearch adapters --remove {subject}`",
    "again": " and run the command again",
    "choose_library": "choose another with --library",
    "choose_library.folder": "choose another folder with --library",
    "choose_library.or_mend": "put that right, or choose another folder with --library",
    "choose_library.server": "ask it with `mmsearch search --server URL`, or name a folder with --library",
    "database.admission": "let its pg_hba.conf take this machine, role and database",
    "database.again": "run the command again",
    "database.certificate": "ask it under the name that its certificate is for, and name the file of the authority "
    "that has signed that as sslrootcert in the URL",
    "database.password": "see to the role in the URL and its password, which is best kept in ~/.pgpass (mode 600)",
    "database.reach": "see whether it runs, or correct the URL",
    "database.room": "make room there, and run the command again",
    "database.writes": "let it take writes again, and run the command again",
    "device.leave_out": "leave out --device, or choose a model that torch runs",
    "device.other_torch": "leave out --device, or install a torch that is made for it",
    "device.processor": "use --device cpu, or a smaller model",
    "doctor": "`mmsearch doctor` says what of it can be saved (your own files are not touched)",
    "doctor.what": "`mmsearch doctor` says what can be saved",
    "evaluate.model": "measure that model too, with --model",
    "extra": lambda extra: f"install it with {install_extra(extra)}",
    "extra.or_no_plot": lambda extra: f"install it with {install_extra(extra)}, or leave out --plot",
    "extra.them": lambda extra: f"install them with {install_extra(extra)}",
    "forget": "take it out with `mmsearch forget`, and index it again",
    "format": "choose another file or --format",
    "format.give": "correct it or give --format",
    "format.or_correct": "correct it or choose another --format",
    "fusions.list": "`mmsearch adapters` lists those that there are",
    "fusions.remove": "take it out with `mmsearch adapters --remove fusion@all`",
    "images": "give their folder with --images",
    "images.folder": "give the folder of the photos with --images",
    "images.which": "say which one with --images",
    "index": "run `mmsearch index FOLDER` first",
    "index.again": "run `mmsearch index` and search again",
    "index.alone": "run `mmsearch index`, which encodes by itself, or name a library in PostgreSQL with --library "
    "postgresql://HOST/DATABASE",
    "index.away": "connect the drive that it lies on, or run `mmsearch index` and search again",
    "index.into": _index_into,
    "index.model": "run `mmsearch index --model {subject}` first",
    "index.name": "name a folder: `mmsearch index ~/Pictures`",
    "index.often": "run `mmsearch index {subject}` as often as you like",
    "index.once": "run `mmsearch index` once where it can",
    "index.rebuild": "run `mmsearch index --model {subject} --rebuild` to encode its files again",
    "leave_out": "leave --{subject} out",
    "like": "give the path of one that was found, or look for what is like another picture with --image",
    "models.choose": "choose another model",
    "models.drop": "take its vectors out of the library with `mmsearch models drop {subject}` first",
    "models.good": "`mmsearch models` lists good ones (a private one needs HF_TOKEN)",
    "models.install": _install,
    "models.list": "`mmsearch models` lists those that are",
    "models.optimise": "make it again with `mmsearch models optimise`",
    "models.pull": "run `mmsearch models pull {subject}` again",
    "models.pull_again": "fetch the model again with `mmsearch models pull`",
    "models.trust": "if you trust its authors, run `mmsearch models pull NAME --trust-remote-code`",
    "models.use": lambda name: f"choose another model with `mmsearch models use {name or 'NAME'}` first",
    "models_folder": "name another folder with MMSEARCH_MODELS",
    "models_folder.or_room": "make room, or name another folder with MMSEARCH_MODELS",
    "mounts.list": "`mmsearch mounts` lists them",
    "mounts.name": "give it one with `mmsearch mounts NAME {subject}`, where NAME is any path that no machine has",
    "mounts.whole": "place the whole of it with `mmsearch mounts`, or take that mount out with --remove",
    "photos": "choose another folder for --photos",
    "port": "choose another one with --port",
    "package": lambda name: f"install it with {install_package(name)}",
    "prune.gone": ", or take out what is gone with `mmsearch prune`",
    "query": 'give a text ("dog on beach") or --image FILE, or list files with --sort date',
    "query.add": "add a text or --image FILE to look for",
    "query.picture": "choose one, or look for what is like another file of the library with --like",
    "reinstall": "install mmsearch again",
    "server.certificate": "ask it under the name that its certificate is for and, where your own authority has signed "
    "that, name the file of the authority's certificate in the variable SSL_CERT_FILE",
    "server.start": "start it with `mmsearch serve`, or leave out --server (and MMSEARCH_SERVER) to search here",
    "server.token": "give the address that `mmsearch serve` has printed, or name the file of its token with "
    "--token-file",
    "speech.model": "`mmsearch models pull Systran/faster-whisper-small` fetches one, and `ct2-transformers-converter` "
    "makes some",
    "speech.use": "transcribe with it by `mmsearch index --speech {subject}`",
    "status": "`mmsearch status` lists what it holds",
    "status.retry": "`mmsearch status --failed` says why, and `mmsearch index --retry` tries again",
    "train": "`mmsearch train` makes one",
    "train.data": "give captions, or labels, of files that were indexed",
    "train.force": "--force keeps it",
}


def remedy_in_words(remedy: Remedy) -> str:
    """What a person can type."""
    sentence = SENTENCES[remedy.action]
    return sentence(remedy.subject) if callable(sentence) else sentence.format(subject=remedy.subject)


def worded(message: str, remedy: Remedy | None) -> str:
    """A sentence that says what is wrong, and what helps."""
    if remedy is None:
        return message
    words = remedy_in_words(remedy)
    beginning = message.removesuffix(".")
    return f"{beginning}{'' if words[0] in ' ,' else '; '}{words}."


def in_words(error: MmsearchError) -> str:
    """An error as the command line says it."""
    return worded(error.message, error.remedy)
