"""Words of fifteen languages that say from or until when, and which week, month or year comes next.

They are no words for what is seen in photos, so that the lexicon lacks them or knows them as something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from mmsearch.language.folding import fold

# What stands for all of an English phrase, the forms between "|".
_PHRASES = {
    "de": {
        "tomorrow": "morgen",
        "next week": "nächste Woche|kommende Woche",
        "next month": "nächsten Monat|nächster Monat|kommenden Monat",
        "next year": "nächstes Jahr|kommendes Jahr",
    },
    "fr": {
        "tomorrow": "demain",
        "next week": "semaine prochaine|la semaine prochaine",
        "next month": "mois prochain|le mois prochain",
        "next year": "année prochaine|l'année prochaine|an prochain|l'an prochain",
    },
    "es": {
        "tomorrow": "mañana",
        "next week": "próxima semana|la próxima semana|semana que viene|la semana que viene",
        "next month": "próximo mes|el próximo mes|mes que viene|el mes que viene",
        "next year": "próximo año|el próximo año|año que viene|el año que viene",
    },
    "it": {
        "tomorrow": "domani",
        "next week": "prossima settimana|la prossima settimana|settimana prossima|la settimana prossima",
        "next month": "prossimo mese|il prossimo mese|mese prossimo|il mese prossimo",
        "next year": "prossimo anno|il prossimo anno|anno prossimo|l'anno prossimo",
    },
    "pt": {
        "tomorrow": "amanhã",
        "next week": "próxima semana|a próxima semana|na próxima semana|semana que vem",
        "next month": "próximo mês|o próximo mês|no próximo mês|mês que vem",
        "next year": "próximo ano|o próximo ano|no próximo ano|ano que vem",
    },
    "nl": {
        "tomorrow": "morgen",
        "next week": "volgende week|komende week",
        "next month": "volgende maand|komende maand",
        "next year": "volgend jaar|komend jaar",
    },
    "sv": {
        "tomorrow": "imorgon|i morgon",
        "next week": "nästa vecka",
        "next month": "nästa månad",
        "next year": "nästa år",
    },
    "pl": {
        "tomorrow": "jutro",
        "next week": "przyszły tydzień|w przyszłym tygodniu",
        "next month": "przyszły miesiąc|w przyszłym miesiącu",
        "next year": "przyszły rok|w przyszłym roku",
    },
    "cs": {
        "tomorrow": "zítra",
        "next week": "příští týden",
        "next month": "příští měsíc",
        "next year": "příští rok",
    },
    "tr": {
        "tomorrow": "yarın",
        "next week": "gelecek hafta|önümüzdeki hafta",
        "next month": "gelecek ay|önümüzdeki ay",
        "next year": "gelecek yıl|gelecek sene|önümüzdeki yıl",
    },
    "ru": {
        "tomorrow": "завтра",
        "next week": "следующая неделя|на следующей неделе",
        "next month": "следующий месяц|в следующем месяце",
        "next year": "следующий год|в следующем году",
    },
    "uk": {
        "tomorrow": "завтра",
        "next week": "наступний тиждень|наступного тижня",
        "next month": "наступний місяць|наступного місяця",
        "next year": "наступний рік|наступного року",
    },
    "zh": {"tomorrow": "明天", "next week": "下周|下星期|下个星期", "next month": "下个月|下月", "next year": "明年"},
    "ja": {"tomorrow": "明日", "next week": "来週", "next month": "来月", "next year": "来年"},
    "ko": {
        "tomorrow": "내일",
        "next week": "다음 주|다음주",
        "next month": "다음 달|다음달",
        "next year": "내년|다음 해",
    },
}

# What stands around the words of a period, which are "…": only where it says clearly whether the period itself is in.
_AROUND = {
    "de": {
        "since": "seit …|seit dem …|ab …|ab dem …",
        "before": "vor …|vor dem …",
        "after": "nach …|nach dem …",
        "until": "bis …|bis zum …|bis einschließlich …",
    },
    "fr": {
        "since": "depuis …|depuis le …|à partir de …|à partir du …",
        "before": "avant …|avant le …",
        "after": "après …|après le …",
        "until": "jusqu'à …|jusqu'en …|jusqu'au …",
    },
    "es": {
        "since": "desde …|desde el …|a partir de …|a partir del …",
        "before": "antes de …|antes del …",
        "after": "después de …|después del …",
        "until": "hasta …|hasta el …",
    },
    "it": {
        "since": "da …|dal …|dall'…",
        "before": "prima di …|prima del …|prima dell'…",
        "after": "dopo …|dopo il …|dopo l'…",
        "until": "fino a …|fino al …|fino all'…",
    },
    "pt": {
        "since": "desde …|desde o …|a partir de …",
        "before": "antes de …|antes do …",
        "after": "depois de …|depois do …|após …",
        "until": "até …|até o …|até ao …",
    },
    "nl": {
        "since": "sinds …|vanaf …",
        "before": "voor …",
        "after": "na …",
        "until": "tot en met …|t/m …",
    },
    "sv": {
        "since": "sedan …|från och med …",
        "before": "före …|innan …",
        "after": "efter …",
        "until": "till och med …|t.o.m. …",
    },
    "pl": {
        "since": "od …|od roku …",
        "before": "przed …|przed rokiem …|przed … rokiem",
        "after": "po …|po roku …",
        "until": "do …|do roku …",
    },
    "cs": {
        "since": "od …|od roku …",
        "before": "před …|před rokem …",
        "after": "po …|po roce …",
        "until": "do …|do roku …",
    },
    "tr": {
        "since": "…'den beri|…'dan beri|…'ten beri|…'tan beri|…den beri|…dan beri|…ten beri|…tan beri",
        "before": "…'den önce|…'dan önce|…'ten önce|…'tan önce|…den önce|…dan önce|…ten önce|…tan önce",
        "after": "…'den sonra|…'dan sonra|…'ten sonra|…'tan sonra|…den sonra|…dan sonra|…ten sonra|…tan sonra",
        "until": "…'e kadar|…'a kadar|…'ye kadar|…'ya kadar",
    },
    "ru": {
        "since": "с …|со …|начиная с …",
        "before": "до …|раньше …",
        "after": "после …",
        "until": "по …",
    },
    "uk": {
        "since": "з …|від …|починаючи з …",
        "before": "до …|раніше …",
        "after": "після …",
        "until": "по …",
    },
    "zh": {
        "since": "…以来|自…以来|从…开始|自…起",
        "before": "…之前|在…之前|…以前",
        "after": "…之后|在…之后",
        "until": "直到…|到…为止|截至…",
    },
    "ja": {
        "since": "…以降|…以来",
        "before": "…より前|…の前",
        "after": "…より後|…の後",
        "until": "…まで",
    },
    "ko": {
        "since": "…부터",
        "before": "… 전",
        "until": "…까지",
    },
}
_PERIOD = "…"


def said_around(written: str, language: str) -> Iterator[tuple[str, str]]:
    """What words of that language say, each as English ones and the words of a period that these stand before, in that
    language: ("next week", ""), ("since", "mai 2021").
    """
    text = fold(" ".join(written.split()))
    phrases, around = _tables(language)
    if text in phrases:
        yield phrases[text], ""
    for english, pattern in around:
        if (match := pattern.fullmatch(text)) is not None:
            yield english, match[1].strip()


@cache
def _tables(language: str) -> tuple[dict[str, str], list[tuple[str, re.Pattern[str]]]]:
    phrases = {
        fold(form): english for english, forms in _PHRASES.get(language, {}).items() for form in forms.split("|")
    }
    around = [
        (english, re.compile(re.escape(fold(form)).replace(re.escape(fold(_PERIOD)), "(.+)")))
        for english, forms in _AROUND.get(language, {}).items()
        for form in forms.split("|")
    ]
    return phrases, around
