"""Files that are one photo, in SQL over columns of `files` and `contents`: a picture with its RAW photo or live film.

They lie in one folder, under one name but for the extension.
"""

from __future__ import annotations

from mmsearch.records import RAW_EXTENSIONS

# Live photos last three seconds, and what a camera adds; in seconds.
_LONGEST_FILM = 3.5
_RAW = ", ".join(f"'{extension}'" for extension in sorted(RAW_EXTENSIONS))

STEM = "substr(path, 1, length(path) - length(extension))"
IS_PICTURE = f"(medium = 'image' AND extension NOT IN ({_RAW}))"
IS_COMPANION = f"""(extension IN ({_RAW})
    OR (extension = '.mov' AND duration IS NOT NULL AND duration <= {_LONGEST_FILM}))"""
