"""What a value of the chart is, and the few kinds of values that there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Schema = dict[str, Any]

STRINGS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
OPEN: Final[Schema] = {"type": "object", "additionalProperties": True}
"""An object of Kubernetes' own, which Kubernetes checks."""


@dataclass(frozen=True, slots=True)
class Value:
    """One key that holds a value.

    Attributes:
        description: what it is, for people.
        default: what holds where nothing is said.
        schema: the JSON Schema of what may be said, without description and default.
    """

    description: str
    default: Any
    schema: Schema = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A key that holds others.

    Attributes:
        description: what they are about.
        keys: they.
    """

    description: str
    keys: Mapping[str, "Value | Section"]


def text(default: str, description: str, **more: Any) -> Value:
    """A text."""
    return Value(description, default, {"type": "string", **more})


def number(default: float | None, description: str, *, whole: bool = True, **more: Any) -> Value:
    """A number; with None as default, one that may be left out."""
    kind = "integer" if whole else "number"
    return Value(description, default, {"type": [kind, "null"] if default is None else kind, **more})


def size(default: int | str | None, description: str) -> Value:
    """A number of bytes, as Trapline's settings take it."""
    kinds = ["integer", "string", *(["null"] if default is None else [])]
    return Value(description, default, {"type": kinds, "minimum": 1, "pattern": "^[0-9]+ ?([KMGT]i?)?B?$"})


def on(description: str) -> Value:
    """Yes, unless something else is said."""
    return Value(description, default=True, schema={"type": "boolean"})


def off(description: str) -> Value:
    """No, unless something else is said."""
    return Value(description, default=False, schema={"type": "boolean"})


def choice(default: str, options: Sequence[str], description: str) -> Value:
    """One of several words."""
    return Value(description, default, {"enum": list(options)})


def strings(description: str, default: Mapping[str, str] | None = None) -> Value:
    """Names with texts, such as labels and annotations."""
    return Value(description, dict(default or {}), STRINGS)


def objects(description: str, default: Sequence[Any] = ()) -> Value:
    """A list of objects of Kubernetes."""
    return Value(description, list(default), {"type": "array", "items": OPEN})


def opaque(description: str, default: Mapping[str, Any] | None = None) -> Value:
    """One object of Kubernetes."""
    return Value(description, dict(default or {}), OPEN)
