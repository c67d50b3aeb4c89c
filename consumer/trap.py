"""The drop-in for `tkp.stream.stream_generator`: TraP reads its groups from Kafka, and loses none.

TraP is used as before, with Kafka's bootstrap servers where the image servers were. docs/trap.md tells
how to set it up, and what it means that TraP logs the errors of a timestep and asks for the next one.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import TYPE_CHECKING

from consumer.group import Group
from consumer.metrics import UNDECODABLE
from consumer.settings import TrapSettings
from consumer.stream import GroupStream
from runtime.logs import get_logger
from runtime.settings import load_settings
from schemas.errors import SchemaError

if TYPE_CHECKING:
    from astropy.io.fits import HDUList

log = get_logger(__name__)


def stream_generator(
    hosts: Iterable[str] | str, ports: Iterable[int | str] | int | str
) -> Iterator[list["HDUList"]]:
    """Yield, for ever, the images of one timestamp after the other.

    Each is a list of `astropy.io.fits.HDUList`, one an image, ordered by frequency, in memory: a
    PrimaryHDU with the telescope's header and native float32 pixels, axes as NAXISn ... NAXIS1. The
    lists come in timestamp order, each timestamp once. Later than that comes what Kafka has later: over
    several partitions what the others waited for `merge_wait_s` in vain, and an incomplete group that was
    published behind a complete one of a later timestamp.

    The position is kept in Kafka under the consumer group `trap_group_id`. It is committed when the
    next list is asked for, so a list that was being processed at a crash comes again. A consumer
    group that is new to Kafka starts at `trap_start`, by default at the oldest group there is.

    Args:
        hosts: Kafka's bootstrap servers: names or addresses, a list or text with commas.
        ports: their ports; one for all, or one for each host.

    Yields:
        The images of one timestamp.

    Raises:
        ValueError: hosts and ports are none.
        SettingsError: another setting is wrong; lists everything.
        StreamError: Kafka refused us, a topic is missing, or retention deleted groups before TraP read
            them. A broker that is away is waited for, also at the start.
    """
    settings = load_settings(
        TrapSettings,
        overrides={"bootstrap_servers": bootstrap_servers(hosts, ports), "broker_wait_s": math.inf},
    )
    with GroupStream(
        settings,
        group_id=settings.consumer_group_id,
        static_id=settings.trap_static_id,
        start=settings.trap_start,
        require=settings.trap_require,
        revisions="first",
        merge="timestamp",
    ) as stream:
        for group in stream:
            images = _images(group)
            if images is not None:
                yield images


def bootstrap_servers(hosts: Iterable[str] | str, ports: Iterable[int | str] | int | str) -> str:
    """Hosts and ports as Kafka's clients want them: 'a:9092,b:9092'.

    Raises:
        ValueError: there is none, or the numbers of hosts and ports don't fit.
    """
    names = _parts(hosts)
    numbers = _parts(ports)
    if not names or not numbers:
        raise ValueError(
            f"stream_generator needs Kafka's hosts and ports; got hosts={hosts!r}, ports={ports!r}"
        )
    if len(numbers) not in (1, len(names)):
        raise ValueError(
            f"stream_generator got {len(names)} hosts and {len(numbers)} ports: give a port for each host, "
            f"or one for all"
        )
    for number in numbers:
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):  # noqa: PLR2004 - TCP's
            raise ValueError(f"stream_generator: {number!r} is no TCP port")
    return ",".join(f"{_address(name)}:{number}" for name, number in zip(names, cycle(numbers), strict=False))


def _address(name: str) -> str:
    """An IPv6 address needs brackets before a port."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _parts(value: Iterable[int | str] | int | str) -> list[str]:
    if isinstance(value, int):
        value = [value]
    items = [value] if isinstance(value, str) else map(str, value)
    return [part.strip() for item in items for part in item.split(",") if part.strip()]


def _images(group: Group) -> list["HDUList"] | None:
    """The group as TraP wants it; None, counted, where an image cannot be decoded.

    It would come again after each restart, so stopping at it would stop TraP for good.
    """
    from astropy.io.fits import HDUList  # noqa: PLC0415 - astropy only where it is used

    try:
        return [HDUList([image.to_hdu()]) for image in group.images]
    except SchemaError as error:
        UNDECODABLE.inc()
        log.error(  # noqa: TRY400 - the cause says all; a traceback into numpy says nothing more
            "group left out: an image cannot be decoded",
            group=group.group_id,
            partition=group.partition,
            offset=group.first_offset,
            cause=str(error),
        )
        return None
