"""Checks of Kafka itself: does it answer, what is it, and how many copies does it keep of its own topics."""

import platform
import socket
import time
from typing import Final

import confluent_kafka

from runtime.kafka import require_kafka
from trapline.doctor.outcome import Outcome, Problem, failure, not_done, warning
from trapline.doctor.subject import Subject
from trapline.version import __version__

_CONNECT_S: Final = 3.0
_COPIES: Final = 3
_INTERNAL: Final = {
    "__consumer_offsets": "offsets.topic.replication.factor",
    "__transaction_state": "transaction.state.log.replication.factor",
}


def broker(subject: Subject) -> Outcome:
    """Kafka answers, and each broker can be reached where it says it is."""
    settings = subject.settings
    require_kafka(subject.admin, min(settings.broker_wait_s, 10.0))
    began_s = time.monotonic()
    subject.admin.list_topics(timeout=10.0)
    round_trip_s = time.monotonic() - began_s
    problems = [
        warning(
            f"{address} of TRAPLINE_BOOTSTRAP_SERVERS does not answer: {reason}",
            "take it out, or see why that broker is away; others answer",
        )
        for address in settings.bootstrap_servers.split(",")
        if (reason := _unreachable(*_host_and_port(address)))
    ]
    problems += [
        failure(
            f"broker {node.id} calls itself {node.host}:{node.port}, and nobody answers there: {reason}",
            "partitions that it leads can't be used from here: is it down, is the name known on this "
            "machine, "
            "is advertised.listeners right, is a firewall between?",
        )
        for node in subject.brokers
        if (reason := _unreachable(node.host, node.port))
    ]
    named = ", ".join(f"{node.host}:{node.port}" for node in subject.brokers)
    return Outcome(
        f"{len(subject.brokers)} at {named}; answers in {round_trip_s * 1000:.0f} ms", tuple(problems)
    )


def versions(subject: Subject) -> Outcome:
    """What speaks to what.

    Kafka does not tell its release. What can be told is which settings a broker has: the bounds of record
    times came with 3.6 (KIP-937), and what was ZooKeeper's went with 4.0.
    """
    ours = (
        f"trapline {__version__}, Python {platform.python_version()}, confluent-kafka "
        f"{confluent_kafka.version()}, librdkafka {confluent_kafka.libversion()[0]}"
    )
    config = subject.broker_config
    if config is None:
        return Outcome(f"{ours}; Kafka's is not known: this user may not read the broker's settings")
    if "log.message.timestamp.after.max.ms" not in config:
        return Outcome(
            f"{ours}; Kafka older than 3.6",
            (
                failure(
                    "Kafka before 3.6 has no message.timestamp.after.max.ms, so the catalogue can't be an "
                    "index "
                    "by observation time",
                    "use Kafka 4, with which trapline is tested",
                ),
            ),
        )
    if "zookeeper.connect" in config:
        return Outcome(
            f"{ours}; Kafka 3.6 to 3.9", (warning("trapline is tested with Kafka 4", "use Kafka 4"),)
        )
    return Outcome(f"{ours}; Kafka 4.0 or later")


def replication(subject: Subject) -> Outcome:
    """How many copies there are of Kafka's own topics, and whether all copies of ours are in sync."""
    brokers = len(subject.brokers)
    wanted = min(_COPIES, brokers)
    asked = subject.describe([*_INTERNAL, *subject.settings.topics.all()])
    described = {topic: description for topic, description in asked.items() if description is not None}
    hidden = asked.keys() - described.keys()
    problems: list[Problem] = []
    told = []
    for topic, setting in _INTERNAL.items():
        description = described.get(topic)
        if description is not None:
            copies = min(len(partition.replicas) for partition in description.partitions)
        elif subject.broker_config is not None and topic not in hidden:
            copies = int(subject.broker_config.get(setting) or wanted)
        else:
            continue
        told.append(f"{topic} {copies}")
        if copies < wanted:
            problems.append(
                warning(
                    f"{topic} has {copies} copies on {brokers} brokers: with one broker the positions of "
                    "groupers and readers, or their transactions, are lost or stand still",
                    f"kafka-reassign-partitions.sh with {wanted} replicas a partition; {setting}={wanted} "
                    "holds for new clusters only",
                )
            )
        elif description is None and copies > brokers:
            problems.append(
                failure(
                    f"{setting} is {copies}, and there are {brokers} brokers: {topic} can't be made, and no "
                    "grouper can start",
                    f"start more brokers, or set {setting}={brokers}",
                )
            )
    behind = {
        topic: sum(len(partition.isr) < len(partition.replicas) for partition in description.partitions)
        for topic, description in described.items()
    }
    problems += [
        warning(
            f"{count} partitions of {topic} have a copy that is not in sync",
            "is a broker down, or its disk full? Writes stop when fewer than min.insync.replicas are left",
        )
        for topic, count in behind.items()
        if count
    ]
    if not told:
        return not_done("this user may not see Kafka's own topics")
    one = "; one broker, so one copy is all there can be" if brokers == 1 else ""
    return Outcome(f"copies: {', '.join(told)}{one}", tuple(problems))


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.strip().rpartition(":")
    return host.strip("[]"), int(port)


def _unreachable(host: str, port: int) -> str | None:
    """Why no connection can be made; None: one can."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
