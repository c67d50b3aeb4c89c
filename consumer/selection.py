"""Which groups a stream hands out: by how much of them is there, by revision, and by range."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from consumer.group_range import GroupRange

Require: TypeAlias = Literal["all", "any"] | int
"""'all': every expected source; 'any': whatever is there; a number: at least so many images."""


class Revisions(StrEnum):
    """Which publications of a timestamp are handed out."""

    FIRST = "first"
    LAST = "last"
    ALL = "all"


class PassedOver(StrEnum):
    """Why a whole group is not handed out: the labels of the counter."""

    INCOMPLETE = "incomplete"
    TOO_FEW = "too_few"
    REVISION = "revision"
    BEFORE_START = "before_start"
    RANGE = "range"


def parse_require(value: str | int) -> Require:
    """`require` as people write it.

    Raises:
        ValueError: it is none of 'all', 'any' and a number from 1.
    """
    if value == "all":
        return "all"
    if value == "any":
        return "any"
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f"require is {value!r}; say 'all', 'any', or how many images at least, e.g. 4")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which groups to hand out.

    Attributes:
        require: how much of a group has to be there.
        revisions: which publications.
        where: its `from_us`, `sources` and `complete_only` hold for every group. Its end is not looked at:
            `to_us` is the partition reader's, `limit` the stream's.
    """

    require: Require = "any"
    revisions: Revisions = Revisions.FIRST
    where: GroupRange = field(default_factory=GroupRange)

    def refusal(self, *, images: int, complete: bool, revision: int) -> PassedOver | None:
        """Why a group like this is passed over; None: it is handed out."""
        if self.revisions is Revisions.FIRST and revision != 1:
            return PassedOver.REVISION
        if self.require == "all":
            return None if complete else PassedOver.INCOMPLETE
        if self.require == "any":
            return None
        return None if images >= self.require else PassedOver.TOO_FEW
