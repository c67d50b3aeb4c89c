"""`trapline emulator`."""

from typing import Any

import click

from emulator.misbehaviour import FAULTS
from emulator.service import EmulatorService
from emulator.settings import EmulatorSettings
from runtime.logs import configure_logs
from runtime.options import settings_options
from runtime.process import running
from trapline.verb import Verb


def _list_faults(ctx: click.Context, _param: click.Parameter, wanted: Any) -> None:
    if wanted:
        for fault, meaning in FAULTS.items():
            click.echo(f"{fault:<13} {meaning}")
        ctx.exit()


@click.command(
    "emulator",
    cls=Verb,
    examples="""
        trapline emulator
        # full size, as fast as the clients read, 100 timestamps, with a record of what was sent
        trapline emulator --rate max --frames 100 --truth truth.jsonl
        # small oblong images, ten a second, on free ports
        trapline emulator --sources 3 --size 320x240 --rate 10 --port 0 --ports-file ports.txt
        # a folder of FITS files, with the times they were taken at
        trapline emulator --fits images/ --keep-dates --rate 5
        # each twentieth timestamp, one source sends half a frame and hangs up
        trapline emulator --misbehave cut:every=20 --misbehave garbage:every=7:source=sb2
    """,
)
@click.option(
    "--faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="List what --misbehave can do.",
)
@settings_options(EmulatorSettings)
def command(settings: EmulatorSettings) -> None:
    """Serve images like a telescope's image servers, to any number of clients.

    Prints the servers' addresses as a value for the connector's TRAPLINE_SOURCES.
    """
    configure_logs(settings.log_level, settings.log_format)
    service = EmulatorService(settings, announce=lambda value: print(value, flush=True))
    with running("emulator", settings, live=service.problem, ready=service.problem) as shutdown:
        service.run(shutdown)
