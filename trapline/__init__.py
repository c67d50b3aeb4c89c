"""What users import and type.

`from trapline import stream_generator` is the drop-in for TraP's `tkp.stream`; `GroupStream` is the
same stream of timestamp groups for notebooks and programs. Each is loaded when it is first asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapline.rooms import check_rooms
from trapline.version import __version__

check_rooms(Path(__file__).parent.parent)

if TYPE_CHECKING:
    from consumer.group import Group, Image
    from consumer.stream import GroupStream
    from consumer.trap import stream_generator
    from schemas.errors import TraplineError

__all__ = ["Group", "GroupStream", "Image", "TraplineError", "__version__", "stream_generator"]

_HOMES = {
    "Group": "consumer.group",
    "GroupStream": "consumer.stream",
    "Image": "consumer.group",
    "TraplineError": "schemas.errors",
    "stream_generator": "consumer.trap",
}


def __getattr__(name: str) -> Any:
    """Load a public name: astropy and Kafka's client take a second that --help need not spend."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trapline' has no attribute {name!r}")
    if _HOMES[name].startswith("consumer."):
        import_module("trapline.all_settings")  # so that the keys of other processes are known as such
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
