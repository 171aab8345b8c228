"""Expressions of SQL that tell what models have encoded."""

from __future__ import annotations

from mmsearch.records import NOTHING_HEARD, SOUND_MODELS

_SOUND_MODELS = f"""(SELECT value FROM json_each((SELECT iif(json_valid(value), value, '[]') FROM settings
    WHERE key = '{SOUND_MODELS}')))"""
_HEARD = f"""EXISTS (SELECT 1 FROM files JOIN items USING (content_id) WHERE files.path = failures.path
    AND items.last AND items.model_id IN {_SOUND_MODELS})"""
# A failure of one model that is no loss: a model of sound has heard the file, or there is nothing to hear in it.
FOUND_BY_SOUND = f"""(model_id IS NOT NULL AND
    (model_id IN {_SOUND_MODELS} AND reason = '{NOTHING_HEARD}' OR model_id NOT IN {_SOUND_MODELS} AND {_HEARD}))"""


def is_whole(content: str, model: str) -> str:
    """An expression of SQL that tells whether a model has encoded all of a content: the last item is there, or it is
    known that there is none.
    """
    return f"""(EXISTS (SELECT 1 FROM items WHERE items.content_id = {content} AND items.model_id = {model}
                  AND items.last)
                OR EXISTS (SELECT 1 FROM wordless WHERE wordless.content_id = {content}
                  AND wordless.model_id = {model}))"""
