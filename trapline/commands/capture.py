"""`trapline capture`: image servers -> files of frames."""

import click

from connector.capture import CaptureService
from connector.capture_settings import CaptureSettings
from runtime.options import settings_options
from runtime.process import running
from trapline.verb import Verb


@click.command(
    "capture",
    cls=Verb,
    examples="""
        trapline capture --source sb0=tcp://10.0.0.1:6666 --source sb1=tcp://10.0.0.2:6666 --output night
        # a minute of it; ten images of each source
        trapline capture --source sb0=tcp://10.0.0.1:6666 --output minute --seconds 60
        trapline capture --source sb0=tcp://10.0.0.1:6666 --output ten --frames 10
        # and into Kafka, today or next year
        trapline connector --source sb0=file://$PWD/night/sb0 --source sb1=file://$PWD/night/sb1
    """,
)
@settings_options(CaptureSettings, exclude=("max_reject_bytes",))
def command(settings: CaptureSettings) -> None:
    """Record image servers to files that `trapline connector --source NAME=file://...` publishes.

    DIR/NAME gets files of verbatim frames, whose names sort as they were written. What is no whole frame is
    counted and not recorded; a connector may read the same servers meanwhile. Ctrl-C, --seconds or --frames
    end it; then it prints the --source that publishes the recording, a line each. Status 1 says that a file
    could not be written, or that nothing came.
    """
    service = CaptureService(settings)
    with running("capture", settings, live=service.stuck, ready=service.not_ready) as shutdown:
        captured = service.run(shutdown)
    for each in captured:
        if each.frames:
            click.echo(str(each.source))
