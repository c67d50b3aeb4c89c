"""One partition as a stream reads it: from records to groups, or to what is passed over and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from confluent_kafka import Message

from consumer.assembly import Cut, GroupAssembler, ImageRecord, Repeated
from consumer.group import Group, group_from
from consumer.metrics import CUT_GROUPS, PASSED_OVER, REPEATED, UNREADABLE
from consumer.positions import Position
from consumer.range_end import RangeEnd
from consumer.selection import PassedOver, Selection
from runtime.logs import get_logger
from runtime.message_headers import message_headers
from schemas.errors import SchemaError
from schemas.record_headers import ImageHeaders

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Up to `next_offset` there is nothing to hand out."""

    next_offset: int


@dataclass(frozen=True, slots=True)
class Beyond:
    """A group that is not before the end of the range: for another reader."""


Read: TypeAlias = Group | Nothing | Beyond


class PartitionReader:
    """Where reading a partition stands.

    Attributes:
        next_offset: the offset after the last record read: where a gap would begin.
        floating: nothing was read yet and the oldest record was meant, whichever that is.
        end: where the range ends; None: nowhere.
    """

    def __init__(
        self,
        partition: int,
        position: Position,
        selection: Selection,
        newest: Mapping[int, int] | None = None,
        end: RangeEnd | None = None,
    ) -> None:
        """Begin to read.

        Args:
            partition: its number.
            position: where to begin.
            selection: which groups to hand out.
            newest: timestamps of which a later revision is known to lie ahead, and its number.
            end: where the range ends; None: nowhere.
        """
        self.next_offset = position.offset
        self.floating = position.floating
        self._partition = partition
        self._not_before_us = position.not_before_us
        self._selection = selection
        self.end = end
        self._newest = newest or {}
        self._assembler = GroupAssembler()

    @property
    def ended(self) -> bool:
        """Whether nothing more of the range comes here."""
        return self.end is not None and self.end.is_reached(self.next_offset)

    def read(self, message: Message) -> tuple[Read, ...]:
        """Take the next record; return what it finished, in the order of the partition."""
        offset = cast("int", message.offset())  # a record that came has one
        self.next_offset = offset + 1
        self.floating = False
        value = message.value()
        try:
            headers = ImageHeaders.decode(message_headers(message))
        except SchemaError as error:
            return self._unreadable(offset, str(error))
        if value is None:
            return self._unreadable(offset, "it has no value")
        found: list[Read] = []
        for part in self._assembler.add(ImageRecord(self._partition, offset, headers, value)):
            match part:
                case Cut():
                    found.append(self._cut(part))
                case Repeated():
                    REPEATED.inc()
                case _:
                    found.append(self._select(group_from(part.records)))
        return tuple(found)

    def jump(self, offset: int) -> tuple[Read, ...]:
        """Go on at `offset`, because the records before it are gone; return what that cuts."""
        cut = tuple(self._cut(part) for part in self._assembler.give_up())
        self.next_offset = offset
        return cut

    def _select(self, group: Group) -> Read:
        if self.end is not None and self.end.lies_before(group.timestamp_us):
            PASSED_OVER.labels(reason=PassedOver.RANGE).inc()
            return Beyond()
        reason = self._selection.refusal(
            images=len(group.images), complete=group.complete, revision=group.revision
        )
        if group.revision < self._newest.get(group.timestamp_us, 1):
            reason = PassedOver.REVISION
        if self._not_before_us is not None:
            if group.timestamp_us < self._not_before_us:
                reason = PassedOver.BEFORE_START
            else:
                self._not_before_us = None
        where = self._selection.where
        if reason is None and not (
            (where.from_us is None or group.timestamp_us >= where.from_us)
            and where.has(group.sources, complete=group.complete)
        ):
            reason = PassedOver.RANGE
        if reason is None:
            return group.only(where.sources)
        PASSED_OVER.labels(reason=reason).inc()
        return Nothing(group.last_offset + 1)

    def _cut(self, cut: Cut) -> Read:
        CUT_GROUPS.inc()
        log.warning(
            "group cut: only a part of it could be read",
            group=cut.group_id,
            partition=cut.partition,
            read=cut.held,
            of=cut.size,
            first_offset=cut.first_offset,
            last_offset=cut.last_offset,
        )
        return Nothing(cut.last_offset + 1)

    def _unreadable(self, offset: int, why: str) -> tuple[Read, ...]:
        UNREADABLE.labels(topic="groups").inc()
        log.warning("record left out: it is no image", partition=self._partition, offset=offset, cause=why)
        return ()
