"""Reads ahead on a thread of its own, bounded in bytes and in number."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")

_END_S = 2.0  # a reader that waits for a broker that is away does not look up sooner than its own time-out


class Prefetch(Generic[T]):
    """What a generator gives, some of it before it is asked for.

    The generator runs on a thread of its own, and is closed on it. One further thread takes.
    """

    def __init__(
        self,
        read: Callable[[], Generator[T, None, None]],
        size_of: Callable[[T], int],
        *,
        max_bytes: int,
        max_items: int,
    ) -> None:
        """Begin to read.

        Args:
            read: gives the generator.
            size_of: bytes of what it yields.
            max_bytes: read ahead so many bytes at most, and one item more,
            max_items: and so many items.
        """
        self._read = read
        self._size_of = size_of
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._items: deque[T] = deque()
        self._bytes = 0
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while (item := self.take()) is not None:
            yield item

    def take(self, *, wait: bool = True) -> T | None:
        """The next item. None: there is none any more; without `wait`: none yet, or none any more.

        Raises:
            Exception: with `wait`, what the generator raised, once all before it is taken.
        """
        with self._changed:
            while wait and not self._items and not self._ended:
                self._changed.wait()
            if self._items:
                item = self._items.popleft()
                self._bytes -= self._size_of(item)
                self._changed.notify_all()
                return item
            error = self._error if wait else None
        if error is not None:
            raise error
        return None

    def close(self) -> bool:
        """Stop reading; whether the thread has ended. It may not have where a broker is waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_END_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with closing(self._read()) as items:
                for item in items:
                    if not self._put(item):
                        return
        except BaseException as error:  # noqa: BLE001  raised again where it is taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            self._items.append(item)
            self._bytes += self._size_of(item)
            self._changed.notify_all()
            while not self._closed and (
                self._bytes >= self._max_bytes or len(self._items) >= self._max_items
            ):
                self._changed.wait()
            return not self._closed
