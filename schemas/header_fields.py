"""The headers of a Kafka record, read one by one: each error names the header and what it should hold."""

import math
import re
from collections.abc import Sequence
from typing import Final

from schemas.digest import DIGEST
from schemas.errors import RecordHeaderError, TimestampError
from schemas.source import SOURCE_NAME
from schemas.timestamp import parse_timestamp

KafkaHeaders = Sequence[tuple[str, bytes | None]]

_NATURAL: Final = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}


class HeaderFields:
    """Headers by name. Others than those asked for are left alone, also if they occur twice.

    Every method raises RecordHeaderError where its header is missing, occurs twice, is no UTF-8 or holds
    something else than it should.
    """

    def __init__(self, headers: KafkaHeaders | None) -> None:
        self._values: dict[str, bytes | None] = {}
        self._twice: set[str] = set()
        for name, value in headers or ():
            if name in self._values:
                self._twice.add(name)
            self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """Any text but an empty one."""
        value = self.text_or_empty(name)
        if not value:
            raise RecordHeaderError(f"the record's header {name} is empty")
        return value

    def text_or_empty(self, name: str) -> str:
        """Any text."""
        value = self._values.get(name)
        if value is None:
            raise RecordHeaderError(f"the record has no header {name}")
        if name in self._twice:
            raise RecordHeaderError(f"the record has the header {name} twice")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise RecordHeaderError(f"the record's header {name} is no UTF-8: {value[:40]!r}") from None

    def constant(self, name: str, expected: str) -> None:
        """Exactly one text."""
        value = self.text(name)
        if value != expected:
            raise _wrong(name, repr(expected), value)

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """One text of a few."""
        value = self.text(name)
        if value not in allowed:
            raise _wrong(name, f"one of {', '.join(allowed)}", value)
        return value

    def matching(self, name: str, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        """A text of a form."""
        value = self.text(name)
        match = pattern.fullmatch(value)
        if match is None:
            raise _wrong(name, expected, value)
        return match

    def natural(self, name: str) -> int:
        """A whole number from 0 on, without leading zeros."""
        return int(self.matching(name, _NATURAL, "a whole number from 0 on")[0])

    def positive_number(self, name: str) -> float:
        """A finite number above 0."""
        value = float(self.matching(name, _NUMBER, "a number above 0")[0])
        if not 0 < value < math.inf:
            raise _wrong(name, "a finite number above 0", self.text(name))
        return value

    def boolean(self, name: str) -> bool:
        """'true' or 'false'."""
        return _BOOLEANS[self.one_of(name, tuple(_BOOLEANS))]

    def time(self, name: str) -> int:
        """A time like 2026-11-23T10:00:00.000000Z, in microseconds since 1970 UTC."""
        value = self.text(name)
        try:
            return parse_timestamp(value)
        except TimestampError as error:
            raise RecordHeaderError(f"the record's header {name}: {error}") from None

    def source(self, name: str) -> str:
        """The name of a source."""
        return self.matching(name, SOURCE_NAME, "the name of a source")[0]

    def sources(self, name: str) -> tuple[str, ...]:
        """Names of sources, separated by commas; none where it is empty."""
        value = self.text_or_empty(name)
        names = tuple(value.split(",")) if value else ()
        if not all(SOURCE_NAME.fullmatch(source) for source in names):
            raise _wrong(name, "names of sources separated by commas", value)
        return names

    def digest(self, name: str) -> str:
        """The digest of a frame."""
        return self.matching(name, DIGEST, "xxh3-128: and 32 hexadecimal digits")[0]


def _wrong(name: str, expected: str, value: str) -> RecordHeaderError:
    return RecordHeaderError(f"the record's header {name} should be {expected}, not {value[:80]!r}")
