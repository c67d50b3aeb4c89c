"""JSON of others, read field by field: each error names the field and what it should be."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from schemas.errors import SchemaError, TimestampError
from schemas.timestamp import parse_timestamp

_LONG_MAX: Final = 2**63 - 1
_FLOAT_MAX: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object whose fields are taken out by name and type.

    Attributes:
        fields: what was parsed.
        what: names the object in errors.
        error: raised for anything that is not as it should be.
    """

    fields: Mapping[str, Any]
    what: str
    error: type[SchemaError]

    @classmethod
    def parse(cls, text: str | bytes, what: str, error: type[SchemaError]) -> Self:
        """Parse a text that must be an object.

        Raises:
            SchemaError: of the class given: no JSON, or none that is an object.
        """
        try:
            fields = json.loads(text)
        # Deep nesting ends in RecursionError; a number of thousands of digits is a ValueError.
        except (ValueError, RecursionError) as cause:
            raise error(f"{what} is no JSON: {cause}") from None
        return cls.of(fields, what, error)

    @classmethod
    def of(cls, value: object, what: str, error: type[SchemaError]) -> Self:
        """Take a value that must be an object."""
        if not isinstance(value, dict):
            raise error(f"{what} is no JSON object")
        return cls(value, what, error)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def check_version(self, known: int) -> None:
        """Refuse another version than the one this code reads."""
        version = self.natural("v")
        if version != known:
            raise self.error(f"{self.what} has version {version}; this release reads version {known}")

    def text(self, name: str) -> str:
        """A string."""
        value = self._field(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        return value

    def natural(self, name: str) -> int:
        """A whole number from 0 to 2^63 - 1."""
        value = self._field(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LONG_MAX:
            raise self._wrong(name, "a whole number from 0 on", value)
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._field(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FLOAT_MAX:
            raise self._wrong(name, "a finite number", value)
        return float(value)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._field(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def time(self, name: str) -> int:
        """A time as text, in microseconds since 1970 UTC."""
        try:
            return parse_timestamp(self.text(name))
        except TimestampError as cause:
            raise self.error(f"{self.what}: {name}: {cause}") from None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of strings", values)
        return tuple(values)

    def child(self, name: str) -> "JsonObject":
        """An object."""
        return JsonObject.of(self._field(name), f"{self.what}: {name}", self.error)

    def children(self, name: str) -> "Iterator[JsonObject]":
        """A list of objects."""
        for index, value in enumerate(self._list(name)):
            yield JsonObject.of(value, f"{self.what}: {name}[{index}]", self.error)

    def _field(self, name: str) -> Any:
        if name not in self.fields:
            raise self.error(f"{self.what} has no {name}")
        return self.fields[name]

    def _list(self, name: str) -> list[Any]:
        values = self._field(name)
        if not isinstance(values, list):
            raise self._wrong(name, "a list", values)
        return values

    def _wrong(self, name: str, expected: str, value: object) -> SchemaError:
        return self.error(f"{self.what}: {name} should be {expected}, not {repr(value)[:80]}")
