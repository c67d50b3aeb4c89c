"""A process that reads groups and works on each until it is told to go on.

    python -m tests.support.group_reader_process stream|trap

`stream` is a GroupStream of the consumer group that TRAPLINE_TEST_GROUP_ID names; `trap` is the drop-in,
with TRAPLINE_TEST_HOST and TRAPLINE_TEST_PORT. Prints a line a group, its DATE-OBS, and then waits for a
line on stdin before it asks for the next one. It can be killed at any time.
"""

import os
import sys
from collections.abc import Iterator

from consumer.settings import ConsumerSettings, TrapSettings
from consumer.stream import GroupStream
from consumer.trap import stream_generator
from runtime.settings import load_settings
from schemas.timestamp import format_timestamp


def _timestamps(what: str) -> Iterator[str]:
    if what == "stream":
        settings = load_settings(ConsumerSettings, known=[TrapSettings])
        with GroupStream(settings, group_id=os.environ["TRAPLINE_TEST_GROUP_ID"]) as stream:
            for group in stream:
                yield format_timestamp(group.timestamp_us)
        return
    hosts, ports = [os.environ["TRAPLINE_TEST_HOST"]], [int(os.environ["TRAPLINE_TEST_PORT"])]
    for images in stream_generator(hosts, ports):
        yield images[0][0].header["DATE-OBS"] + "Z"


def main() -> None:
    """Read until killed."""
    for timestamp in _timestamps(sys.argv[1]):
        print(timestamp, flush=True)  # noqa: T201 - the test reads it
        if not sys.stdin.readline():
            return


if __name__ == "__main__":
    main()
