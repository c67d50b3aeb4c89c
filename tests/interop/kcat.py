"""kcat, a consumer and producer written in C: it knows Kafka, and nothing of ours."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.interop.foreign_tools import must_run
from tests.support.waiting import timeout_s

# Lengths in front of what may hold any byte, so that the output can be taken apart again.
_FRAMED: Final = r"%p %o %K %S\n%k\n%h\n%s\n"
# %h puts commas between headers, and some values have commas in them.
_NEXT_HEADER: Final = re.compile(r",(?=(?:ce_[a-z]+|content-type)=)")


@dataclass(frozen=True)
class SeenRecord:
    """A record as kcat shows it; the key is None where there is none."""

    partition: int
    offset: int
    key: str | None
    headers: dict[str, str]
    value: bytes


class Kcat:
    """kcat at one broker, on its own defaults: no configuration file is read.

    Args:
        bootstrap_servers: where Kafka is.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    def consume(self, topic: str, *options: object) -> bytes:
        """What `kcat -C` writes to its standard output, up to the topic's end."""
        return self._run("-C", "-t", topic, "-e", *options)

    def records(self, topic: str, isolation_level: str = "read_committed") -> list[SeenRecord]:
        """All records of a topic up to its end, by partition and offset; values to the byte."""
        output = self.consume(topic, "-X", f"isolation.level={isolation_level}", "-f", _FRAMED)
        records = []
        while output:
            numbers, output = output.split(b"\n", 1)
            partition, offset, key_size, size = map(int, numbers.split())
            key, output = output[: max(key_size, 0)], output[max(key_size, 0) + 1 :]
            headers, output = output.split(b"\n", 1)
            value, output = output[: max(size, 0)], output[max(size, 0) + 1 :]
            records.append(
                SeenRecord(
                    partition, offset, None if key_size < 0 else key.decode(), split_headers(headers), value
                )
            )
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def save(self, topic: str, partition: int, offset: int, path: Path) -> None:
        """Write one record's value to a file, as a user does it: kcat's output, redirected."""
        with path.open("wb") as file:
            self._run(
                *("-C", "-t", topic, "-p", partition, "-o", offset, "-c", 1, "-e"),
                *("-X", "isolation.level=read_committed", "-f", "%s"),
                output=file,
            )

    def produce_lines(self, topic: str, lines: list[tuple[str, str]], *options: object) -> None:
        """Send records of text, key and value; the partition is librdkafka's choice."""
        text = "".join(f"{key}|{value}\n" for key, value in lines)
        self._run("-P", "-t", topic, "-K", "|", *options, feed=text.encode())

    def produce_file(
        self, topic: str, key: bytes, headers: list[tuple[str, bytes]], path: Path, *options: object
    ) -> None:
        """Send a file as one record; the partition is librdkafka's choice."""
        named = [part for name, value in headers for part in ("-H", f"{name}={value.decode()}")]
        self._run("-P", "-t", topic, "-k", key.decode(), *named, *options, path)

    def _run(self, *options: object, **more) -> bytes:
        patience_s = round(timeout_s(30))
        return must_run(
            "kcat", "-q", "-F", "/dev/null", "-b", self._bootstrap_servers, "-m", patience_s, *options, **more
        )


def split_headers(text: bytes) -> dict[str, str]:
    """The headers out of kcat's %h: 'name=value,name=value'."""
    parts = _NEXT_HEADER.split(text.decode())
    return {name: value for name, _, value in (part.partition("=") for part in parts if part)}
