"""A worker: takes jobs from the queue of a library, reads and encodes their files, and stores what comes of them.

Any number of them work at once, on any machines that have the models, and the files: at the same places, at those that
a map of the machine says, or in a bucket. What one stores and that its jobs are done is one transaction; so where a
worker is killed, another one does again what that was at. One of these files may have been the reason. So all that were
tried before are encoded one at a time, and where workers were lost again and again, a process apart tries the file, as
in a run of `index` (`suspects.py`).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import closing

from mmsearch.errors import MmsearchError, Unavailable
from mmsearch.indexing.heartbeat import Heartbeat
from mmsearch.indexing.shift import Shift
from mmsearch.indexing.work import GivenUp, StoppedWaiting, WorkReport, WorkSettings, WorkTools
from mmsearch.models.opening import Encoders
from mmsearch.records import Progress
from mmsearch.store.place import Place
from mmsearch.store.refusals import NoLibrary, TakesNoWrites
from mmsearch.store.work import SharedStore

# How long it waits for what holds it up: of a server that takes no writes less and less often, as each try means to
# read and encode some files again.
_RETRY_SECONDS, _MOST_RETRY_SECONDS = 2.0, 16.0
# How it goes on, by what holds it up.
_MEANWHILE: Mapping[type[MmsearchError], str] = {
    NoLibrary: "waiting until there is one",
    TakesNoWrites: "waiting until it can be written",
    Unavailable: "trying again until it is there",
}


class Worker:
    """One worker on the library in that place.

    `on_notice` is told, in a sentence, what holds it up: the server is away, a model or a folder is not there.
    """

    def __init__(
        self,
        place: Place,
        encoders: Encoders,
        settings: WorkSettings,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_notice: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.report = WorkReport(place.location, f"{platform.node()}:{os.getpid()}")
        self._tools = WorkTools(place, encoders, settings, self.report, on_progress, on_notice)
        self._number: int | None = None
        # What held it up when that was told last, how much it had stored then, and how long it has waited for it.
        self._held_up: type[MmsearchError] | None = None
        self._stored_then = 0
        self._wait = _RETRY_SECONDS

    def run(self) -> WorkReport:
        """Works until it is stopped, or until the queue is empty where it is to end then.

        Raises:
            MmsearchError: there is no queue in the library, or no library where the worker is not to stay; none of its
                models is on this machine; or what it needs to encode has failed.
        """
        place, stop = self._tools.place, self._tools.settings.stop
        started = time.monotonic()
        while not stop.is_set():
            try:
                with place.guarded():
                    self._work_a_shift()
                break
            except GivenUp:
                self.report.given_up += 1
            except StoppedWaiting:
                break
            except (Unavailable, NoLibrary) as error:
                self._wait_for_it(error)
        self.report.stopped = stop.is_set()
        self.report.seconds = time.monotonic() - started
        return self.report

    def _wait_for_it(self, error: Unavailable | NoLibrary) -> None:
        """Waits a while for a server, or a library, that is not there or not to be written, and says so once.

        Whoever starts many services together starts this one too early. One that is to end when there is nothing to do
        waits only for what was there: it would end in good order, and nobody would notice a wrong address.

        Raises:
            Unavailable, NoLibrary: that was never there, and the worker is not to stay.
        """
        if self._number is None and self._tools.settings.exit_when_empty:
            raise error
        if type(error) is not self._held_up or self.report.stored > self._stored_then:
            self._tools.on_notice(f"{error.message}; {_MEANWHILE.get(type(error), _MEANWHILE[Unavailable])}.")
            self._wait = _RETRY_SECONDS
        self._held_up, self._stored_then = type(error), self.report.stored
        self._tools.settings.stop.wait(self._wait)
        if isinstance(error, TakesNoWrites):
            self._wait = min(2 * self._wait, _MOST_RETRY_SECONDS)

    def _work_a_shift(self) -> None:
        """Works for as long as the connection lasts and nobody gives the worker up."""
        tools, report = self._tools, self.report
        lease = tools.settings.lease
        with closing(tools.place.share(self._check_stop, lease)) as store, closing(tools.place.read()) as reader:
            if self._number is not None:  # the connection was lost, and is there again
                store.leave(self._number)
            self._number = number = store.enlist(report.worker, lease)
            if self._held_up is not TakesNoWrites:  # that is over once something is stored
                self._held_up = None
            with Heartbeat(tools.place, number, lease) as heart:
                try:
                    Shift(tools, store, reader, number, heart.lost).work()
                finally:
                    self._leave(store, number)

    def _leave(self, store: SharedStore, number: int) -> None:
        """Gives back what is left; where the connection is lost, that is done once it is there again."""
        try:
            store.leave(number)
        except Exception as error:
            if not self._tools.place.is_lost(error):
                raise

    def _check_stop(self) -> None:
        if self._tools.settings.stop.is_set():
            raise StoppedWaiting
