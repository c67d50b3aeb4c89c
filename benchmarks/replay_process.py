"""A process that replays as `trapline replay` does, and writes down when groups were due."""

import json
import sys
from pathlib import Path

import click

from consumer.cadence import Schedule
from trapline import cli


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("due_file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def replay(due_file: Path, options: tuple[str, ...]) -> None:
    """Run `trapline replay OPTIONS`; write [[timestamp_us, due_s], …], on the monotonic clock, to a file."""
    due: list[tuple[int, float]] = []
    asked = Schedule.due_s

    def noted(schedule: Schedule, timestamp_us: int, now_s: float) -> float:
        due_s = asked(schedule, timestamp_us, now_s)
        due.append((timestamp_us, due_s))
        return due_s

    Schedule.due_s = noted  # type: ignore[method-assign]  # all else is the verb's own
    status = cli.run(["replay", *options])
    due_file.write_text(json.dumps(due))
    sys.exit(status)


if __name__ == "__main__":
    replay()
