"""What users import and type.

`from trapline import stream_generator` is the drop-in for TraP's `tkp.stream`; `GroupStream` is the
same stream of timestamp groups for notebooks and programs, `open_groups` finds groups of the past, and
`group_range` says which groups, as the options of the command line do.
Each is loaded when it is first asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapline.rooms import check_rooms
from trapline.version import __version__

check_rooms(Path(__file__).parent.parent)

if TYPE_CHECKING:
    from consumer.errors import (
        AccessError,
        AuthenticationError,
        BrokerUnreachableError,
        ExportError,
        FencedError,
        GapError,
        ImagesGoneError,
        RangeError,
        StartError,
        StreamError,
        TopicMissingError,
    )
    from consumer.group import Group, Image
    from consumer.group_range import GroupRange, group_range
    from consumer.past_groups import PastGroups, open_groups
    from consumer.stream import GroupStream
    from consumer.trap import stream_generator
    from runtime.errors import SettingsError
    from schemas.errors import SchemaError, TraplineError

__all__ = [
    "AccessError",
    "AuthenticationError",
    "BrokerUnreachableError",
    "ExportError",
    "FencedError",
    "GapError",
    "Group",
    "GroupRange",
    "GroupStream",
    "Image",
    "ImagesGoneError",
    "PastGroups",
    "RangeError",
    "SchemaError",
    "SettingsError",
    "StartError",
    "StreamError",
    "TopicMissingError",
    "TraplineError",
    "__version__",
    "group_range",
    "open_groups",
    "stream_generator",
]

_PUBLIC = {
    "consumer.errors": (
        "AccessError",
        "AuthenticationError",
        "BrokerUnreachableError",
        "ExportError",
        "FencedError",
        "GapError",
        "ImagesGoneError",
        "RangeError",
        "StartError",
        "StreamError",
        "TopicMissingError",
    ),
    "consumer.group": ("Group", "Image"),
    "consumer.group_range": ("GroupRange", "group_range"),
    "consumer.past_groups": ("PastGroups", "open_groups"),
    "consumer.stream": ("GroupStream",),
    "consumer.trap": ("stream_generator",),
    "runtime.errors": ("SettingsError",),
    "schemas.errors": ("SchemaError", "TraplineError"),
}
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name: astropy and Kafka's client take a second that --help need not spend."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trapline' has no attribute {name!r}")
    if _HOMES[name].startswith("consumer."):
        import_module("trapline.declared_settings")  # so that the keys of other processes are known as such
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
