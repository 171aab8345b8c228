"""Files that are one photo, in SQL over the tables `files` and `contents`: a picture with its RAW photo or live film.

They lie in one folder, under one name but for the extension.
"""

from __future__ import annotations

from mmsearch.records import RAW_EXTENSIONS

# Live photos last three seconds, and what a camera adds; in seconds.
_LONGEST_FILM = 3.5
_RAW = ", ".join(f"'{extension}'" for extension in sorted(RAW_EXTENSIONS))

STEM = "substr(files.path, 1, length(files.path) - length(files.extension))"
IS_PICTURE = f"(contents.medium = 'image' AND files.extension NOT IN ({_RAW}))"
IS_COMPANION = f"""(files.extension IN ({_RAW})
    OR (files.extension = '.mov' AND contents.duration IS NOT NULL AND contents.duration <= {_LONGEST_FILM}))"""
