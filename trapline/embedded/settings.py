"""The settings of `trapline broker`: names begin with `broker_`; on the command line they do without it."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from runtime.settings import CommandLine, ProcessSettings

FolderPath = Annotated[Path, AfterValidator(Path.expanduser)]


def _one_or_three(nodes: int | None) -> int | None:
    """Two would stop when either dies, and more than three is what a real cluster is for."""
    if nodes not in {None, 1, 3}:
        raise ValueError("is neither 1 nor 3")
    return nodes


class BrokerSettings(ProcessSettings):
    """Settings of `trapline broker`."""

    broker_data: Annotated[FolderPath | None, CommandLine(option="--data", metavar="DIR")] = Field(
        default=None,
        description="Folder of the records; without it, trapline/kafka in the user's data folder "
        "(XDG_DATA_HOME, ~/.local/share).",
    )
    broker_port: Annotated[int, CommandLine(option="--port")] = Field(
        default=9092,
        ge=0,
        le=65_535,
        description="Port of clients on 127.0.0.1; 0: the one used with this data before, or any free one. "
        "Further nodes have the next ones.",
    )
    broker_nodes: Annotated[
        int | None, AfterValidator(_one_or_three), CommandLine(option="--nodes", metavar="1|3")
    ] = Field(
        default=None,
        description="Nodes of the cluster, a process each, about 0.65 GB of memory each; their ports follow "
        "on --port. With 3, each record is on three of them and acknowledged by two, and any one may "
        "die. Without it: as many as the data folder has, a new one has 1.",
    )
    broker_ready_file: Annotated[Path | None, CommandLine(option="--ready-file", metavar="FILE")] = Field(
        default=None,
        description="Write the addresses here, as a value of TRAPLINE_BOOTSTRAP_SERVERS, once Kafka answers; "
        "removed at the end.",
    )
    cache_dir: Annotated[FolderPath | None, CommandLine(option="--cache-dir", metavar="DIR")] = Field(
        default=None,
        description="Folder of Kafka's jars, which are downloaded once; without it, trapline in the user's "
        "cache folder (XDG_CACHE_HOME, ~/.cache).",
    )
