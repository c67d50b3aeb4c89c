"""The mark of a record that was replayed: where it was taken from, and by which replay.

Two extension attributes of CloudEvents, both or neither, on images and on catalogue records. All other
headers of a replayed record are those of the original.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from schemas.header_fields import HeaderFields
from schemas.timestamp import format_timestamp

OF: Final = "ce_replayof"
TIME: Final = "ce_replaytime"

_PLACE: Final = re.compile(r"([A-Za-z0-9._-]{1,249})/(0|[1-9]\d{0,9})/(0|[1-9]\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """Whose copy a record is.

    Attributes:
        topic: the topic of the original; of the first one, where a replay was replayed.
        partition: its partition there.
        offset: its offset there.
        began_us: when the replay began, microseconds since 1970 UTC; the same for all that one replay
            wrote, so a group that was replayed twice into a topic is two groups there.
    """

    topic: str
    partition: int
    offset: int
    began_us: int

    def encode(self) -> list[tuple[str, bytes]]:
        """The headers for Kafka.

        Raises:
            TimestampError: a time outside 1970 to 9999.
        """
        return [
            (OF, f"{self.topic}/{self.partition}/{self.offset}".encode()),
            (TIME, format_timestamp(self.began_us).encode()),
        ]

    @classmethod
    def decode(cls, fields: HeaderFields) -> Self | None:
        """The mark of a record; None where it has none.

        Raises:
            RecordHeaderError: it has half of one, or a header holds something else.
        """
        if OF not in fields and TIME not in fields:
            return None
        place = fields.matching(OF, _PLACE, "TOPIC/PARTITION/OFFSET")
        return cls(place[1], int(place[2]), int(place[3]), fields.time(TIME))
