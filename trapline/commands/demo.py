"""`trapline demo`: everything at once."""

import shutil
import sys
import tempfile
from pathlib import Path

import click

from emulator.settings import EmulatorSettings
from runtime.logs import configure_logs
from runtime.settings import load_settings
from trapline.demo.processes import forget_own_settings
from trapline.demo.show import Demo, Scale, summary
from trapline.verb import Verb


@click.command(
    "demo",
    cls=Verb,
    examples="""
        trapline demo
        trapline demo --groups 0                     # until Ctrl-C
        trapline demo --size 2048 --sources 16 --groups 5
    """,
)
@click.option(
    "--groups",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Stop after so many; 0: never.",
)
@click.option("--sources", type=click.IntRange(min=1), default=6, show_default=True, help="Image servers.")
@click.option(
    "--size", default="1024", show_default=True, metavar="N|NAXIS1xNAXIS2", help="Pixels of an image."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Timestamps a second.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the logs, the truth file and the last group as FITS; each run makes one of its own "
    "inside. Kafka's data is there too, until a run ended well.",
)
def command(groups: int, sources: int, size: str, rate: float, output: Path) -> int:
    """Show the main job on this machine: image servers -> connector -> Kafka -> grouper -> reader.

    Each is a process of its own, as in production. Every group is compared with what the image servers
    sent. The exit status is 0 only if every group was complete and equal to it. Settings of your own
    (TRAPLINE_*) don't count here: the demo has a Kafka, topics and sources of its own.
    """
    forget_own_settings()
    configure_logs("warning", "auto")
    # Judged before anything is started; what is wrong here would end the image servers later.
    load_settings(
        EmulatorSettings,
        overrides={"emulator_sources": sources, "emulator_size": size, "emulator_rate": f"{rate:g}"},
        option_names={"emulator_sources": "--sources", "emulator_size": "--size", "emulator_rate": "--rate"},
    )
    output.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=output))
    demo = Demo(Scale(groups, sources, size, rate), folder, lambda line: print(line, flush=True))
    result = demo.run()
    print(f"\n{summary(result)}")
    print(f"Logs of every process are in {folder}.")
    if not result.good:
        print(f"Kafka's data is kept in {folder / 'kafka'}.")
        sys.stderr.write("trapline: error: the demo did not show what it promises; see above\n")
        return 1
    shutil.rmtree(folder / "kafka", ignore_errors=True)  # images add up over runs; the FITS file is kept
    return 0
