"""The description of the API (OpenAPI 3.1): paths, parameters, answers. Tests hold all answers against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsearch import __version__
from mmsearch.output.json import SCHEMA_VERSION
from mmsearch.searching.duplicate_groups import DuplicateFile, DuplicateGroup, Duplicates
from mmsearch.searching.explanations import Explanation, FoundBy, FoundWord, Heat, HeatMap
from mmsearch.searching.facets import Facet, Facets
from mmsearch.searching.results import FileList, Hit, ListedFile, Moment, NamedPeriod, SearchResult, Suggestion
from mmsearch.searching.stored_files import Passage, Passages, StoredFile
from mmsearch.server.rest import archives, asking, counting, explaining, files, searching, working
from mmsearch.server.rest.bodies import MOST_PICTURE_BYTES
from mmsearch.server.rest.jobs import Job
from mmsearch.server.rest.parameters import Parameter
from mmsearch.server.rest.problems import KINDS
from mmsearch.server.rest.schemas import Schema, array_of, object_of, or_null, reference, schema_of

_TEXT: Schema = {"type": "string"}
_VERSION: dict[str, Schema] = {"schema_version": {"const": SCHEMA_VERSION}}
_CURSOR = {"cursor": or_null(_TEXT)}
_THUMB = {"thumb": or_null(_TEXT)}
_JSON, _JPEG = "application/json", "image/jpeg"

_FILE: Mapping[str, Schema] = {"id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
_PAGE_OF_FILE = {**_FILE, "n": {"type": "integer", "minimum": 1}}
_JOB: Mapping[str, Schema] = {"id": _TEXT}


def description(root_path: str) -> dict[str, Any]:
    """The whole of it, for a server that is reached there."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mmsearch",
            "version": __version__,
            "description": "Photos, documents, videos and texts of one's own disk, found by meaning. Fields are told "
            "of in docs/json.md. Errors are one object; `x-errors` tells of their codes.",
        },
        "servers": [{"url": f"{root_path}/api/v1"}],
        "security": [{"token": []}, {"cookie": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "mmsearch-PORT"},
            },
        },
        "x-errors": {code: {"status": status, "about": about} for code, (status, about) in KINDS.items()},
    }


def _schemas() -> dict[str, Schema]:
    hit = schema_of(Hit, {})
    listed = schema_of(ListedFile, {})
    file = schema_of(StoredFile, {})
    result = schema_of(SearchResult, {"query": reference("Query"), "nearest": or_null(reference("Hit"))})
    listing = schema_of(FileList, {"filters": reference("Filters")})
    thresholds = {"type": "object", "additionalProperties": {"type": "number"}}
    upload = {"upload": _TEXT}
    return {
        "Hit": _with(hit, _THUMB),
        "ListedFile": _with(listed, _THUMB),
        "Moment": schema_of(Moment, {}),
        "StoredFile": _with(file, {**_VERSION, **_THUMB}),
        "Passage": schema_of(Passage, {}),
        "Passages": _with(schema_of(Passages, {}), _VERSION),
        "SearchResult": _with(result, {**_VERSION, **_CURSOR, **upload, "thresholds": thresholds}, ("upload",)),
        "FileList": _with(listing, {**_VERSION, **_CURSOR}),
        "NamedPeriod": schema_of(NamedPeriod, {}),
        "Suggestion": schema_of(Suggestion, {}),
        **{one.__name__: schema_of(one, {}) for one in (Explanation, FoundBy, FoundWord, Heat, HeatMap)},
        "Explained": _with(schema_of(Explanation, {}), _VERSION),
        "Facet": schema_of(Facet, {}),
        "Facets": _with(schema_of(Facets, {}), _VERSION),
        "DuplicateFile": _with(schema_of(DuplicateFile, {}), _THUMB),
        "DuplicateGroup": schema_of(DuplicateGroup, {}),
        "Duplicates": _with(schema_of(Duplicates, {"filters": reference("Filters")}), {**_VERSION, **_CURSOR}),
        "Job": _with(schema_of(Job, {"report": or_null({"type": "object"})}), _VERSION),
        "Query": object_of(
            {
                "terms": array_of({"type": "object", "required": ["weight"]}),
                "filters": reference("Filters"),
                "like": array_of(_TEXT),
                "unlike": array_of(_TEXT),
                "random": or_null({"type": "integer"}),
            }
        ),
        "Filters": {"type": "object", "description": "Those that filter anything, as they were understood."},
        "Status": object_of(
            {
                **_VERSION,
                "library": _TEXT,
                "model": _TEXT,
                "dimension": {"type": "integer"},
                "files": {"type": "object"},
                "items": {"type": "integer"},
                "bytes": {"type": "integer"},
                "roots": array_of({"type": "object"}),
                "failures": array_of({"type": "object"}),
                "may_index": {"type": "boolean"},
            },
            is_open=True,
        ),
        "Error": object_of({"error": object_of(dict.fromkeys(("code", "type", "message", "link"), _TEXT))}),
    }


