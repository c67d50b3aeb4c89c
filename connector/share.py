"""Which sources one of several connectors reads: pure, so that all of them come to the same answer alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from runtime.setting_types import CommandLine

_FORM: Final = re.compile(r"(\d{1,4})/(\d{1,4})")
_SourceT = TypeVar("_SourceT")


@dataclass(frozen=True, slots=True)
class Share:
    """One connector among several.

    Attributes:
        number: of this connector, from 0.
        connectors: how many there are.
    """

    number: int
    connectors: int

    @staticmethod
    def parse(text: str) -> "Share":
        """Read 'NUMBER/CONNECTORS', such as '0/3', '1/3' and '2/3' of three connectors.

        Raises:
            ValueError: it is not that, or the number is not below the connectors.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None or not int(found[1]) < int(found[2]):
            raise ValueError(f"should be NUMBER/CONNECTORS, from 0, such as 0/3, 1/3 or 2/3, not {text!r}")
        return Share(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.connectors}"

    def of(self, sources: Sequence[_SourceT], *, copies: int) -> tuple[_SourceT, ...]:
        """The sources that this connector reads, in their order.

        Connectors 0 to copies - 1 read the first share, the next ones the second, and so on.

        Args:
            sources: all of them, the same and in the same order for every connector.
            copies: how many connectors read each share; `connectors` is a multiple of it.
        """
        places = share_out(len(sources), self.connectors // copies)
        mine = self.number // copies
        return tuple(source for source, place in zip(sources, places, strict=True) if place == mine)


def share_out(sources: int, shares: int) -> list[int]:
    """The share of each source, by its place in the list.

    A source that is added at the end moves no other one. With one share more, sources move to the new share
    alone: Kubernetes starts a new pod before it restarts any other, so what moves is read by both for a
    while, and never by none. The price is that shares are not always equal: they differ by one source with up
    to four shares, by two with up to ten. None is empty where there are as many sources.

    Args:
        sources: how many there are.
        shares: how many there are, 1 or more.
    """
    loads = [[0] * count for count in range(1, shares + 1)]
    places = []
    for _ in range(sources):
        place = 0
        for newest, load in enumerate(loads):
            if load[newest] < load[place]:
                place = newest
            load[place] += 1
        places.append(place)
    return places


def _parsed(value: object) -> object:
    return Share.parse(value) if isinstance(value, str) else value


ShareSetting = Annotated[
    Share | None,
    BeforeValidator(_parsed),
    PlainSerializer(lambda share: share and str(share)),
    CommandLine(metavar="NUMBER/CONNECTORS"),
]
"""A share, or None: all sources."""
