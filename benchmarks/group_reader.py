"""A process that reads groups as a user's program does: GroupStream, nothing else."""

import json
import time

import click

from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.settings import load_settings


@click.command()
@click.option("--groups", type=int, required=True, help="Groups to read, then end.")
@click.option("--group-id", help="A consumer group: each group's position is committed.")
@click.option("--times", default=1, help="Read these groups so many times; each begins a group id anew.")
def read(groups: int, group_id: str | None, times: int) -> None:
    """Take groups as fast as they come; write what benchmarks.readings reads."""
    settings = load_settings(ConsumerSettings)
    readings: list[tuple[float, int, float]] = []
    for number in range(times):
        name = f"{group_id}-{number}" if group_id is not None else None
        with GroupStream(settings, group_id=name, start="beginning", max_groups=groups) as stream:
            for group in stream:
                now_s = time.time()
                readings.append((now_s, group.size_bytes, now_s - group.received_us / 1e6))
    print(json.dumps(readings))


if __name__ == "__main__":
    read()
