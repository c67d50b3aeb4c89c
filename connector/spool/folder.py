"""The folder of the spool: one connector's at a time, with a folder in it for each source."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from connector.errors import SpoolError
from schemas.source import SOURCE_NAME

_LOCK: Final = "lock"
_SUFFIX: Final = ".source"  # a source may be called '..', or as the lock


class SpoolFolder:
    """Holds the lock until it is closed, or the process ends, however it does."""

    def __init__(self, path: Path) -> None:
        """Make the folder if need be, and lock it.

        Args:
            path: of the folder.

        Raises:
            SpoolError: another connector has it, or it can't be made or written.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._lock, 200, 0).decode(errors="replace").strip()
            os.close(self._lock)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise _unusable(path, error) from error
            raise SpoolError(
                f"the spool folder {path} is used by another connector ({owner or 'not known which'}): end "
                "that one, or give each its own TRAPLINE_SPOOL_DIR"
            ) from None
        owner = f"process {os.getpid()} on {socket.gethostname()}\n"
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, owner.encode(), 0)
        except OSError:
            pass  # the disk is full; it is the lock that counts, not who has it

    def sources(self) -> list[str]:
        """The names of the sources that have a folder."""
        names = (path.name.removesuffix(_SUFFIX) for path in sorted(self.path.glob(f"*{_SUFFIX}")))
        return [name for name in names if SOURCE_NAME.fullmatch(name)]

    def of_source(self, name: str) -> Path:
        """The folder of a source, made if need be.

        Raises:
            SpoolError: it can't be made.
        """
        path = self.path / f"{name}{_SUFFIX}"
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise _unusable(path, error) from error
        return path

    def close(self) -> None:
        """Let another connector have it."""
        os.close(self._lock)


def left_behind(path: Path) -> Iterator[str]:
    """The names of sources of which a spool folder holds segments; without locking it."""
    for frames in sorted(path.glob(f"*{_SUFFIX}")):
        if any(frames.glob("*.frames")):
            yield frames.name.removesuffix(_SUFFIX)


def _unusable(path: Path, error: OSError) -> SpoolError:
    return SpoolError(
        f"the spool folder {path} can't be used (TRAPLINE_SPOOL_DIR): {error.strerror or error}"
    )
