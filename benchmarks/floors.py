"""The floors: bare loops with our own client factories, each a process of its own.

What a stage is compared with does the same transfer and nothing else: no decoding, no digest, no headers,
no rules, no catalogue. It copies a pixel as few times as Python's clients allow.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import cast

import click
from confluent_kafka import Message, Producer, TopicPartition

from benchmarks.producing import Headers, produce
from runtime.kafka import log_consumer, raw_producer, transactional_producer
from runtime.settings import TraplineSettings, load_settings
from schemas.frame_layout import HEADER_SIZE, LENGTHS_END, read_lengths
from schemas.source import ServerSource

RECEIVED = "received"
"""The header of the bare pipeline: when a frame's last byte was read, microseconds since 1970."""

_CALL_S = 30.0


@click.group()
def floors() -> None:
    """Bare loops, to compare with."""


@floors.command()
@click.option("--queue-bytes", type=int, required=True)
@click.option("--stamp", is_flag=True, help="A header with the time of reading, for latencies.")
def connector(queue_bytes: int, stamp: bool) -> None:
    """Read frames off the sockets of all sources, a thread each, and produce them, until the streams end."""
    settings = load_settings(TraplineSettings)
    producer = raw_producer(settings, queue_bytes=queue_bytes)
    threads = [
        threading.Thread(target=_carry, args=(source, producer, settings.topics.raw, stamp))
        for source in settings.sources
        if isinstance(source, ServerSource)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    producer.flush()


def _carry(source: ServerSource, producer: Producer, topic: str, stamp: bool) -> None:
    with socket.create_connection((source.host, source.port)) as connection:
        head = connection.recv(LENGTHS_END, socket.MSG_PEEK | socket.MSG_WAITALL)
        size = HEADER_SIZE + sum(read_lengths(head))
        while (frame := _read(connection, size)) is not None:
            headers: Headers = [(RECEIVED, b"%d" % (time.time_ns() // 1000))] if stamp else []
            produce(producer, topic, frame, headers=headers)


def _read(connection: socket.socket, size: int) -> bytes | None:
    """A frame, with one copy only: see schemas.frame. None at the end of the stream."""
    memory = BytesIO(bytes(size))
    have = 0
    with memory.getbuffer() as view:
        while have < size:
            got = connection.recv_into(view[have:])
            if not got:
                return None
            have += got
    return memory.getvalue()


@floors.command()
@click.option("--records", type=int, required=True, help="Records to carry, then end.")
@click.option("--per-transaction", type=int, required=True)
@click.option("--group-id", required=True, help="A consumer group that has committed nothing.")
def grouper(records: int, per_transaction: int, group_id: str) -> None:
    """Consume raw and produce the same bytes to groups, N records a transaction, with the offsets."""
    settings = load_settings(TraplineSettings)
    names = settings.topics
    consumer = log_consumer(settings, group_id=group_id, auto_offset_reset="earliest")
    producer = transactional_producer(settings, group_id)
    producer.init_transactions(_CALL_S)
    consumer.subscribe([names.raw])
    batch: list[Message] = []
    done = 0
    while done < records:
        wanted = min(per_transaction, records - done)
        batch += _good(consumer.consume(wanted - len(batch), 0.1))
        if len(batch) < wanted:
            continue
        producer.begin_transaction()
        for message in batch:
            produce(producer, names.groups, message.value(), headers=cast("Headers", message.headers() or ()))
        producer.flush()
        last = batch[-1].offset() or 0
        producer.send_offsets_to_transaction(
            [TopicPartition(names.raw, 0, last + 1)], consumer.consumer_group_metadata(), _CALL_S
        )
        producer.commit_transaction(_CALL_S)
        done += len(batch)
        batch.clear()
    consumer.close()


@floors.command()
@click.option("--groups", type=int, required=True, help="Groups to read, then end.")
@click.option("--size", type=int, required=True, help="Records of a group.")
def consumer(groups: int, size: int) -> None:
    """Read the groups topic record by record; write what benchmarks.readings reads."""
    settings = load_settings(TraplineSettings)
    client = log_consumer(settings, group_id=None)
    client.assign([TopicPartition(settings.topics.groups, 0, 0)])
    readings: list[tuple[float, int, float]] = []
    records = nbytes = received_us = 0
    while len(readings) < groups:
        message = client.poll(0.1)
        if message is None:
            continue
        (message,) = _good([message])
        nbytes += len(message.value() or b"")
        for name, value in cast("Headers", message.headers() or ()):
            if name == RECEIVED and value is not None:
                received_us = max(received_us, int(value))
        records += 1
        if records == size:
            now_s = time.time()
            readings.append((now_s, nbytes, now_s - received_us / 1e6))
            records = nbytes = received_us = 0
    client.close()
    print(json.dumps(readings))


@floors.command()
@click.option("--groups", type=int, required=True, help="Groups to write, then end.")
@click.option("--size", type=int, required=True, help="Records of a group.")
@click.option("--folder", type=click.Path(path_type=Path), required=True)
def files(groups: int, size: int, folder: Path) -> None:
    """Consume groups and write each one's values to a file that is synced."""
    settings = load_settings(TraplineSettings)
    client = log_consumer(settings, group_id=None)
    client.assign([TopicPartition(settings.topics.groups, 0, 0)])
    folder.mkdir()
    for number in range(groups):
        with (folder / f"{number:06}.fits").open("wb") as file:
            records = 0
            while records < size:
                message = client.poll(0.1)
                if message is None:
                    continue
                (message,) = _good([message])
                file.write(message.value() or b"")
                records += 1
            file.flush()
            os.fsync(file.fileno())
    client.close()


@floors.command()
@click.option("--records", type=int, required=True, help="Records to copy, then end.")
@click.option("--per-transaction", type=int, required=True)
@click.option("--topic", required=True, help="Where to.")
def copier(records: int, per_transaction: int, topic: str) -> None:
    """Consume groups and produce the same bytes and headers to a topic, N records a transaction."""
    settings = load_settings(TraplineSettings)
    client = log_consumer(settings, group_id=None)
    client.assign([TopicPartition(settings.topics.groups, 0, 0)])
    producer = transactional_producer(settings, f"{topic}-floor")
    producer.init_transactions(_CALL_S)
    done = 0
    while done < records:
        producer.begin_transaction()
        sent = 0
        while sent < min(per_transaction, records - done):
            for message in _good(client.consume(min(per_transaction, records - done) - sent, 0.1)):
                headers = cast("Headers", message.headers() or ())
                produce(producer, topic, message.value(), message.key(), headers)
                sent += 1
        producer.flush()
        producer.commit_transaction(_CALL_S)
        done += sent
    client.close()


def _good(messages: Iterable[Message]) -> list[Message]:
    messages = list(messages)
    for message in messages:
        error = message.error()
        if error is not None:
            raise click.ClickException(error.str())
    return messages


if __name__ == "__main__":
    floors()
