"""Groups and images as FITS files, written from the bytes that Kafka gave: nothing is decoded.

A file of a group:

    HDU 0          empty; DATE-OBS, TIMESYS, GROUPID, REVISION, COMPLETE, NEXPECT, NIMAGES, SOURCEn, MISSIn
                   (SOURCE1 to SOURCE99, SOURC100 to SOURC999; of more than 999 names the first)
    HDU 1 ... N    the images by frequency; EXTNAME is the source, header and pixels are the image's

A file of one image is the record's value with EXTNAME, GROUPID and DIGEST in its header.

Pixels are big-endian in the record and in the file, so they are copied as they are, and so is DATASUM. Only
headers are made, and their CHECKSUM.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from consumer.group import Group, Image
from schemas.cards import CARD_SIZE, END_CARD, KEYWORD_SIZE, Cards
from schemas.errors import HeaderError, PixelsError
from schemas.fits_checksum import block_sum, encode_checksum, ones_complement_sum, pixels_sum
from schemas.fits_image import FITS_BLOCK
from schemas.timestamp import format_timestamp

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, ImageHDU

MOST_NAMES: Final = 999  # of SOURCEn, MISSIn: more have no keyword of eight characters
MOST_AT_ONCE: Final = 8  # files being written
_ZEROS: Final = "0" * 16
# Of an image's header these are written anew; all else is the telescope's.
_STRUCTURE: Final = frozenset({b"SIMPLE", b"EXTEND", b"XTENSION", b"PCOUNT", b"GCOUNT"})
_OURS: Final = frozenset({b"EXTNAME", b"GROUPID", b"DIGEST", b"CHECKSUM", b"DATASUM"})

Value: TypeAlias = str | bool | int
Fact: TypeAlias = tuple[str, Value, str]
"""Keyword, value, comment."""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What the primary header says of a group: all of it is in the catalogue entry, too."""

    timestamp_us: int
    group_id: str
    revision: int
    complete: bool
    expected: int
    sources: tuple[str, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, group: Group) -> "GroupFacts":
        """Of a group with its images."""
        return cls(
            group.timestamp_us,
            group.group_id,
            group.revision,
            group.complete,
            group.expected,
            group.sources,
            group.missing,
        )

    def cards(self) -> list[Fact]:
        """As keywords of a FITS header."""
        time = format_timestamp(self.timestamp_us).removesuffix("Z")
        return [
            ("DATE-OBS", time, "timestamp of the group"),
            ("TIMESYS", "UTC", ""),
            ("GROUPID", self.group_id, "this publication of the group"),
            ("REVISION", self.revision, "1: first publication; higher: repaired"),
            ("COMPLETE", self.complete, "every expected source is here"),
            ("NEXPECT", self.expected, "sources expected"),
            ("NIMAGES", len(self.sources), "sources that are here"),
            *((_source_keyword(n), name, "extension") for n, name in _numbered(self.sources)),
            *((f"MISSI{n}", name, "expected and not here") for n, name in _numbered(self.missing)),
        ]

    def header(self) -> bytes:
        """The primary header of the group's file, with its checksums: the same bytes for the same facts."""
        structure: list[Fact] = [
            ("SIMPLE", True, "standard FITS"),
            ("BITPIX", 8, "there are no data here"),
            ("NAXIS", 0, "the images are in the extensions"),
            ("EXTEND", True, ""),
        ]
        return _header([*map(_card, structure), *map(_card, self.cards())], data_sum=0)


def group_parts(group: Group) -> list[bytes | memoryview]:
    """The file of a group, in parts that are to be written one after the other; pixels are not copied.

    Raises:
        SchemaError: a record's value is not an image as schemas/ describes it.
    """
    parts: list[bytes | memoryview] = [GroupFacts.of(group).header()]
    for image in group.images:
        stored = _Stored.of(image)
        name = _card(("EXTNAME", image.source, "source"))
        parts += [_header([*stored.extension_cards(), name, *stored.telescope_cards()], stored.data_sum)]
        parts += stored.data
    return parts


def image_parts(group: Group, image: Image) -> list[bytes | memoryview]:
    """The file of one image of a group, in parts.

    Raises:
        SchemaError: the record's value is not an image as schemas/ describes it.
    """
    stored = _Stored.of(image)
    cards = [*stored.structure_cards(), *stored.telescope_cards(), *map(_card, image_facts(group, image))]
    return [_header(cards, stored.data_sum), *stored.data]


def image_facts(group: Group, image: Image) -> list[Fact]:
    """What a file of one image says besides the telescope's header."""
    return [
        ("EXTNAME", image.source, "source"),
        ("GROUPID", group.group_id, "publication of the group"),
        ("DIGEST", image.digest, "of the frame"),
    ]


def write_group(group: Group, path: Path) -> None:
    """Write the group to `path`, with checksums; a reader finds the old file or the whole new one.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
        SchemaError: a record's value is not an image as schemas/ describes it.
    """
    write_whole({path: group_parts(group)})


