"""The settings of `trapline serve`: names begin with `serve_`; on the command line they do without it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from consumer.settings import ConsumerSettings
from runtime.settings import CommandLine


class ServeSettings(ConsumerSettings):
    """How history is served."""

    serve_host: Annotated[str, CommandLine(option="--host")] = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all."
    )
    serve_port: Annotated[int, CommandLine(option="--port")] = Field(
        default=6666,
        ge=0,
        le=65_535,
        description="Port of the first source, the others follow; 0 takes free ones.",
    )
    serve_ports_file: Annotated[Path | None, CommandLine(option="--ports-file", metavar="FILE")] = Field(
        default=None,
        description="Write the addresses here, as a value of TRAPLINE_SOURCES, once they answer.",
    )
    serve_wait_for_clients: Annotated[int, CommandLine(option="--wait-for-clients", metavar="NUMBER")] = (
        Field(
            default=1,
            ge=0,
            description="Clients that each source waits for before the first group. Unless it is 0, playing "
            "also stands still while a source has no client, and no frame is played to nobody.",
        )
    )
    serve_drop_stalled_s: Annotated[float | None, CommandLine(option="--drop-stalled", metavar="SECONDS")] = (
        Field(
            default=None,
            gt=0,
            description="Disconnect a client that takes no byte for so long while all wait for it. Without "
            "this, it is waited for.",
        )
    )
    serve_revisions: Annotated[Literal["last", "first", "all"], CommandLine(option="--revisions")] = Field(
        default="last",
        description="Of a timestamp that was published again with a late image: the newest publication, in "
        "the place of the first; the first; or each, where it lies.",
    )
    serve_verbatim_only: Annotated[bool, CommandLine(option="--verbatim-only")] = Field(
        default=False,
        description="Leave out groups of which raw no longer has every frame, instead of rebuilding those "
        "frames from the groups topic.",
    )
