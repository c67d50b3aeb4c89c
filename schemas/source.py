"""Sources: the image servers, and the files of frames, as the configuration names them."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from schemas.errors import SourceError
from schemas.pixel_order import PixelOrder

SOURCE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a source may be called: it stands in Kafka headers, metric labels and file names."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_USER: Final = re.compile(r"//.*@")  # may hold a password, which no message repeats
_QUERY: Final = "[?pixel_order=fits|transposed]"
_FORM: Final = f"NAME=tcp://HOST:PORT{_QUERY}"
_FILE_FORM: Final = f"NAME=file:///ABSOLUTE/PATH{_QUERY}"
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Source(ABC):
    """Where the frames of one name come from.

    Attributes:
        name: matches `SOURCE_NAME`.
        pixel_order: of its frames.
    """

    name: str
    pixel_order: PixelOrder = field(default=PixelOrder.FITS, kw_only=True)

    @staticmethod
    def parse(text: str) -> "Source":
        """Read 'NAME=tcp://HOST:PORT?pixel_order=transposed' or 'NAME=file:///PATH?pixel_order=transposed'.

        Raises:
            SourceError: names the part that is wrong.
        """
        name, equals, url = text.strip().partition("=")
        if not equals:
            raise SourceError(
                f"source {text!r}: no '=' between name and URL; write {_FORM} or {_FILE_FORM}; "
                "a comma in a path is %2C"
            )
        return Source.from_url(name.strip(), url.strip())

    @staticmethod
    def from_url(name: str, url: str) -> "Source":
        """Make a source of a name and a URL, 'tcp://HOST:PORT' or 'file:///PATH'.

        Raises:
            SourceError: names the part that is wrong.
        """
        check_source_name(name)
        where = f"source {name}: URL {_USER.sub('//…@', url)!r}"
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise SourceError(f"{where}: {error}; write {_FORM}") from None
        if parts.scheme == "tcp":
            return _server(name, parts, where)
        if parts.scheme == "file":
            return _file(name, url, parts, where)
        raise SourceError(f"{where} begins with {parts.scheme!r}, not tcp:// or file://")

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL; without the query where the pixel order is the usual one."""

    @property
    def query(self) -> str:
        """The end of the URL."""
        return "" if self.pixel_order is PixelOrder.FITS else f"?pixel_order={self.pixel_order.value}"

    def __str__(self) -> str:
        return f"{self.name}={self.url}"


@dataclass(frozen=True, slots=True)
class ServerSource(Source):
    """One image server.

    Attributes:
        host: a name or an address; IPv6 without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    @property
    def url(self) -> str:
        """tcp://HOST:PORT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}{self.query}"


@dataclass(frozen=True, slots=True)
class FileSource(Source):
    """A file of frames, one after the other as on the wire, or a folder of such files.

    Attributes:
        path: absolute; whether there is anything is not asked here.
    """

    path: Path

    @property
    def url(self) -> str:
        """file:///PATH; what has a meaning in URLs or in lists of them is percent-encoded."""
        return f"file://{quote(str(self.path))}{self.query}"


def check_source_name(name: str) -> str:
    """Return a source's name if it may be one.

    Raises:
        SourceError: it may not.
    """
    if SOURCE_NAME.fullmatch(name) is None:
        raise SourceError(f"source name {name!r}: 1 to 64 letters, digits, '.', '_' and '-' are allowed")
    return name


def _server(name: str, parts: SplitResult, where: str) -> ServerSource:
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SourceError(f"{where}: {error}; write {_FORM}") from None
    if parts.username is not None or parts.path not in ("", "/") or parts.fragment:
        raise SourceError(f"{where} has more than host, port and pixel_order")
    if not host or _HOST.fullmatch(host) is None:
        raise SourceError(f"{where} has no usable host; write {_FORM}")
    if port is None or not 0 < port <= _MAX_PORT:
        raise SourceError(f"{where} has no port between 1 and {_MAX_PORT}")
    return ServerSource(name, host, port, pixel_order=_pixel_order(name, parts.query))


def _file(name: str, url: str, parts: SplitResult, where: str) -> FileSource:
    if parts.netloc:  # of 'file://frames/sb0', that would be a machine called 'frames'
        raise SourceError(
            f"{where} is not an absolute path on this machine; write {_FILE_FORM}, with three slashes "
            "(in a shell, file://$PWD/frames)"
        )
    if parts.fragment:
        raise SourceError(f"{where} has a '#'; in a path it is %23")
    try:
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise SourceError(f"{where}: the path is not UTF-8") from None
    if not path.startswith("/"):
        raise SourceError(f"{where} has no absolute path; write {_FILE_FORM}")
    if not (url.isprintable() and path.isprintable()):
        raise SourceError(f"{where}: the path has a character that can't be printed")
    return FileSource(name, Path(path), pixel_order=_pixel_order(name, parts.query))


def _pixel_order(name: str, query: str) -> PixelOrder:
    order = PixelOrder.FITS
    seen = False
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key != "pixel_order" or seen:
            raise SourceError(f"source {name}: the URL has {key!r} after '?'; only one pixel_order is known")
        if value not in set(PixelOrder):
            raise SourceError(f"source {name}: pixel_order is {value!r}, not {' or '.join(PixelOrder)}")
        order = PixelOrder(value)
        seen = True
    return order
