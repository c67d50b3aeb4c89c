"""`trapline broker`: Apache Kafka here and now."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from runtime.options import settings_options
from runtime.shutdown import Shutdown
from trapline.embedded import EmbeddedKafka, EmbeddedKafkaError
from trapline.embedded.console import ConsoleProgress
from trapline.embedded.places import default_data_dir
from trapline.embedded.settings import BrokerSettings
from trapline.verb import Verb

_LOOK_INTERVAL_S = 0.5


@click.command(
    "broker",
    cls=Verb,
    examples="""
        trapline broker
        trapline broker --data /data/kafka --port 19092
        # three nodes, of which any one may be killed
        trapline broker --nodes 3
        # any free port; other processes find it in the file
        trapline broker --port 0 --ready-file kafka.address
    """,
)
@settings_options(BrokerSettings, exclude=("http_host", "http_port"))
def command(settings: BrokerSettings) -> None:
    """Run Apache Kafka on this machine, without Docker or a system Java.

    One broker, or a cluster with --nodes 3, for this machine alone (127.0.0.1), durable in its data
    folder. The first start downloads Kafka, 45 MB; later ones need no network. Prints a line once clients
    are answered. Ctrl-C or SIGTERM stops it in order; started again on the same data it goes on with all
    of it. Of a cluster, a node that dies is started again, while the others go on.
    """
    progress = ConsoleProgress()
    data = settings.broker_data or default_data_dir()
    kafka = EmbeddedKafka(
        data,
        settings.broker_port,
        nodes=settings.broker_nodes,
        cache=settings.cache_dir,
        progress=progress,
    )
    with _interruptible():
        try:
            if settings.broker_ready_file is not None:
                settings.broker_ready_file.unlink(missing_ok=True)  # of a broker that was killed
            kafka.start()
        finally:
            progress.close()
    with Shutdown() as shutdown:
        try:
            _tell(kafka, settings.broker_ready_file)
            _run(kafka, shutdown)
        finally:
            clean = kafka.stop()
            if settings.broker_ready_file is not None:
                settings.broker_ready_file.unlink(missing_ok=True)
    click.echo(
        "Kafka stopped" if clean else "Kafka did not stop in time and was killed; the next start recovers"
    )


def _tell(kafka: EmbeddedKafka, ready_file: Path | None) -> None:
    """One line for people, and the file for programs."""
    click.echo(f"Kafka is ready at {kafka.bootstrap_servers}; data in {kafka.data}; Ctrl-C stops it")
    sys.stdout.flush()
    if ready_file is None:
        return
    partial = ready_file.with_name(ready_file.name + ".tmp")
    try:
        partial.write_text(kafka.bootstrap_servers + "\n", encoding="ascii")
        partial.replace(ready_file)
    except OSError as error:
        raise EmbeddedKafkaError(f"cannot write --ready-file {ready_file}: {error.strerror}") from error


def _run(kafka: EmbeddedKafka, shutdown: Shutdown) -> None:
    """Until somebody asks for a stop.

    Raises:
        EmbeddedKafkaError: Kafka ended by itself, or a node of a cluster does not start again.
    """
    while not shutdown.wait(_LOOK_INTERVAL_S):
        if kafka.running:
            continue
        dead = [each for each in kafka.nodes if not each.running]
        if len(dead) == len(kafka.nodes):
            raise EmbeddedKafkaError(
                f"Kafka ended by itself; its logs in {kafka.data} end with:\n{kafka.last_words()}\n"
                "The records are safe; start again once the cause is gone"
            )
        for each in dead:
            number = each.node.node_id
            click.echo(f"node {number} ended (status {each.status}); starting it again", err=True)
            kafka.start_node(number)
            click.echo(f"node {number} is back at {each.node.address}", err=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM interrupts a start as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
