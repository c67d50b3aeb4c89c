"""Types of settings that are written in other ways than Python's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
)

from schemas.source import Source


@dataclass(frozen=True, slots=True)
class CommandLine:
    """How a field looks on the command line, where that differs from its name; part of its annotation.

    Attributes:
        option: the option, e.g. '--source'; None: made from the field's name.
        repeatable: may be given several times; the field then gets the list of texts.
        metavar: what stands for the value in the help.
        hidden: not on the command line at all.
    """

    option: str | None = None
    repeatable: bool = False
    metavar: str | None = None
    hidden: bool = False


def _bytes(value: object) -> object:
    """'64MiB' as a number; what is no text goes on to the field's own check."""
    if not isinstance(value, str):
        return value
    try:
        return int(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError:
        raise ValueError(f"should be a number of bytes such as 268435456 or 256MiB, not {value!r}") from None


def _broker_addresses(text: str) -> str:
    """HOST:PORT,HOST:PORT; checked here, since librdkafka tries to reach what is left of a wrong one."""
    addresses = _split(text)
    for address in addresses:
        if not _is_address(address):
            raise ValueError(
                f"should be HOST:PORT,HOST:PORT, e.g. kafka:9092 or [::1]:9092; {address!r} is not one"
            )
    if not addresses:
        raise ValueError("should be HOST:PORT,HOST:PORT, e.g. kafka:9092, and names no broker")
    return ",".join(addresses)


def _is_address(text: str) -> bool:
    try:
        url = urlsplit(f"//{text}")
        port = url.port
    except ValueError:
        return False
    plain = url.netloc == text and "@" not in text and not any(each.isspace() for each in text)
    return plain and bool(url.hostname) and bool(port)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _comma_separated(value: object) -> object:
    return _split(value) if isinstance(value, str) else value


BrokerAddresses = Annotated[str, AfterValidator(_broker_addresses), CommandLine(metavar="HOST:PORT,...")]
"""Kafka brokers: 'HOST:PORT,HOST:PORT'."""

ByteCount = Annotated[int, BeforeValidator(_bytes), CommandLine(metavar="BYTES")]
"""A number of bytes; '64MiB' and '20GiB' are understood too."""

Names = Annotated[tuple[str, ...], BeforeValidator(_comma_separated)]
"""Names separated by commas, or a list in TOML."""


def _sources(value: object) -> object:
    """Sources from 'NAME=URL,NAME=URL', from a list of 'NAME=URL', or from a table NAME -> URL."""
    if isinstance(value, str):
        if value.strip() == "auto":
            raise ValueError(
                "names the image servers, NAME=URL,NAME=URL; for a grouper that expects whoever was in the "
                "last groups leave it as it is, and set TRAPLINE_EXPECTED=auto"
            )
        value = [value]
    if isinstance(value, Mapping):
        value = [f"{name}={url}" for name, url in value.items()]
    sources: dict[str, Source] = {}
    for item in _texts_or_sources(value):
        source = item if isinstance(item, Source) else Source.parse(item)
        if source.name in sources:
            raise ValueError(f"source {source.name!r} is given twice")
        sources[source.name] = source
    return tuple(sources.values())


def _texts_or_sources(value: object) -> Iterator[str | Source]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("should be NAME=URL,NAME=URL; in TOML also a table or a list")  # noqa: TRY004  pydantic collects ValueErrors alone
    for item in value:
        if isinstance(item, str):
            yield from _split(item)  # `--source` may hold several, as the variable does
        elif isinstance(item, Source):
            yield item
        else:
            raise ValueError(f"should be NAME=URL, not {item!r}")  # noqa: TRY004  as above


Sources = Annotated[
    tuple[Source, ...],
    BeforeValidator(_sources),
    # As one writes them, so that settings that were dumped can be read again.
    PlainSerializer(lambda sources: [str(source) for source in sources]),
]
"""Sources: 'NAME=URL,NAME=URL'; in TOML also a list of them, or a table NAME -> URL."""
