"""The settings of connector and grouper that the chart passes on under their own names."""

import types
import typing
from typing import Any, Final, Literal

from connector.settings import ConnectorSettings
from grouper.settings import GrouperSettings
from helm.documents.value import Schema, Value
from runtime.setting_types import CommandLine
from runtime.settings import TraplineSettings

# What the chart sets itself, from values that say more than one setting.
_BY_THE_CHART: Final = {
    *TraplineSettings.model_fields,
    *("share", "share_copies", "spool", "spool_dir", "spool_max_bytes", "fsync", "flush_timeout_s"),
    *("grouper_group_id", "group_instance_id", "session_timeout_s", "reorder_grace_s"),
}
_KINDS: Final[dict[Any, str]] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def settings_value(cls: type[TraplineSettings], room: str) -> Value:
    """`ROOM.settings`: a closed object with the settings of a process, by their own names.

    Args:
        cls: the settings of the process.
        room: its name.
    """
    fields = {name: field for name, field in cls.model_fields.items() if name not in _BY_THE_CHART}
    return Value(
        f"Further settings of the {room}, by their own names (`trapline {room} --help`), such as "
        f"{', '.join(list(fields)[:3])}.",
        {},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {**_schema(field.annotation, field.metadata), "description": field.description}
                for name, field in fields.items()
            },
        },
    )


def _schema(annotation: Any, metadata: list[Any]) -> Schema:
    """What may be said; its bounds are the process's own to check, which says more about them."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (annotation,) = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) is Literal:
        return {"enum": list(typing.get_args(annotation))}
    if any(isinstance(part, CommandLine) and part.metavar == "BYTES" for part in metadata):
        return {"type": ["integer", "string"]}
    return {"type": _KINDS[annotation]}


CONNECTOR: Final = settings_value(ConnectorSettings, "connector")
GROUPER: Final = settings_value(GrouperSettings, "grouper")
