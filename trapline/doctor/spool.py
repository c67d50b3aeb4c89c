"""Checks that the connector's spool has a place, and that the disk holds what it may take."""

import os
import shutil
from pathlib import Path

from trapline.doctor.outcome import Outcome, Problem, failure, warning
from trapline.doctor.settings import DoctorSettings
from trapline.tables import bytes_text


def spool(settings: DoctorSettings) -> Outcome:
    """Disk for the spool of a connector with these settings on this machine."""
    folder = settings.spool_dir
    if settings.spool == "off" or folder is None:
        return Outcome(
            "off: frames that Kafka has not acknowledged are in memory alone, and lost with the process "
            "(TRAPLINE_SPOOL, docs/connector.md)"
        )
    there = _nearest(folder)
    problems: list[Problem] = []
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        problems.append(
            failure(
                f"{there} is no folder that this user may write to",
                "another TRAPLINE_SPOOL_DIR, or the right there",
            )
        )
        return Outcome(f"{settings.spool} in {folder}", tuple(problems))
    free_bytes = shutil.disk_usage(there).free
    used_bytes = _used(folder)
    room_bytes = free_bytes + used_bytes
    wanted = settings.spool_max_bytes
    if free_bytes < settings.spool_reserve_bytes:
        problems.append(
            failure(
                f"{bytes_text(free_bytes)} are free, not even a frame of each source: reading the image "
                "servers stops",
                "make room",
            )
        )
    elif room_bytes < wanted:
        problems.append(
            warning(
                f"the spool may take {bytes_text(wanted)}, and {bytes_text(room_bytes)} are there: a full "
                "disk stops "
                "reading before that",
                "make room, or lower TRAPLINE_SPOOL_MAX_BYTES",
            )
        )
    return Outcome(
        f"{settings.spool} in {folder}: up to {bytes_text(wanted)}, {bytes_text(used_bytes)} used, "
        f"{bytes_text(free_bytes)} free",
        tuple(problems),
    )


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: the connector makes what is between."""
    for each in (folder, *folder.parents):
        if each.exists():
            return each
    return Path(folder.anchor or ".")


def _used(folder: Path) -> int:
    """Bytes of the files in it; those that go meanwhile do not count."""
    used = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                used += (Path(root) / name).stat().st_size
            except OSError:
                continue
    return used
