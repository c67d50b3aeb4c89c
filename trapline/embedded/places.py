"""Where the embedded Kafka keeps things: the jars in a cache, the records in a data folder."""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """TRAPLINE_CACHE_DIR, else the XDG cache folder: what is in it can be downloaded or made again."""
    named = os.environ.get("TRAPLINE_CACHE_DIR")
    return Path(named).expanduser() if named else _xdg("XDG_CACHE_HOME", ".cache") / "trapline"


def default_data_dir() -> Path:
    """The XDG data folder of `trapline broker`: the records themselves."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "trapline" / "kafka"


def _xdg(variable: str, below_home: str) -> Path:
    """The XDG base folder; the specification says that relative paths are to be ignored."""
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / below_home
