"""What was made last, kept for who asks for it again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most so many values by their keys; those that were asked for longest ago go first. Shared by threads.

    `asked` is how often one was asked for, `made` how many were made.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self.asked = self.made = 0

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of that key, made now where it is not known: by one thread alone, which others wait for."""
        with self._lock:
            self.asked += 1
            entry = self._entries.pop(key, None) or _Entry()
            self._entries[key] = entry
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.values:
                entry.values.append(make())
                with self._lock:
                    self.made += 1
            return entry.values[0]

    def __len__(self) -> int:
        return len(self._entries)


class _Entry(Generic[Value]):
    """A value, once it is made."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: list[Value] = []