def write_whole(files: Mapping[Path, Sequence[bytes | memoryview]]) -> None:
    """Write files, each of these parts, under names of their own, have them on the disk, and rename them.

    Raises:
        OSError: one cannot be written; names it. Nothing half-written is left behind.
    """
    unfinished = {path: path.with_name(f".{path.name}.part") for path in files}

    def write(path: Path) -> None:
        try:
            with unfinished[path].open("wb") as file:
                file.writelines(files[path])
                file.flush()
                # Else a machine that loses its power may keep the name and not the bytes.
                os.fsync(file.fileno())
            unfinished[path].replace(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

    try:
        if len(files) == 1:
            write(*files)
        elif files:
            # The disk takes several files at once in hardly more time than one.
            with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
                list(pool.map(write, files))
    finally:
        for part in unfinished.values():
            part.unlink(missing_ok=True)


def group_hdulist(group: Group) -> "HDUList":
    """The group as an astropy HDUList in memory, laid out as the file is."""
    from astropy.io.fits import HDUList, Header, PrimaryHDU  # noqa: PLC0415 - astropy only where it is used

    facts = Header([(keyword, value, comment) for keyword, value, comment in GroupFacts.of(group).cards()])
    return HDUList([PrimaryHDU(header=facts), *(_extension(image) for image in group.images)])


def _extension(image: Image) -> "ImageHDU":
    from astropy.io.fits import ImageHDU  # noqa: PLC0415 - astropy only where it is used

    primary = image.to_hdu()
    header = primary.header
    for keyword in ("SIMPLE", "EXTEND", "EXTNAME"):
        header.remove(keyword, ignore_missing=True)
    return ImageHDU(data=primary.data, header=header, name=image.source)


@dataclass(frozen=True, slots=True)
class _Stored:
    """An image as its record holds it.

    Attributes:
        cards: of its header.
        data: the pixels, big-endian, padded to a FITS block.
        data_sum: ones' complement sum of these.
    """

    cards: Cards
    data: tuple[bytes | memoryview, ...]
    data_sum: int

    @classmethod
    def of(cls, image: Image) -> "_Stored":
        value = image.fits
        cards = Cards.scan(value)
        if cards.end == len(value):
            raise HeaderError(f"the FITS header of {image.source} has no END")
        if cards.get_int("BITPIX") != -32:  # noqa: PLR2004 - float32
            raise PixelsError(f"the image of {image.source} has BITPIX {cards.get_str('BITPIX')}, not -32")
        start = cards.end + CARD_SIZE
        start += -start % FITS_BLOCK
        pixels = memoryview(value)[start : start + cards.pixels_bytes]
        if len(pixels) < cards.pixels_bytes:
            raise PixelsError(f"the FITS file of {image.source} is cut off: {len(value)} bytes")
        stated = cards.get_str("DATASUM")
        if stated is not None and stated.isdigit():
            data_sum = int(stated)
        else:
            data_sum = ones_complement_sum(pixels_sum(np.frombuffer(pixels, "<f4").byteswap()))
        padding = bytes(-len(pixels) % FITS_BLOCK)
        return cls(cards, (pixels, padding) if padding else (pixels,), data_sum)

    def structure_cards(self) -> list[bytes]:
        """Of a primary image."""
        return [_card(("SIMPLE", True, "standard FITS")), *self._axes_cards()]

    def extension_cards(self) -> list[bytes]:
        """Of an image extension."""
        return [
            _card(("XTENSION", "IMAGE", "image extension")),
            *self._axes_cards(),
            _card(("PCOUNT", 0, "no parameters")),
            _card(("GCOUNT", 1, "one group")),
        ]

    def telescope_cards(self) -> list[bytes]:
        """All that say something else than how the pixels are stored, as they are."""
        kept: list[bytes] = []
        dropped = False
        for card in self.cards.cards():
            keyword = _keyword(card)
            # A long string goes on in CONTINUE cards; without its beginning they would mean nothing.
            dropped = (dropped and keyword == b"CONTINUE") or self._is_structure(keyword)
            if not dropped:
                kept.append(card)
        return kept

    def _axes_cards(self) -> list[bytes]:
        axes = self.cards.axes
        facts: list[Fact] = [("BITPIX", -32, "float32"), ("NAXIS", len(axes), "")]
        facts += [(f"NAXIS{n}", length, "") for n, length in enumerate(reversed(axes), start=1)]
        return list(map(_card, facts))

    @staticmethod
    def _is_structure(keyword: bytes) -> bool:
        axis = keyword.removeprefix(b"NAXIS") if keyword.startswith(b"NAXIS") else b"-"
        return keyword in _STRUCTURE or keyword in _OURS or keyword == b"BITPIX" or not axis or axis.isdigit()


def _keyword(card: bytes) -> bytes:
    return card[:KEYWORD_SIZE].rstrip()


def _source_keyword(number: int) -> str:
    """SOURCE1 to SOURCE99, then SOURC100: eight characters."""
    return f"{'SOURCE'[: KEYWORD_SIZE - len(str(number))]}{number}"


def _numbered(names: Sequence[str]) -> Iterable[tuple[int, str]]:
    return enumerate(names[:MOST_NAMES], start=1)


def _card(fact: Fact) -> bytes:
    """A card of FITS's fixed format: numbers and truth values end in column 30, strings begin in 11."""
    keyword, value, comment = fact
    if isinstance(value, bool):
        text = "T".rjust(20) if value else "F".rjust(20)
    elif isinstance(value, int):
        text = str(value).rjust(20)
    else:
        text = "'" + value.replace("'", "''").ljust(8) + "'"
    card = f"{keyword:<8}= {text:<20}"
    if comment and len(card) + len(comment) + 3 <= CARD_SIZE:
        card += f" / {comment}"
    return card.ljust(CARD_SIZE).encode("ascii")


def _header(cards: Sequence[bytes], data_sum: int) -> bytes:
    """A header of these cards, DATASUM, CHECKSUM and END, padded to whole blocks."""
    checksum_card = _card(("CHECKSUM", _ZEROS, "of this HDU"))
    head = b"".join([*cards, _card(("DATASUM", str(data_sum), "of the data"))])
    text = head + checksum_card + END_CARD
    padding = b" " * (-len(text) % FITS_BLOCK)
    total = ones_complement_sum(block_sum(text + padding) + data_sum)
    checksum = _card(("CHECKSUM", encode_checksum(total).decode("ascii"), "of this HDU"))
    return head + checksum + END_CARD + padding
