"""Records of Kafka, committed offsets and settings under any bytes."""

from contextlib import suppress
from dataclasses import replace

from schemas.catalogue import CatalogueEntry
from schemas.errors import SchemaError, SourceError
from schemas.offset_metadata import MAX_LENGTH, OffsetMetadata
from schemas.record_headers import CatalogueHeaders, ImageHeaders, RawHeaders, RejectHeaders
from schemas.source import Source
from tests.fuzz.verdict import require

_HEADERS = (RawHeaders, ImageHeaders, CatalogueHeaders, RejectHeaders)


def headers_of(data: bytes) -> list[tuple[str, bytes | None]]:
    """Kafka headers, one a line: NAME=VALUE, or NAME alone for a header without a value."""
    headers: list[tuple[str, bytes | None]] = []
    for line in data.split(b"\n") if data else []:
        name, equals, value = line.partition(b"=")
        headers.append((name.decode("utf-8", "replace"), value if equals else None))
    return headers


def check_headers(data: bytes) -> None:
    """The input is a record's headers, as `headers_of` reads them."""
    headers = headers_of(data)
    for kind in _HEADERS:
        try:
            decoded = kind.decode(headers)
        except SchemaError:
            continue
        written = decoded.encode()
        again = kind.decode(written)
        if isinstance(decoded, RejectHeaders) and isinstance(again, RejectHeaders):
            again = replace(again, detail=decoded.detail)  # cut, and what cannot be printed replaced
        require(again == decoded, f"{kind.__name__} does not read what it writes")
        given = dict(headers)
        made = {"ce_id", "ce_detail", "ce_frequency"}  # an id is made anew, the others are brought in form
        changed = [name for name, value in written if name not in made and given.get(name) != value]
        require(not changed, f"{kind.__name__} has changed {changed}")


def check_catalogue(data: bytes) -> None:
    """The input is a value of the catalogue topic."""
    with suppress(SchemaError):
        entry = CatalogueEntry.from_json(data)
        require(CatalogueEntry.from_json(entry.to_json()) == entry, "an entry is not written as it was read")


def check_metadata(data: bytes) -> None:
    """The input is the metadata of a committed offset."""
    try:
        metadata = OffsetMetadata.decode(data.decode("utf-8", "surrogateescape"))
    except SchemaError:
        return
    text = metadata.encode()
    require(len(text) <= MAX_LENGTH, f"{len(text)} characters of metadata")
    again = OffsetMetadata.decode(text)
    require((again.read_to, again.catalogue_from) == (metadata.read_to, metadata.catalogue_from), "offsets")
    require(again.missed in ({}, metadata.missed), "what is missed has changed")


def check_source(data: bytes) -> None:
    """The input is a source as it is given on the command line."""
    with suppress(SourceError):
        source = Source.parse(data.decode("utf-8", "replace"))
        require(Source.parse(str(source)) == source, f"{source} is another source")
