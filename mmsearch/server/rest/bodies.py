"""Bodies of requests: counted while they come, and given up where they are too long or too slow."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from mmsearch.server.rest.parameters import MOST_PARAMETERS, of_json, of_pairs
from mmsearch.server.rest.problems import Problem

MOST_BYTES, MOST_PICTURE_BYTES = 1_000_000, 30_000_000
_SECONDS = 120.0
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # who sent the form is told what is wrong


class Body(NamedTuple):
    """The parameters of a body, and the picture that came with them."""

    given: dict[str, list[str]]
    picture: bytes | None = None


async def body_of(request: Request) -> Body:
    """The parameters in JSON or in a form; the file in a field `picture` of a form in parts.

    Raises:
        Problem: it is none of these, too long, or too slow. Invalid: it means nothing.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", *_FORMS):
        raise Problem("invalid", "The body is JSON (Content-Type: application/json) or a form.")
    has_parts = kind == _FORMS[0]
    bounded = _bounded(request, MOST_BYTES + (MOST_PICTURE_BYTES if has_parts else 0))
    try:
        return await asyncio.wait_for(_form(bounded) if kind in _FORMS else _json(bounded), _SECONDS)
    except (asyncio.TimeoutError, TimeoutError):
        raise Problem("too_slow", f"The body did not come within {_SECONDS:.0f} seconds.") from None
    except ClientDisconnect:  # nobody reads this; it is counted
        raise Problem("too_slow", "The connection ended before the body did.") from None


async def _json(request: Request) -> Body:
    body = await request.body()
    try:
        told = json.loads(body)
        # A half of a surrogate pair is no text, unless it stands for a byte of a path.
        json.dumps(told, ensure_ascii=False).encode(errors="surrogateescape")
        return Body(of_json(told))
    except (ValueError, RecursionError):
        raise Problem("invalid", "The body is no JSON.") from None


async def _form(request: Request) -> Body:
    try:
        async with request.form(max_files=1, max_fields=MOST_PARAMETERS, max_part_size=MOST_BYTES) as form:
            return await _of_form(form)
    except HTTPException as error:
        raise Problem("invalid", f"The form cannot be read: {error.detail}") from None


async def _of_form(form: FormData) -> Body:
    texts: list[tuple[str, str]] = []
    picture: bytes | None = None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "picture":
                raise Problem("invalid", "A file is sent in the field `picture`.")
            if value.size is not None and value.size > MOST_PICTURE_BYTES:
                raise _too_large(MOST_PICTURE_BYTES)
            picture = await value.read()
        else:
            texts.append((name, value))
    return Body(of_pairs(texts), picture)


def _bounded(request: Request, most: int) -> Request:
    """The request, with a body that is counted while it comes.

    Raises:
        Problem: it says that it has more bytes.
    """
    said = request.headers.get("content-length", "0")
    if not said.isascii() or not said.isdigit() or int(said) > most:
        raise _too_large(most)
    come = 0

    async def receive() -> Message:
        nonlocal come
        message = await request.receive()
        come += len(message.get("body", b""))
        if come > most:
            raise _too_large(most)
        return message

    return Request(request.scope, receive)


def _too_large(most: int) -> Problem:
    return Problem("too_large", f"The body may have {most:,} bytes.", {"Connection": "close"})
