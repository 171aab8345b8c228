"""Makes mmsearch/language/data, the lexicon by which queries in other languages are read, from a folder of tables.

    python -m recipe.lexicon FOLDER --english TEXTS

FOLDER holds `LL.tsv`, one a language: an English word or phrase, a tab, and the forms that people type for it between
`|`, the most usual first. TEXTS holds gzipped English texts, by which words are known that are English too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmsearch.encoding.builtin_files import MODEL_FOLDER
from mmsearch.language import telling
from mmsearch.language.folding import words_of
from mmsearch.language.function_words import CARRY_NOTHING
from mmsearch.language.lexicon import ENGLISH, ENGLISH_WORDS, FOLDER, NAMES, WORDS
from mmsearch.language.telling import MARKS, RARELY_ENGLISH

# Pieces of captions that nobody types ("shirt hits", "bedroom has") stand among the phrases behind the single words.
_PHRASES_AFTER = 3_000
_PIECES = re.compile(
    r"\b(hits|swings|leaps|stands|lies|sits|walks|waits|hangs|rises|reaches|throws|goes|go|has|does|balances|leans|vaults|"
    r"looks|runs|sinks|shines|sets|spread|hold|holds|before|between|others|each|mid|reads|serial)\b"
)
# A word that occurs so often in the texts is English, or may be, and is one for certain.
_MAY_BE_ENGLISH, _IS_ENGLISH = 4, 12
# English names have "de", "la" and "der" in them.
_IS_ENGLISH_FOR_CERTAIN = 500
_MARK_OF = {language: mark for mark, language in MARKS.items()}
# How much further down a line each place within it counts, when a form stands under several entries.
_PLACE = 300


def main() -> None:
    """Writes the files, and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--english", type=Path, required=True)
    asked = parser.parse_args()
    tables = {language: dict(_rows(asked.folder / f"{language}.tsv")) for language in NAMES}
    entries = _entries(tables.values())
    numbers = {entry: number for number, entry in enumerate(entries)}
    counts = _counted(asked.english)
    for word in _words_in(entries):
        counts[word] += _IS_ENGLISH
    Path(FOLDER).mkdir(exist_ok=True)
    sizes = [_write(ENGLISH, entries)]
    for language, table in tables.items():
        lines = sorted(_lines(table, numbers))
        sizes.append(_write(f"{language}.gz", lines))
        print(f"{language}: {len(lines):,} forms, {sizes[-1]:,} bytes")
    marked = sorted(_marked({one: table for one, table in tables.items() if one in _MARK_OF}, counts))
    sizes.append(_write(WORDS, marked))
    elsewhere = {line.partition("\t")[0] for line in marked}
    may_be = {word for word, count in counts.items() if count >= _MAY_BE_ENGLISH and len(word) > 1} | _of_the_model()
    english = sorted(word for word in may_be if counts[word] >= _IS_ENGLISH or word not in elsewhere)
    sizes.append(_write(ENGLISH_WORDS, (f"{word}\t" for word in english)))
    print(f"{len(entries):,} entries, {len(marked):,} words, {len(english):,} English ones")
    print(f"{sum(sizes):,} bytes in all")


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        english, _, forms = line.partition("\t")
        if english and forms:
            yield english.strip(), [form for form in forms.split("|") if form.strip()]


def _entries(tables: Iterable[dict[str, list[str]]]) -> list[str]:
    """The English entries in their order, without pieces of captions."""
    longest = max(tables, key=len)
    return [
        entry
        for number, entry in enumerate(longest)
        if number < _PHRASES_AFTER or " " not in entry or not _PIECES.search(entry)
    ]


def _lines(table: dict[str, list[str]], numbers: dict[str, int]) -> Iterator[str]:
    """`form<tab>number,number`, of each form, the best guess first."""
    found: dict[str, dict[int, int]] = {}
    for english, forms in table.items():
        number = numbers.get(english)
        if number is None:
            continue
        for place, form in enumerate(forms):
            folded = _folded(form)
            if folded:
                known = found.setdefault(folded, {})
                known[number] = min(known.get(number, 10**9), number + _PLACE * place)
    for form, ranks in found.items():
        yield f"{form}\t{','.join(str(number) for number in sorted(ranks, key=lambda one: (ranks[one], one)))}"


def _marked(tables: dict[str, dict[str, list[str]]], counts: Counter[str]) -> Iterator[str]:
    """`word<tab>letters`, of each word of the languages that are written in Latin letters."""
    marks: dict[str, set[str]] = {}
    for language, table in tables.items():
        words = _words_in(form for forms in table.values() for form in forms)
        for word in words | set(CARRY_NOTHING[language].split()):
            marks.setdefault(word, set()).add(_MARK_OF[language])
    of_names = {word for words in CARRY_NOTHING.values() for word in words.split()}
    for word, letters in marks.items():
        if counts[word] >= _MAY_BE_ENGLISH:
            least = _IS_ENGLISH_FOR_CERTAIN if word in of_names else _IS_ENGLISH
            letters.add(_MARK_OF[telling.ENGLISH] if counts[word] >= least else RARELY_ENGLISH)
        yield f"{word}\t{''.join(sorted(letters))}"


def _words_in(texts: Iterable[str]) -> set[str]:
    return {word.folded for text in texts for word in words_of(text)}


def _counted(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("*.txt.gz")):
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
            for line in file:
                counts.update(re.findall(r"[a-z]+", line.lower()))
    return counts


def _of_the_model() -> set[str]:
    """The whole words in the vocabulary of the built-in model."""
    described = json.loads(Path(MODEL_FOLDER, "tokenizer.json").read_text(encoding="utf-8"))
    return {word for word in described["model"]["vocab"] if re.fullmatch("[a-z]{3,}", word)}


def _folded(form: str) -> str:
    return " ".join(word.folded for word in words_of(form))


def _write(name: str, lines: Iterable[str]) -> int:
    data = gzip.compress("\n".join(lines).encode(), 9, mtime=0)
    Path(FOLDER, name).write_bytes(data)
    return len(data)


if __name__ == "__main__":
    main()
