"""Sources: the image servers, as the configuration names them."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from schemas.errors import SourceError
from schemas.window import PixelOrder

SOURCE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a source may be called: it stands in Kafka headers, metric labels and file names."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_USER: Final = re.compile(r"//.*@")  # may hold a password, which no message repeats
_FORM: Final = "NAME=tcp://HOST:PORT[?pixel_order=fits|transposed]"
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Source:
    """One image server.

    Attributes:
        name: matches `SOURCE_NAME`.
        host: a name or an address; IPv6 without brackets.
        port: 1 to 65535.
        pixel_order: of its frames.
    """

    name: str
    host: str
    port: int
    pixel_order: PixelOrder = PixelOrder.FITS

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 'NAME=tcp://HOST:PORT?pixel_order=transposed'.

        Raises:
            SourceError: names the part that is wrong.
        """
        name, equals, url = text.strip().partition("=")
        if not equals:
            raise SourceError(f"source {text!r}: no '=' between name and URL; write {_FORM}")
        return cls.from_url(name.strip(), url.strip())

    @classmethod
    def from_url(cls, name: str, url: str) -> Self:
        """Make a source of a name and a URL 'tcp://HOST:PORT?pixel_order=transposed'.

        Raises:
            SourceError: names the part that is wrong.
        """
        check_source_name(name)
        where = f"source {name}: URL {_USER.sub('//…@', url)!r}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise SourceError(f"{where}: {error}; write {_FORM}") from None
        if parts.scheme != "tcp":
            raise SourceError(f"{where} begins with {parts.scheme!r}, not tcp://")
        if parts.username is not None or parts.path not in ("", "/") or parts.fragment:
            raise SourceError(f"{where} has more than host, port and pixel_order")
        if not host or _HOST.fullmatch(host) is None:
            raise SourceError(f"{where} has no usable host; write {_FORM}")
        if port is None or not 0 < port <= _MAX_PORT:
            raise SourceError(f"{where} has no port between 1 and {_MAX_PORT}")
        return cls(name, host, port, _pixel_order(name, parts.query))

    @property
    def url(self) -> str:
        """The URL; without the query where the pixel order is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = "" if self.pixel_order is PixelOrder.FITS else f"?pixel_order={self.pixel_order.value}"
        return f"tcp://{host}:{self.port}{query}"

    def __str__(self) -> str:
        return f"{self.name}={self.url}"


def check_source_name(name: str) -> str:
    """Return a source's name if it may be one.

    Raises:
        SourceError: it may not.
    """
    if SOURCE_NAME.fullmatch(name) is None:
        raise SourceError(f"source name {name!r}: 1 to 64 letters, digits, '.', '_' and '-' are allowed")
    return name


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


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source as it was written: its name and its URL, unjudged."""

    name: str
    url: str

    def source(self) -> Source:
        """The source it describes.

        Raises:
            SourceError: names the part that is wrong.
        """
        return Source.from_url(self.name, self.url)

    @staticmethod
    def parse(text: str) -> Source:
        """Read 'NAME=tcp://HOST:PORT?pixel_order=transposed'; see `Source.parse`."""
        return Source.parse(text)
