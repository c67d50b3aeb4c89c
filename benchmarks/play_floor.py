"""The floor of serving as fast as it goes: a bare loop that consumes raw and sends each frame to a client."""

import socket
from pathlib import Path

import click
from confluent_kafka import TopicPartition

from benchmarks.plan import SOURCES
from runtime.kafka import log_consumer
from runtime.settings import TraplineSettings, load_settings


@click.command()
@click.option("--ports-file", required=True, help="Where to write the addresses.")
@click.option("--frames", type=int, required=True, help="Frames to send, then end.")
def play(ports_file: str, frames: int) -> None:
    """Send to one client a source; in raw the sources come in turn."""
    settings = load_settings(TraplineSettings)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(SOURCES)]
    addresses = [f"sb{n}=tcp://127.0.0.1:{each.getsockname()[1]}" for n, each in enumerate(listeners)]
    Path(ports_file).write_text(",".join(addresses), encoding="utf-8")
    clients = [listener.accept()[0] for listener in listeners]
    consumer = log_consumer(settings, group_id=None)
    consumer.assign([TopicPartition(settings.topics.raw, 0, 0)])
    sent = 0
    while sent < frames:
        message = consumer.poll(0.1)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            raise click.ClickException(error.str())
        clients[sent % SOURCES].sendall(message.value() or b"")
        sent += 1
    consumer.close()
    for each in (*clients, *listeners):
        each.close()


if __name__ == "__main__":
    play()
