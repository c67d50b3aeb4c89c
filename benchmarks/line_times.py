"""A process that runs a module of ours and writes down when each line of its output came."""

import json
import subprocess
import sys
import time

import click

from schemas.timestamp import parse_timestamp


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("module", nargs=-1, type=click.UNPROCESSED)
def watch(module: tuple[str, ...]) -> None:
    """Run `python -m MODULE ...`; print [s on the monotonic clock, observation time in s] of each line."""
    lines: list[tuple[float, bytes]] = []
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        if process.stdout is not None:
            with open(process.stdout.fileno(), "rb", closefd=False) as output:
                lines.extend((time.monotonic(), line) for line in output)
    if process.returncode:
        raise click.ClickException(f"{' '.join(module)} ended with status {process.returncode}")
    print(json.dumps([(at_s, parse_timestamp(json.loads(line)["timestamp"]) / 1e6) for at_s, line in lines]))


if __name__ == "__main__":
    watch()
