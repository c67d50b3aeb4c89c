"""Makes the chart's documents of its values."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from helm.documents.value import Schema, Section, Value
from helm.documents.values import VALUES

CHART: Final = Path(__file__).parents[1] / "trapline"
BEGIN: Final = "<!-- values: begin -->\n"
END: Final = "<!-- values: end -->\n"
_WIDTH: Final = 110
_MADE: Final = "Made by `python -m helm.documents` of helm/documents/values.py."


def documents() -> dict[Path, str]:
    """Each file with the text that it should have."""
    page = CHART / "README.md"
    return {
        CHART / "values.yaml": values_yaml(),
        CHART / "values.schema.json": json.dumps(values_schema(), indent=2) + "\n",
        page: with_table(page.read_text()),
    }


def values_yaml() -> str:
    """The defaults, each with what it means above it."""
    return "\n".join([f"# {_MADE}", "", *_yaml_lines(VALUES, "")]) + "\n"


def values_schema() -> Schema:
    """A JSON Schema that is closed, and describes each key."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": _MADE,
        "title": VALUES.description,
        **_schema(VALUES),
    }


def with_table(page: str) -> str:
    """The page with the table of values in it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [("value", "default", "meaning"), ("---",) * 3, *_rows(VALUES, "")]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    return f"{before}{BEGIN}{table}{END}{after}"


def _yaml_lines(section: Section, indent: str) -> Iterator[str]:
    for name, entry in section.keys.items():
        width = _WIDTH - len(indent) - 2
        yield from (f"{indent}# {line}" for line in textwrap.wrap(entry.description, width))
        if isinstance(entry, Section):
            yield f"{indent}{name}:"
            yield from _yaml_lines(entry, indent + "  ")
        else:
            yield f"{indent}{name}: {_plain(entry.default)}"  # JSON is YAML
        if not indent:
            yield ""


def _schema(entry: Section | Value) -> Schema:
    if isinstance(entry, Value):
        return {**entry.schema, "description": entry.description}
    properties: dict[str, Any] = {name: _schema(each) for name, each in entry.keys.items()}
    if entry is VALUES:  # Helm's own, for charts that hold this one
        properties["global"] = {"type": "object", "description": "Of a chart around this one; not looked at."}
    return {
        "type": "object",
        "additionalProperties": False,
        "description": entry.description,
        "properties": properties,
    }


def _rows(section: Section, path: str) -> Iterator[tuple[str, str, str]]:
    for name, entry in section.keys.items():
        if isinstance(entry, Section):
            yield from _rows(entry, f"{path}{name}.")
        else:
            yield f"`{path}{name}`", f"`{_plain(entry.default)}`", entry.description


def _plain(default: object) -> str:
    return json.dumps(default)
