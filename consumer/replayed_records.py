"""The records that a group of the past becomes when it is replayed, pure.

Key and value are those of the original, and so are the headers but for the mark. Where only some sources
are replayed, what depends on the others is made true: index, size, expected, complete and missing.
"""

from collections.abc import Iterator
from dataclasses import replace

from consumer.group import Group, Image
from consumer.replay import PastGroup
from schemas.catalogue import CatalogueEntry
from schemas.record_headers import CatalogueHeaders
from schemas.replay_mark import ReplayMark
from schemas.topics import TopicNames

Headers = list[tuple[str, bytes]]


class ReplayedRecords:
    """Makes the records of one replay."""

    def __init__(self, names: TopicNames, began_us: int) -> None:
        """Begin.

        Args:
            names: of the topics that are read.
            began_us: when the replay began, microseconds since 1970 UTC.
        """
        self._names = names
        self._began_us = began_us

    def images(self, group: Group) -> Iterator[tuple[bytes, Headers]]:
        """Value and headers of each image, in the order in which the original was written."""
        for index, image in enumerate(sorted(group.images, key=lambda image: image.headers.index)):
            headers = replace(
                image.headers,
                index=index,
                size=len(group.images),
                expected=group.expected,
                complete=group.complete,
                missing=group.missing,
                replay=self._of_image(group, image),
            )
            yield image.fits, headers.encode()

    def entry(self, past: PastGroup, *, first_offset: int, last_offset: int) -> CatalogueEntry:
        """The catalogue entry of a group whose images have their new offsets.

        What it says of raw is of no use to anybody there, and is 0: a grouper that is started by mistake on
        topics of a replay must not take it for its own position.
        """
        original, group = past.record.entry(), past.group
        there = {image.source for image in group.images}
        members = tuple(member for member in original.members if member.source in there)
        present = tuple(member.source for member in members)
        reduced = present != original.present or {*group.missing} != {*original.missing}
        return replace(
            original,
            complete=group.complete,
            expected=(*present, *group.missing) if reduced else original.expected,
            present=present,
            missing=group.missing if reduced else original.missing,
            members=members,
            first_offset=first_offset,
            last_offset=last_offset,
            committed_offset=0,
            read_to=0,
            catalogue_from=0,
        )

    def entry_headers(self, past: PastGroup) -> Headers:
        """The headers of a catalogue record; its mark names the original's entry."""
        headers = past.group.images[0].headers
        place = self._names.catalogue, past.record.partition, past.record.offset
        if headers.replay is not None:  # the first original's entry is not known; its images are
            place = headers.replay.topic, headers.replay.partition, headers.replay.offset
        return CatalogueHeaders(
            prefix=headers.prefix,
            timestamp_us=headers.timestamp_us,
            group_id=headers.group_id,
            replay=ReplayMark(*place, self._began_us),
        ).encode()

    def _of_image(self, group: Group, image: Image) -> ReplayMark:
        if image.headers.replay is not None:
            return replace(image.headers.replay, began_us=self._began_us)
        return ReplayMark(self._names.groups, group.partition, image.offset, self._began_us)
