"""The file that says where servers listen, for who starts their clients."""

from pathlib import Path

from runtime.image_server.errors import PortError


def write_ports_file(path: Path, sources_value: str) -> None:
    """Write a value of TRAPLINE_SOURCES to a file that nobody ever sees half-written.

    Raises:
        PortError: it cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_text(sources_value + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise PortError(
            f"cannot write the ports file {path}: {error.strerror}; choose another --ports-file"
        ) from error
