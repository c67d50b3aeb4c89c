"""Finds a file of the user's that hides one of our rooms.

The rooms are top-level packages, so a `consumer.py` or `schemas.py` beside a notebook is found before
ours, and fails later with an error that names neither. Nothing is imported here: the file that hides
a room may do anything when it is.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("schemas", "runtime", "connector", "grouper", "consumer", "audit", "emulator")


class HiddenRoomError(ImportError):
    """Something else is found under the name of one of our packages."""


def check_rooms(home: Path) -> None:
    """Make sure that each room that Python would import is ours.

    Args:
        home: the folder that holds `trapline` and, beside it, the rooms.

    Raises:
        HiddenRoomError: names the file that hides a room, and what to do.
    """
    for room in ROOMS:
        found = _folder(room)
        if found is None:
            raise HiddenRoomError(
                f"trapline's package {room!r} is not there: it should be in {home}; install trapline again"
            )
        if found != home / room and found.resolve() != (home / room).resolve():
            raise HiddenRoomError(
                f"{found} hides trapline's own package {room!r} ({home / room}): "
                "rename it, or start Python in another folder"
            )


def _folder(room: str) -> Path | None:
    """Where Python finds this name: a package's folder, or a module's file."""
    module = sys.modules.get(room)
    spec: ModuleSpec | None = getattr(module, "__spec__", None) if module is not None else find_spec(room)
    if spec is not None and spec.submodule_search_locations is not None:
        return Path(next(iter(spec.submodule_search_locations)))
    file = spec.origin if spec is not None else getattr(module, "__file__", None)
    return Path(file) if file is not None else None
