"""The queue of a library that workers share: how it stands with it, and pausing parts of it."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsearch.errors import NotFound, Remedy
from mmsearch.library.access import Access
from mmsearch.store.models import find_model, stored_models
from mmsearch.store.queue_state import Pause, RunState

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store
    from mmsearch.store.queue_state import QueueState


def queue_state(store: Store) -> QueueState | None:
    """How it stands with the queue, what of it is paused and who walks; None where the library has none."""
    state = store.queue_state()
    if state is None:
        return None
    roots = {root.id: root.path for root in store.roots()}
    models = {model.id: model.name for model in stored_models(store)}
    pauses = tuple(
        Pause(
            None if one.root_id is None else roots[one.root_id],
            None if one.model_id is None else models[one.model_id],
            one.since,
            one.by,
        )
        for one in store.pauses()
        # One of what has left the library a moment ago stops nobody.
        if (one.root_id is None or one.root_id in roots) and (one.model_id is None or one.model_id in models)
    )
    stored = store.runs()
    if stored is None:
        return replace(state, pauses=pauses)
    known = (one for one in stored if one.root_id is None or one.root_id in roots)
    runs = (RunState(one.name, None if one.root_id is None else roots[one.root_id]) for one in known)
    return replace(state, pauses=pauses, runs=tuple(runs))


def pause(access: Access, root: bytes | None, model: str | None) -> None:
    """Lets no worker claim what waits of that root and that model, None for all."""
    with closing(access.place.share()) as store:
        store.pause(*_ids(store, root, model), _whoever())


def resume(access: Access, root: bytes | None, model: str | None) -> int:
    """Ends the pauses of that root and that model, None for any. Returns how many there were."""
    with closing(access.place.share()) as store:
        return store.resume(*_ids(store, root, model))


def _ids(store: Store, root: bytes | None, model: str | None) -> tuple[int | None, int | None]:
    """Those of the root and of the model that are named."""
    root_id = model_id = None
    if root is not None:
        known = {one.path: one.id for one in store.roots()}
        root_id = known.get(root, known.get(os.path.realpath(root)))
        if root_id is None:
            raise NotFound(f"{os.fsdecode(root)} is none of the library's roots", Remedy("status"))
    if model is not None:
        model_id = find_model(store, model).id
    return root_id, model_id


def _whoever() -> str:
    """Who asks: by what the system calls the person, and the machine."""
    import getpass

    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # of a container that knows its user by a number alone, or of Windows
        name = "somebody"
        if sys.platform != "win32":
            name = str(os.getuid())
    return f"{name}@{platform.node()}"