def _with(schema: Schema, more: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object with some more fields."""
    properties = {**schema["properties"], **more}
    required = [name for name in properties if name not in optional]
    return {**schema, "properties": properties, "required": required}


def _paths() -> dict[str, Any]:
    found = {"anyOf": [reference("SearchResult"), reference("FileList")]}
    sent = object_of({one.name: _in_body(one) for one in asking.SEARCH}, tuple(one.name for one in asking.SEARCH))
    picture = {"picture": {"type": "string", "format": "binary"}}
    form = _with(sent, picture, (*sent["properties"], "picture"))
    body = {"content": {_JSON: {"schema": sent}, "multipart/form-data": {"schema": form}}, "required": True}
    most = f"{MOST_PICTURE_BYTES // 1_000_000} MB and 50 megapixels"
    return {
        "/search": {
            "get": _operation("What answers a query, or a list of what passes the filters.", found, asking.SEARCH),
            "post": {
                **_operation(f"The same, with a picture of up to {most} if wanted; `upload` names it later.", found),
                "requestBody": body,
            },
        },
        "/files/{id}": {"get": _of_file("What is known of a file.", reference("StoredFile"))},
        "/files/{id}/similar": {"get": _of_file("What is like a file.", reference("SearchResult"), searching.SIMILAR)},
        "/files/{id}/thumb": {"get": _of_file("A small picture of it.", _JPEG, files.THUMB)},
        "/files/{id}/frame": {"get": _of_file("A frame of a video.", _JPEG, files.FRAME)},
        "/files/{id}/page/{n}": {"get": _of_file("A page of a document or a scan.", _JPEG, files.PAGE, _PAGE_OF_FILE)},
        "/files/{id}/passages": {"get": _of_file("Its text.", reference("Passages"), files.PASSAGES)},
        "/files/{id}/explain": {
            "get": _of_file("Why it answers a search.", reference("Explained"), explaining.EXPLAIN)
        },
        "/files/{id}/original": {"get": _with_range(_of_file("The file itself, or a range of it.", "*/*"))},
        "/facets": {
            "get": _operation("What the files that answer have in common, counted.", reference("Facets"), asking.SEARCH)
        },
        "/duplicates": {
            "get": _operation("What is there more than once.", reference("Duplicates"), counting.DUPLICATES)
        },
        "/zip": {
            "post": {**_operation("Some files in one archive.", "application/zip"), "requestBody": _body(archives.IDS)}
        },
        "/index": {
            "post": {
                **_operation("Starts a run of index.", reference("Job"), status=202),
                "requestBody": _body(working.PATHS),
            }
        },
        "/jobs/{id}": {
            "get": _of_file("How far a run is.", reference("Job"), in_path=_JOB),
            "delete": _of_file("Stops a run.", reference("Job"), in_path=_JOB),
        },
        "/events": {"get": _operation("`library` and `job`, as server-sent events.", "text/event-stream")},
        "/status": {"get": _operation("What the library holds.", reference("Status"))},
        "/metrics": {"get": _operation("What the server has done and holds, for Prometheus.", "text/plain")},
        "/openapi.json": {"get": _operation("This description.", {"type": "object"})},
    }


def _body(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """A body of these parameters, as JSON or in a form."""
    schema = object_of({one.name: _in_body(one) for one in parameters}, tuple(one.name for one in parameters))
    return {
        "content": {_JSON: {"schema": schema}, "application/x-www-form-urlencoded": {"schema": schema}},
        "required": True,
    }


def _of_file(
    about: str, answer: Schema | str, parameters: Sequence[Parameter] = (), in_path: Mapping[str, Schema] = _FILE
) -> dict[str, Any]:
    """An operation on a file, or on what else `in_path` names."""
    operation = _operation(about, answer, parameters)
    named = [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in in_path.items()]
    return {**operation, "parameters": [*named, *operation["parameters"]]}


def _with_range(operation: dict[str, Any]) -> dict[str, Any]:
    """The operation, which takes the header Range with one range."""
    part = {"description": "The range.", "content": operation["responses"]["200"]["content"]}
    return {**operation, "responses": {**operation["responses"], "206": part}}


def _operation(
    about: str, answer: Schema | str, parameters: Sequence[Parameter] = (), status: int = 200
) -> dict[str, Any]:
    content = {answer: {}} if isinstance(answer, str) else {_JSON: {"schema": answer}}
    return {
        "summary": about,
        "parameters": [_in_query(one) for one in parameters],
        "responses": {
            str(status): {"description": "The answer.", "content": content},
            "default": {"description": "What is wrong.", "content": {_JSON: {"schema": reference("Error")}}},
        },
    }


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.about, "schema": parameter.schema()}


def _in_body(parameter: Parameter) -> Schema:
    """In JSON one value of many stands for itself, too."""
    schema = parameter.schema()
    return {**({"anyOf": [schema, schema["items"]]} if parameter.is_many else schema), "description": parameter.about}
