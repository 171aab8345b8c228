"""Expressions of SQL that tell what models have encoded."""

from __future__ import annotations

from mmsearch.records import NOTHING_HEARD, SOUND_MODELS

SOUND_MODELS_THERE = f"""(SELECT sounding.value::bigint FROM settings CROSS JOIN LATERAL jsonb_array_elements_text(
    CASE WHEN settings.value IS JSON ARRAY THEN settings.value::jsonb ELSE '[]' END) AS sounding (value)
    WHERE settings.key = '{SOUND_MODELS}')"""
_HEARD = f"""EXISTS (SELECT FROM files JOIN items USING (content_id) WHERE files.path = failures.path
    AND items.last AND items.model_id IN {SOUND_MODELS_THERE})"""
# A failure of one model that is no loss: a model of sound has heard the file, or there is nothing to hear in it.
FOUND_BY_SOUND = f"""(failures.model_id IS NOT NULL AND
    (failures.model_id IN {SOUND_MODELS_THERE} AND failures.reason = '{NOTHING_HEARD}'
     OR failures.model_id NOT IN {SOUND_MODELS_THERE} AND {_HEARD}))"""


def is_whole(content: str, model: str) -> str:
    """An expression of SQL that tells whether a model has encoded all of a content: the last item is there, or it is
    known that there is none.
    """
    return f"""(EXISTS (SELECT FROM items WHERE items.content_id = {content} AND items.model_id = {model}
                  AND items.last)
                OR EXISTS (SELECT FROM wordless WHERE wordless.content_id = {content}
                  AND wordless.model_id = {model}))"""
