"""A process that serves all there is, as `trapline serve` does, and writes down when groups were due."""

import json

import click

from consumer.cadence import Cadence, parse_speed
from consumer.group_range import GroupRange
from consumer.serving.service import ServeService
from consumer.serving.settings import ServeSettings
from runtime.process import running
from runtime.settings import load_settings


@click.command()
@click.option("--ports-file", required=True, help="Where to write the addresses.")
@click.option("--speed", required=True, help="How many times as fast as it was observed, or max.")
@click.option("--limit", type=int, help="At most so many groups.")
def serve(ports_file: str, speed: str, limit: int | None) -> None:
    """Serve; write [[timestamp_us, due_s, began_s], …], on the monotonic clock."""
    settings = load_settings(ServeSettings, overrides={"serve_port": 0, "serve_ports_file": ports_file})
    sent: list[tuple[int, float, float]] = []
    service = ServeService(
        settings,
        GroupRange(limit=limit),
        Cadence(parse_speed(speed)),
        announce=lambda _programme, _sources: None,
        on_played=lambda played: sent.append((played.group.timestamp_us, played.due_s, played.began_s)),
    )
    with running("serve", settings, live=service.problem, ready=service.not_ready) as shutdown:
        service.run(shutdown)
    print(json.dumps(sent))


if __name__ == "__main__":
    serve()
