"""Recordings of sound, which lie in the containers of films: the words of their tags, and what is heard in them."""

from __future__ import annotations

from mmsearch.reading.video import recordings
from mmsearch.reading.video.containers import AUDIO_EXTENSIONS, is_sound

READER = recordings("audio", "sound", AUDIO_EXTENSIONS, is_sound)
