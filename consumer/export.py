"""Groups into a folder of FITS files: each file whole or not there, and none written twice.

A name begins with the observation time, so names sort by it:

    2026-11-23T10-00-00.000000Z.fits          a group; _r2 for its second revision
    2026-11-23T10-00-00.000000Z_sb0.fits      an image; _sb0_r2 of the second revision

A group that was published again under the same time and revision (a run that was sent twice) has _o and the
raw offset of its first image in its name besides.

Which group a file holds is said by its header. A file that holds what is to be written is finished, and
nothing is written; another one under its name is never replaced.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from consumer.errors import ExportError
from consumer.fits_files import GroupFacts, group_parts, image_parts, write_whole
from consumer.group import Group
from consumer.group_range import GroupRange
from schemas.cards import END_CARD, Cards
from schemas.catalogue import CatalogueEntry
from schemas.errors import HeaderError
from schemas.fits_image import FITS_BLOCK
from schemas.timestamp import format_timestamp

FilePer: TypeAlias = Literal["group", "image"]
LONGEST_HEADER = 100 * FITS_BLOCK


class Exporter:
    """Writes groups into a folder, one process at a time.

    Attributes:
        written: files written.
        written_bytes: how many bytes these have.
        kept: files that were finished already.
    """

    def __init__(self, folder: Path, one_file_per: FilePer) -> None:
        """Take the folder; it is made if it is not there.

        Raises:
            OSError: it cannot be made or written to; names it.
            ExportError: another export is writing there.
        """
        self.written = 0
        self.written_bytes = 0
        self.kept = 0
        self._folder = folder
        self._per_group = one_file_per == "group"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ExportError(f"{folder}: another export is writing there; choose another folder") from None
        except OSError:  # a file system without locks: then nobody is kept apart
            pass
        for left in folder.glob(".*.fits.part"):  # by an export that was killed
            left.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder, with all names on the disk."""
        with suppress(OSError):  # some file systems have none of that
            os.fsync(self._lock)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def has(self, entry: CatalogueEntry, where: GroupRange | None = None) -> bool:
        """Whether all files of this group are finished; they are counted as kept then.

        Args:
            entry: of the group.
            where: its `sources` reduce the group.

        Raises:
            ExportError: a file of this name holds something else.
        """
        facts = facts_of(entry, where)
        digests = {member.source: member.digest for member in entry.members}
        files = self._files(facts, digests)
        if not all(self._is_finished(path, facts, digest) for path, digest in files):
            return False
        self.kept += len(files)
        return True

    def write(self, group: Group) -> list[Path]:
        """Write the files of a group that are not finished; return all of them.

        Raises:
            OSError: a file cannot be written; names it. What is finished stays.
            ExportError: a file of this name holds something else.
            SchemaError: a record's value is not an image as schemas/ describes it.
        """
        facts = GroupFacts.of(group)
        files = self._files(facts, {image.source: image.digest for image in group.images})
        unfinished: dict[Path, list[bytes | memoryview]] = {}
        for number, (path, digest) in enumerate(files):
            if self._is_finished(path, facts, digest):
                self.kept += 1
            elif self._per_group:
                unfinished[path] = group_parts(group)
            else:
                unfinished[path] = image_parts(group, group.images[number])
        write_whole(unfinished)
        self.written += len(unfinished)
        self.written_bytes += sum(len(part) for parts in unfinished.values() for part in parts)
        return [path for path, _ in files]

    def _files(self, facts: GroupFacts, digests: dict[str, str]) -> list[tuple[Path, str | None]]:
        """The files of a group; of an image's with the digest in it."""
        for again in ("", "_o" + facts.group_id.rpartition("/o")[2]):
            files = [
                (self._folder / file_name(facts, source, again), None if source is None else digests[source])
                for source in ([None] if self._per_group else facts.sources)
            ]
            if all(self._may_have(path, facts.group_id) for path, _ in files):
                return files
        raise ExportError(f"{files[0][0]}: this file holds another group; choose another folder")

    @staticmethod
    def _may_have(path: Path, group_id: str) -> bool:
        """Whether the file is this group's, or there is none."""
        header = _header_of(path)
        if header is None:
            return True
        cards = _cards(header)
        found = None if cards is None else cards.get_str("GROUPID")
        if found is None:
            raise ExportError(
                f"{path}: this file is there and is not of an export; choose another folder, or move it"
            )
        return found == group_id

    def _is_finished(self, path: Path, facts: GroupFacts, digest: str | None) -> bool:
        header = _header_of(path)
        if header is None:
            return False
        if digest is None:
            same = header.startswith(facts.header())
        else:
            cards = _cards(header)
            same = cards is not None and cards.get_str("DIGEST") == digest
        if not same:
            raise ExportError(
                f"{path}: this file holds other images of this group (an export with other --sources?); "
                "choose another folder, or move it"
            )
        return True


def facts_of(entry: CatalogueEntry, where: GroupRange | None = None) -> GroupFacts:
    """What a file says of the group of an entry, reduced to the sources of a range."""
    wanted = () if where is None else where.sources
    members = sorted(entry.members, key=lambda member: (member.frequency_hz, member.source))
    sources = tuple(member.source for member in members if not wanted or member.source in wanted)
    missing = tuple(name for name in wanted if name not in sources) if wanted else entry.missing
    return GroupFacts(
        timestamp_us=entry.timestamp_us,
        group_id=entry.group_id,
        revision=entry.revision,
        complete=not missing if wanted else entry.complete,
        expected=len(wanted or entry.expected),
        sources=sources,
        missing=missing,
    )


def file_name(facts: GroupFacts, source: str | None, again: str = "") -> str:
    """The name of a group's file, or of that of one of its images; no colons, which some systems refuse."""
    image = "" if source is None else f"_{source}"
    revision = f"_r{facts.revision}" if facts.revision > 1 else ""
    return f"{format_timestamp(facts.timestamp_us).replace(':', '-')}{image}{revision}{again}.fits"


def _header_of(path: Path) -> bytes | None:
    """The first header of a file, with its END; None where there is no file."""
    header = b""
    try:
        with path.open("rb") as file:
            while len(header) < LONGEST_HEADER:
                block = file.read(FITS_BLOCK)
                header += block
                if len(block) < FITS_BLOCK or END_CARD in block:
                    break
    except FileNotFoundError:
        return None
    return header


def _cards(header: bytes) -> Cards | None:
    try:
        return Cards.scan(header)
    except HeaderError:
        return None
