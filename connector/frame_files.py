"""Files of frames: which there are behind a file:// source, and how one is opened."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from connector.errors import FileSourceError
from schemas.frame_layout import MAGIC_BYTES
from schemas.source import FileSource

_NAMED: Final = 6  # of what a folder holds instead of files


@dataclass(frozen=True, slots=True)
class FrameFiles:
    """What is to be read of a source.

    Attributes:
        files: one after the other, sorted by the bytes of their names.
        left_out: what else the folder holds, and is not read: folders, pipes, devices.
    """

    files: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()


def find_frame_files(source: FileSource) -> FrameFiles:
    """The files of a source: the one it names, or all in the folder it names, folders within it excepted.

    Names that begin with a dot are not looked at: they are other programs' own.

    Raises:
        FileSourceError: there is none, or it can't be read.
    """
    path = source.path
    try:
        if not path.is_dir():
            with open_frame_file(path):
                return FrameFiles((path,))
        found = sorted(
            (each for each in path.iterdir() if not each.name.startswith(".")),
            key=lambda each: os.fsencode(each.name),
        )
    except OSError as error:
        raise FileSourceError(
            f"source {source.name}: {shown(path)}: {error.strerror or error}; is the path right, and may "
            "this user read it?"
        ) from None
    files = [each for each in found if _may_be_file(each)]
    left_out = [each for each in found if each not in set(files)]
    if not files:
        others = ", ".join(shown(each.name) for each in left_out[:_NAMED])
        raise FileSourceError(
            f"source {source.name}: no file of frames is in the folder {shown(path)}"
            + (f", only {others}; is one of these meant?" if others else "")
        )
    return FrameFiles(tuple(files), tuple(left_out))


@contextmanager
def open_frame_file(path: Path) -> Iterator[FileIO]:
    """A file, unbuffered; nothing else than a file is opened or waited for.

    Raises:
        OSError: it can't be opened, or is none.
    """
    with FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "r") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is no file, but a pipe, a socket or a device")
        yield file


def begins_with_frame(file: FileIO) -> bool:
    """Whether a frame's magic stands at the beginning of a file; where one reads on stays as it is."""
    return os.pread(file.fileno(), len(MAGIC_BYTES), 0) == MAGIC_BYTES


def shown(path: Path | str) -> str:
    """A path, or a part of one, in text that can be printed and encoded, whatever bytes it is made of."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _may_be_file(path: Path) -> bool:
    """Also where that can't be told, so that opening it says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
