"""Which encoding a text is in that is not Unicode, told by how often languages write their letters.

Three kinds of writing, each with its own sign: East Asian ones use a few hundred characters most of the time, Greek,
Cyrillic and their like write whole words beyond ASCII, and Latin ones some letters among those of ASCII. A wrong
encoding makes rare characters, capitals within words, and letters that no one language has.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

_WEIGHED_BYTES = 64_000
_ENOUGH_COVERED = 0.95
_ENOUGH_COMMON = 0.25
_ENOUGH_FITTING = 0.45
_MOST_BROKEN = 0.002

_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30FD))))
_EASTERN_SIGNS = "　、。，．・：；？！「」『』（）《》“”‘’…—ー〜～"
_CHINESE = "一不人有大在上中下子年出得自小心天地好生日月成可分同手方前本事行三十二想作公多如政市家文用定主高工理新最"
_SIMPLIFIED = (
    "的是了我他这个们来为和国时要说就会着对那里后能道去么没过你起还看只学以到发法开现面动从经些当种实点样之也都"
    "与将于业全民电请无问关长万进机让把网信女被给更它她"
)
_TRADITIONAL = (
    "的是了我他這個們來為和國時要說就會著對那裡後能道去麼沒過你起還看只學以到發法開現面動從經些當種實點樣之也都"
    "與將於業全民電請無問關長萬進機讓把網信女被給更它她"
)
_KANJI = (
    "日一人国年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水"
    "半男西電校語"
)
_HANGUL = (
    "이다는에의가을로를한은고지사하기어도자대리시인나아그제정해일서부주보수전있장상습니게들구라만여으면스동원조성"
    "했경안선오비연신유과소용국러마치트공무위화세관않없된되것요내당할계모중생문물회와년"
)
# In this order: on a tie the earlier one is it.
_EASTERN: tuple[tuple[str, frozenset[str]], ...] = (
    ("cp932", frozenset(_KANA + _EASTERN_SIGNS + _KANJI)),
    ("euc_jp", frozenset(_KANA + _EASTERN_SIGNS + _KANJI)),
    ("gb18030", frozenset(_CHINESE + _SIMPLIFIED + _EASTERN_SIGNS)),
    ("big5hkscs", frozenset(_CHINESE + _TRADITIONAL + _EASTERN_SIGNS)),
    ("cp949", frozenset(_HANGUL)),
    ("johab", frozenset(_HANGUL)),
)

# Letters from the most to the least frequent.
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_UKRAINIAN = "оанивітерслкудмпзяьбгчйхцюжїшєщфґ"
_BULGARIAN = "аиоентрсвлкдпмзгъубчящжцйхшюфь"
_SERBIAN = "аоиенрстјувкдпмлзгбчшцњхжљћђфџ"
_GREEK = "αοιετσνηυρπκμλςάίόέωδγχήύθφβώξζψϊΐϋΰ"
_HEBREW = "יוהלארתבשמנםדקעחפטןצכגזסךףץ"
_ARABIC = "الينمرتوبةعدسفهكقحجىأشصطخإذئءضثآزغظؤ،؟"
_THAI = "านรอกเงมยลวดทส่ตะปบัี้คหิแจพไชขใ็ึถื์ุโูณำซษธผศญฐฟฝฉฒฎภฏๆฑฤฯฌฆฮ"
_SCRIPTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cp1251", (_RUSSIAN, _UKRAINIAN, _BULGARIAN, _SERBIAN)),
    ("koi8_r", (_RUSSIAN,)),
    ("koi8_u", (_UKRAINIAN,)),
    ("iso8859_5", (_RUSSIAN, _BULGARIAN, _SERBIAN)),
    ("cp866", (_RUSSIAN,)),
    ("mac_cyrillic", (_RUSSIAN, _UKRAINIAN, _BULGARIAN)),
    ("cp855", (_RUSSIAN, _SERBIAN)),
    ("cp1253", (_GREEK,)),
    ("iso8859_7", (_GREEK,)),
    ("cp1255", (_HEBREW,)),
    ("iso8859_8", (_HEBREW,)),
    ("cp1256", (_ARABIC,)),
    ("iso8859_6", (_ARABIC,)),
    ("cp874", (_THAI,)),
)


class _Latin(NamedTuple):
    """A language in Latin letters: those beyond ASCII, and some words that no text of it lacks."""

    letters: str
    words: frozenset[str]


def _latin(letters: str, words: str) -> _Latin:
    return _Latin(letters, frozenset(words.split()))


_GERMAN = _latin("äöüßé", "der die das und ist nicht ein eine mit auf von für den dem zu sich auch wir es im")
_FRENCH = _latin("éèêëàâçîïôûùüœæÿ", "de la le les et des est un une dans que pour pas qui sur nous vous du au en")
_SPANISH = _latin("áéíóúüñçàèòï", "de la que el en los del se las por un para con no una su al es lo como")
_PORTUGUESE = _latin("áâãàçéêíóôõúü", "de que do da em um para com não uma os no se na por mais as dos como mas ao")
_ITALIAN = _latin("àèéìíîòóù", "di che la il un non in una per sono con mi si da come le dei nel alla del")
_DUTCH = _latin("ëïéèêöüóáçàâ", "de het een van en is in dat op te niet zijn voor met die er aan ook")
_SWEDISH = _latin("åäöéüà", "och det att som en är på av för med till den inte har ett om ja on ei se että")
_NORDIC = _latin("æøåéèêòóôäö", "og det er at en til av på for med som den ikke af har et jeg de")
_ICELANDIC = _latin("áðéíóúýþæö", "og að er ekki það var sem til um við en af með fyrir hann")
_ESTONIAN = _latin("äöõüšž", "ja on ei et see ning mis oli ka kui aga oma")
_CENTRAL = (
    _latin("ąćęłńóśźż", "nie na się to jest że do co jak za od po tak ale czy przez dla oraz który są"),
    _latin("áčďéěíňóřšťúůýž", "je na se že to ve do ale jsem by jako za si pro tak jak pod který jsou podle nebo"),
    _latin("áäčďéíĺľňóôŕšťúýž", "je na sa že to do ako ale pre si by sú za tak čo pri aj od alebo ktorý ktoré"),
    _latin("áéíóöőúüű", "az és hogy nem egy is meg csak de már volt van ez ha le azt el mint még kell"),
    _latin("čćđšž", "je da na se za su od nije što sam kao ili te po bi iz koji ne in pa so ki bo ni pri"),
    _latin("ăâîşţ", "de și şi în nu la cu este pe un din că o pentru mai sunt care să fost"),
)
_TURKISH = _latin("çğıöşüâîû", "bir ve bu için çok ne da de daha ile olarak olan gibi var ama en kadar değil sonra")
_BALTIC = (
    _latin("ąčęėįšųūž", "ir kad tai yra su kaip iš bet jau buvo dėl apie tik per po"),
    _latin("āčēģīķļņšūž", "un ir ka no uz ar par kas nav bet tas lai kā pie bija"),
)
_LATIN: tuple[tuple[str, tuple[_Latin, ...]], ...] = (
    (
        "cp1252",
        (
            *(_GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _DUTCH),
            *(_SWEDISH, _NORDIC, _ICELANDIC, _ESTONIAN),
        ),
    ),
    ("cp1250", _CENTRAL),
    ("iso8859_2", _CENTRAL),
    ("cp1254", (_TURKISH,)),
    ("cp1257", _BALTIC),
    ("cp850", (_GERMAN, _FRENCH, _SPANISH, _NORDIC, _SWEDISH, _PORTUGUESE)),
    ("mac_roman", (_GERMAN, _FRENCH, _SPANISH, _NORDIC, _SWEDISH, _PORTUGUESE, _ITALIAN)),
)
_SIGNS = frozenset("’‘“”„‚‹›«»–—…•·°§€£¥¢©®™½¼¾¹²³×¿¡ºª´¨±µ\xa0\xad†‡¶№")
_SIGNS_IN_WORDS = frozenset("’–—…·´\xad\xa0ºª/")
_RUN = re.compile(rb"[A-Za-z\x80-\xff]+")
_WORD = re.compile(r"[^\W\d_]+")
_SIGN_IN_WORD = re.compile(r"(?<=[^\W\d_])[€£¥¢©®™°§¼½¾¹²³×±µ¨¤¶†‡•]")
_MARKS = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")


def encoding_by_letters(sample: bytes) -> str | None:
    """The encoding in which the sample is the writing of some language, or None where it is that of none."""
    weighed = sample[:_WEIGHED_BYTES]
    return _eastern(weighed) or (_latin_encoding(weighed) if _is_latin(weighed) else _script(weighed))


def eastern_encoding(sample: bytes) -> str | None:
    """The first of the common East Asian encodings that the sample is valid in."""
    return next((encoding for encoding, _ in _EASTERN if _strictly(sample, encoding) is not None), None)


def _strictly(sample: bytes, encoding: str) -> str | None:
    try:
        return sample.decode(encoding)
    except UnicodeError:
        return None


def _eastern(sample: bytes) -> str | None:
    """By how many of the characters are among the commonest of the language."""
    best, most = None, _ENOUGH_COMMON
    for encoding, common in _EASTERN:
        text = sample.decode(encoding, "replace")
        counts = Counter(char for char in text if char > "\x7f")
        total = counts.total()
        broken = counts["\ufffd"] - (1 if text.endswith("\ufffd") else 0)
        if not total or broken > _MOST_BROKEN * len(text):
            continue
        share = sum(count for char, count in counts.items() if char in common) / total
        if share > most:
            best, most = encoding, share
    return best


def _is_latin(sample: bytes) -> bool:
    """Whether the bytes beyond ASCII stand among letters of ASCII, and not in words of their own."""
    among = alone = 0
    for run in _RUN.findall(sample):
        beyond = len(run.translate(None, bytes(range(128))))
        if beyond < len(run):
            among += beyond
        elif beyond > 1:
            alone += beyond
    return alone <= among or alone + among < 3


def _script(sample: bytes) -> str | None:
    """The encoding in which the words beyond ASCII are made of the letters that a language writes most."""
    best, most = None, _ENOUGH_FITTING
    for encoding, languages in _SCRIPTS:
        text = _strictly(sample, encoding)
        if text is None:
            continue
        counts, wrong = _written(text)
        total = sum(counts.values()) + wrong
        for letters in languages:
            known = {letter: 1.0 - (place / len(letters)) ** 2 for place, letter in enumerate(letters)}
            fitting = sum(count * known.get(letter, -1.0) for letter, count in counts.items()) - wrong
            if total and fitting / total > most:
                best, most = encoding, fitting / total
    return best


def _written(text: str) -> tuple[Counter[str], float]:
    """How often each letter beyond ASCII is written, and how many signs and capitals are where none belong."""
    counts: Counter[str] = Counter()
    wrong: float = sum(char > "\x7f" and char not in _SIGNS and not char.isalpha() for char in _MARKS.sub("", text))
    wrong += len(_SIGN_IN_WORD.findall(text))
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        counts.update(char for char in word.lower() if char > "\x7f")
        # Word and word are well written, WORD seldom so, woRd and wORD never.
        wrong += sum(char.isupper() for char in word[1:]) * (0.3 if word.isupper() else 1.0)
    return counts, wrong


def _latin_encoding(sample: bytes) -> str | None:
    """The encoding in which one language writes nearly all letters beyond ASCII; its words decide among several."""
    best, most = None, 0.0
    length = max(1, len(sample.split()))
    for encoding, languages in _LATIN:
        text = _strictly(sample, encoding)
        if text is None:
            continue
        counts, strangers = _letters_beyond_ascii(text)
        total = sum(counts.values()) + strangers
        words = Counter(_WORD.findall(text.lower()))
        for language in languages:
            covered = sum(counts[letter] for letter in language.letters) / total if total else 1.0
            if covered < _ENOUGH_COVERED:
                continue
            spoken = sum(count for word, count in words.items() if word in language.words) / length
            if covered + spoken > most:
                best, most = encoding, covered + spoken
    return best


def _letters_beyond_ascii(text: str) -> tuple[Counter[str], int]:
    """How often each letter beyond ASCII occurs, and how many characters no prose would have there."""
    counts: Counter[str] = Counter()
    strangers = 0
    for match in re.finditer(r"[^\x00-\x7f]", text):
        char, at = match[0], match.start()
        if char.isalpha() and char not in _SIGNS:
            lower = char.lower()
            counts[lower if len(lower) == 1 else char] += 1
        elif char not in _SIGNS or (
            char not in _SIGNS_IN_WORDS and text[at - 1 : at].isalpha() and text[at + 1 : at + 2].isalpha()
        ):
            strangers += 1
    return counts, strangers
