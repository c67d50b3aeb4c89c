"""`trapline connector`: image servers -> raw."""

import click

from connector.heap import share_one_heap
from connector.service import ConnectorService
from connector.settings import ConnectorSettings
from runtime.logs import get_logger
from runtime.options import settings_options
from runtime.process import running
from trapline.verb import Verb

log = get_logger(__name__)


@click.command(
    "connector",
    cls=Verb,
    examples="""
        trapline connector --source sb0=tcp://10.0.0.1:6666 --source sb1=tcp://10.0.0.2:6666
        TRAPLINE_SOURCES=sb0=tcp://10.0.0.1:6666,sb1=tcp://10.0.0.2:6666 trapline connector --http-port 9101
        # images that arrive transposed against their WCS, as from the telescope's old emulator
        trapline connector --source 'sb0=tcp://10.0.0.1:6666?pixel_order=transposed'
        # a small machine: images of 1024 x 1024, at most 256 MiB of them in memory
        trapline connector --config trapline.toml --max-frame-bytes 8MiB --queue-max-bytes 256MiB
        # each frame to disk first, so that neither a kill nor an outage of Kafka costs one
        trapline connector --config trapline.toml --spool through --spool-dir /var/spool/trapline
    """,
)
@settings_options(ConnectorSettings)
def command(settings: ConnectorSettings) -> None:
    """Read image servers and write each frame, verbatim, to PREFIX.raw.

    What is no usable frame goes to PREFIX.rejects with its reason. When Kafka is away or slow, frames wait
    in memory, and with --spool on disk; when all is full, nothing is read, and nothing is discarded. SIGTERM
    delivers what was read before it ends, or leaves it in the spool for the next run; status 1 says that
    some of it could be neither. A SIGKILL costs the frames in memory; with --spool through, none.
    """
    share_one_heap()
    service = ConnectorService(settings)
    with running("connector", settings, live=service.stuck, ready=service.not_ready) as shutdown:
        summary = service.run(shutdown)
    log.info(
        "connector stopped",
        frames=summary.frames,
        read_bytes=summary.read_bytes,
        delivered=summary.delivered,
        rejects=summary.rejects,
        spooled=summary.spooled,
    )
