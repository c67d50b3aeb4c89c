"""The JSON Schemas and the AsyncAPI document that describe the topics to the rest of the world."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

JSON_SCHEMAS: Final = (
    "raw-headers",
    "image-headers",
    "catalogue-headers",
    "reject-headers",
    "catalogue-entry",
    "offset-metadata",
)
"""The names `json_schema` knows."""


def json_schema(name: str) -> dict[str, Any]:
    """A JSON Schema (2020-12) by its name without '.schema.json'.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in JSON_SCHEMAS:
        raise ValueError(f"no JSON Schema is called {name!r}; there are {', '.join(JSON_SCHEMAS)}")
    schema: dict[str, Any] = json.loads(_text(f"{name}.schema.json"))
    return schema


def asyncapi() -> str:
    """The AsyncAPI 3 document of the four topics, as YAML text; its $refs name the JSON Schemas beside it."""
    return _text("asyncapi.yaml")


@cache
def _text(name: str) -> str:
    return files("schemas").joinpath("json", name).read_text(encoding="utf-8")
