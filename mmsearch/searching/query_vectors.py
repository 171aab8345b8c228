"""From the terms of a query to unit vectors: kept in memory, in the cache of the library's folder, or encoded now."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from mmsearch.encoding.protocol import Encoder, text_vectors
from mmsearch.errors import Invalid, NotFound, Remedy, Unsupported
from mmsearch.files.archives import status_at
from mmsearch.nearest.recent import Recent
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.records import FloatMatrix
from mmsearch.searching.cache import QueryCache
from mmsearch.searching.channels import LibraryState
from mmsearch.searching.fusion import weighed
from mmsearch.searching.languages import texts_of
from mmsearch.searching.query import Query, Term
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.store.protocol import Store

MOST_VECTORS = 1_000
_MOST_ENCODERS = 8

# The vectors of terms, by the model's fingerprint and the term.
Encoded = dict[tuple[str, Term], FloatMatrix]


class QueryVectors:
    """The encoders of a session, each loaded once, when it is first needed, and used by one thread at a time."""

    def __init__(self, folder: str, open_encoder: Callable[[ModelInUse], Encoder]) -> None:
        self._folder = folder
        self._open = open_encoder
        self._turns = _Turns()
        self._encoders: Recent[str, Encoder] = Recent(_MOST_ENCODERS)
        self._known: Recent[tuple[object, ...], FloatMatrix] = Recent(MOST_VECTORS)

    def let_go(self) -> None:
        """Drops the encoders; what they have made of queries is still known."""
        self._encoders = Recent(_MOST_ENCODERS)

    def encode(self, encoded: Encoded, wanted: Iterable[tuple[ModelInUse, Term]]) -> None:
        """Adds the vectors of terms, each by a model, to those that are encoded. Raises as `of_picture` does."""
        for in_use, term in wanted:
            if term.modality == "text":
                vector = self.of_texts(in_use, texts_of(term, in_use))
            else:
                vector = self.of_picture(in_use, term.value)
            encoded[in_use.identity.fingerprint, term] = vector

    def of_texts(self, in_use: ModelInUse, texts: tuple[str, ...]) -> FloatMatrix:
        """The unit vector of a text, or of the mean of several, float32 [dimension]."""
        return self._known.get((in_use.identity.fingerprint, "text", *texts), lambda: self._texts(in_use, texts))

    def of_picture(self, in_use: ModelInUse, path: str) -> FloatMatrix:
        """The unit vector of the picture at `path`, float32 [dimension].

        Raises:
            NotFound: the file is not there. Invalid: it is no picture. Unsupported: it is one that cannot be read.
        """
        try:
            status = status_at(os.fsencode(path))
            mark = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            key = (in_use.identity.fingerprint, "image", path, *mark)
            return self._known.get(key, lambda: self._picture(in_use, path))
        except OSError as error:
            raise NotFound(f"The query image {path} cannot be read: {error.strerror}.") from error

    @contextmanager
    def encoder(self, in_use: ModelInUse) -> Iterator[Encoder]:
        """The encoder, for this thread alone: threads take turns in the order in which they come."""
        with self._turns.mine():
            yield self._encoders.get(in_use.identity.fingerprint, lambda: self._open(in_use))

    def _texts(self, in_use: ModelInUse, texts: tuple[str, ...]) -> FloatMatrix:
        cache = QueryCache(self._folder, in_use.identity)
        cached = cache.get(texts)
        if cached is not None:
            return cached
        with self.encoder(in_use) as encoder:
            vectors = text_vectors(texts, encoder)
        vector: FloatMatrix = vectors[0] if len(texts) == 1 else _unit(vectors.mean(axis=0))
        cache.put(texts, vector)
        return vector

    def _picture(self, in_use: ModelInUse, path: str) -> FloatMatrix:
        from mmsearch.reading import UnreadableFile, picture_in

        with self.encoder(in_use) as encoder:
            try:
                picture = picture_in(os.fsencode(path), encoder.image_side)
            except UnreadableFile as error:
                raise Unsupported(f"The query image {path} cannot be read: {error.reason}.") from error
            if picture is None:
                raise Invalid(f"The query image {path} is no picture", Remedy("query.picture"))
            return _unit(encoder.encode("image", [picture])[0])


def vectors_by_model(
    store: Store, state: LibraryState, query: Query, encoded: Encoded
) -> tuple[dict[int, QueryVector], list[tuple[ModelInUse, Term]]]:
    """The query's vector for each model that takes it, and the terms that are to be encoded first, with the models.

    What a picture of the library looks like is known.

    Raises:
        Invalid: terms cancel each other out; none of the models has anything of what is liked.
    """
    terms = query.terms
    found: dict[int, QueryVector] = {}
    missing: list[tuple[ModelInUse, Term]] = []
    models = state.asked_models(terms, query.filters)
    for in_use in models:
        vectors: list[FloatMatrix] = []
        for term in terms:
            stored = _stored_picture(store, in_use, term.value) if term.modality == "image" else None
            vector = stored if stored is not None else encoded.get((in_use.identity.fingerprint, term))
            if vector is None:
                missing.append((in_use, term))
            else:
                vectors.append(vector)
        if len(vectors) == len(terms):
            asked = QueryVector.of(weighed(query, state.fusion), vectors) if vectors else None
            if query.like or query.unlike:
                from mmsearch.searching.feedback import with_feedback

                asked = with_feedback(store, in_use, query, asked)
            if asked is not None:
                found[in_use.model_id] = asked
    if models and not (found or missing):  # a model may have nothing of what another one has heard, or seen
        raise Invalid(f"Nothing of what is liked was encoded by {state.label}; give a text, or another hit.")
    return found, missing


def _stored_picture(store: Store, in_use: ModelInUse, path: str) -> FloatMatrix | None:
    """The unit vector of the picture at `path`, float32 [dimension], if it is in the library as it is now."""
    try:
        stored = store.image_vector_at(os.fsencode(path), in_use.model_id)
    except OSError:
        return None
    if stored is None:
        return None
    return _unit(in_use.space("image").of_stored(stored[np.newaxis])[0].astype(np.float32))


def _unit(vector: FloatMatrix) -> FloatMatrix:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


class _Turns:
    """A lock that is given to those who wait for it in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._is_taken = False

    @contextmanager
    def mine(self) -> Iterator[None]:
        self._take()
        try:
            yield
        finally:
            self._hand_on()

    def _take(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            turn.acquire()
        except BaseException:  # Ctrl-C: whoever waits behind is not to wait for this one
            with self._lock:
                is_waiting = turn in self._waiting
                if is_waiting:
                    self._waiting.remove(turn)
            if not is_waiting:
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
