"""The fuzz targets by name: each takes any bytes, and raises where a promise of schemas/ is broken."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.fuzz.header_targets import check_cards, check_image, check_time, check_window
from tests.fuzz.record_targets import check_catalogue, check_headers, check_metadata, check_source
from tests.fuzz.stream_target import check_stream
from tests.fuzz.verdict import bounded_time

CORPUS: Final = Path(__file__).parent / "corpus"
"""A folder a target. Inputs, one a file: seeds, what reached code that no seed reaches, past findings."""

TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = MappingProxyType(
    {
        "stream": check_stream,
        "cards": check_cards,
        "window": check_window,
        "image": check_image,
        "time": check_time,
        "headers": check_headers,
        "catalogue": check_catalogue,
        "metadata": check_metadata,
        "source": check_source,
    }
)


def run(target: str, data: bytes) -> None:
    """Give one input to a target.

    Raises:
        Exception: a finding: anything at all.
    """
    with bounded_time():
        TARGETS[target](data)


def corpus(target: str) -> dict[str, bytes]:
    """The inputs of a target by file name."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / target).iterdir())}
