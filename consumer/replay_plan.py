"""What a replay would do, found out without reading or writing more than it has to."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from consumer.cadence import Cadence
from consumer.group_range import GroupRange
from consumer.history import History, readable_entry


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A replay that did not take place.

    Attributes:
        groups: how many there are to replay.
        images: how many images they have, of the sources that are meant.
        size_bytes: of these images, if all are as large as those of the first group.
        gone: how many groups besides have no images any more.
        first_us: observation time of the first one,
        last_us: and of the last; microseconds since 1970 UTC.
        takes_s: from the first group to the last one at the cadence, seconds.
        cut_s: by how much gaps of observation time were shortened, seconds.
    """

    groups: int
    images: int
    size_bytes: int
    gone: int
    first_us: int
    last_us: int
    takes_s: float
    cut_s: float


def plan_replay(
    history: History, where: GroupRange, cadence: Cadence, advance: Callable[[int], None] = lambda _us: None
) -> ReplayPlan:
    """Look through the catalogue; of images those of one group are read, to see how large they are.

    Args:
        history: where to look.
        where: what would be replayed.
        cadence: how fast.
        advance: told of the observation time that was reached.

    Raises:
        StreamError: Kafka went away, or refuses to be read.
    """
    oldest = {partition: history.oldest_image(partition) for partition in history.partitions}
    schedule = cadence.begin()
    groups = images = gone = 0
    first_us = last_us = image_bytes = 0
    takes_s = 0.0
    for record in history.find(replace(where, limit=None)):
        entry = readable_entry(record)
        if entry is None:
            continue
        if entry.first_offset < oldest[record.partition]:
            gone += 1
            continue
        if not image_bytes:
            sample = history.read(record, where)
            if sample is None:
                continue
            image_bytes = sample.size_bytes // len(sample.images)
            history.stop_reading_ahead()
        wanted = where.sources or entry.present
        images += len(set(wanted).intersection(entry.present))
        takes_s = schedule.due_s(entry.timestamp_us, 0.0)
        first_us = first_us if groups else entry.timestamp_us
        last_us = entry.timestamp_us
        groups += 1
        advance(entry.timestamp_us)
        if groups == where.limit:
            break
    return ReplayPlan(
        groups, images, images * image_bytes, gone, first_us, last_us, takes_s, schedule.cut_us / 1e6
    )
