"""A group as a FITS file: an empty primary with the group's facts, one image extension a source.

HDU 0          DATE-OBS, TIMESYS, GROUPID, REVISION, COMPLETE, NEXPECT, NIMAGES, MISSIn
HDU 1 ... N    the images by frequency; EXTNAME is the source, header and pixels are the image's
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from consumer.group import Group, Image
from schemas.timestamp import format_timestamp

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header, ImageHDU


def group_hdulist(group: Group) -> "HDUList":
    """The group as an astropy HDUList in memory, laid out as above."""
    from astropy.io.fits import HDUList, PrimaryHDU  # noqa: PLC0415 - astropy only where it is used

    return HDUList([PrimaryHDU(header=_facts(group)), *(_extension(image) for image in group.images)])


def write_group(group: Group, path: Path) -> None:
    """Write the group to `path`, with checksums; a reader finds the old file or the whole new one.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            group_hdulist(group).writeto(file, checksum=True)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _facts(group: Group) -> "Header":
    from astropy.io.fits import Header  # noqa: PLC0415 - astropy only where it is used

    header = Header()
    header["DATE-OBS"] = (format_timestamp(group.timestamp_us).removesuffix("Z"), "timestamp of the group")
    header["TIMESYS"] = "UTC"
    header["GROUPID"] = (group.group_id, "this publication of the group")
    header["REVISION"] = (group.revision, "1: first publication; higher: repaired")
    header["COMPLETE"] = (group.complete, "every expected source is here")
    header["NEXPECT"] = (group.expected, "sources expected")
    header["NIMAGES"] = (len(group.images), "sources that are here")
    for number, source in enumerate(group.missing[:999], start=1):
        header[f"MISSI{number}"] = (source, "expected and not here")
    return header


def _extension(image: Image) -> "ImageHDU":
    from astropy.io.fits import ImageHDU  # noqa: PLC0415 - astropy only where it is used

    primary = image.to_hdu()
    header = primary.header
    for keyword in ("SIMPLE", "EXTEND", "EXTNAME"):
        header.remove(keyword, ignore_missing=True)
    return ImageHDU(data=primary.data, header=header, name=image.source)


def _umask() -> int:
    """The process's umask, which mkstemp ignores. Reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
