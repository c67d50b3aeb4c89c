"""Puts the records of groups together again, and looks at each group by itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from audit.facts import ImageFact, Problem
from audit.findings import FindingKind
from audit.history import PastGroup
from schemas.timestamp import format_timestamp


@dataclass(slots=True)
class SeenGroup:
    """A group as it lies in the topic: the records of one id.

    Attributes:
        group_id: of its records.
        seen: the round in which its first record was read.
        images: its records, in the order of their offsets.
        interleaved: whether another group's records lie between.
        added_from: the lowest raw offset that the revision before does not have; None where that is not
            known.
    """

    group_id: str
    seen: int
    images: list[ImageFact] = field(default_factory=list)
    interleaved: bool = False
    added_from: int | None = None

    @property
    def first(self) -> ImageFact:
        """Its first record."""
        return self.images[0]

    @property
    def timestamp_us(self) -> int:
        """As its first record says."""
        return self.first.headers.timestamp_us

    @property
    def revision(self) -> int:
        """As its first record says."""
        return self.first.headers.revision

    @property
    def offsets(self) -> tuple[int, int]:
        """Of its first and last record, in groups."""
        return self.first.offset, self.images[-1].offset

    @property
    def whole(self) -> bool:
        """Whether there are as many records as its first one says."""
        return len(self.images) >= self.first.headers.size


class GroupAssembly:
    """Collects records by group id; a group is handed on when its last record is there."""

    def __init__(self) -> None:
        self._open: dict[str, SeenGroup] = {}
        self._last: SeenGroup | None = None
        self._begun_again: list[SeenGroup] = []

    def add(self, image: ImageFact, round_number: int) -> SeenGroup | None:
        """Take a record in; return the group that it makes whole."""
        group_id = image.headers.group_id
        group = self._open.get(group_id)
        if group is not None and image.headers.index == 0:
            self._begun_again.append(self._open.pop(group_id))
            group = None
        if group is None:
            group = self._open[group_id] = SeenGroup(group_id, round_number)
        elif self._last is not None and self._last is not group:
            group.interleaved = True
            self._last.interleaved = True
        group.images.append(image)
        self._last = group
        if group.whole:
            del self._open[group_id]
            return group
        return None

    def torn(self, before_round: int) -> tuple[SeenGroup, ...]:
        """Take out the groups that were not whole when an earlier round ended, and still are not."""
        torn = [group for group in self._open.values() if group.seen < before_round]
        for group in torn:
            del self._open[group.group_id]
        torn += self._begun_again
        self._begun_again = []
        return tuple(torn)


def examine(group: SeenGroup) -> Iterator[Problem]:
    """What is wrong with a whole group, seen by itself.

    A mixed group is not called torn as well.
    """
    mixed = _mixed(group)
    if mixed is not None:
        yield Problem(FindingKind.GROUP_MIXED, mixed)
    else:
        torn = _torn(group)
        if torn is not None:
            yield Problem(FindingKind.GROUP_TORN, torn)
    revision = _revision(group)
    if revision is not None:
        yield Problem(FindingKind.REVISION, revision)
    untrue = _missing_list(group)
    if untrue is not None:
        yield Problem(FindingKind.MISSING_LIST, untrue)


def _mixed(group: SeenGroup) -> str | None:
    if group.interleaved:
        return "another group's records lie between its own"
    times = {image.headers.timestamp_us for image in group.images}
    if len(times) > 1:
        return "its records have different timestamps: " + ", ".join(map(format_timestamp, sorted(times)))
    sources = [image.headers.source for image in group.images]
    if len(set(sources)) < len(sources):
        return f"a source is there twice: {','.join(sources)}"
    return None


def _torn(group: SeenGroup) -> str | None:
    size = group.first.headers.size
    indices = [image.headers.index for image in group.images]
    if indices != list(range(size)) or any(image.headers.size != size for image in group.images):
        return f"it has the records {indices} of {size}"
    first, last = group.offsets
    if last - first != size - 1:
        # One producer writes a partition's groups. A transaction's marker takes an offset, too.
        return f"its {size} records take offsets {first} to {last}: they are not of one transaction"
    return None


def _revision(group: SeenGroup) -> str | None:
    revisions = {image.headers.revision for image in group.images}
    if len(revisions) > 1:
        return f"its records name different revisions: {sorted(revisions)}"
    revision = group.revision
    if revision < 1:
        return f"its revision is {revision}; the first is 1"
    begin = f"{format_timestamp(group.timestamp_us)}/r{revision}/"
    if not group.group_id.startswith(begin):
        return f"its id {group.group_id!r} does not begin with {begin!r}"
    return None


def _missing_list(group: SeenGroup) -> str | None:
    first = group.first.headers
    for image in group.images:
        headers = image.headers
        if (headers.complete, headers.expected, headers.missing) != (
            first.complete,
            first.expected,
            first.missing,
        ):
            return "its records disagree about what is complete, expected or missing"
    present = {image.headers.source for image in group.images}
    both = present.intersection(first.missing)
    if both:
        return f"present and named as missing: {','.join(sorted(both))}"
    if first.complete != (not first.missing):
        return f"complete is {first.complete}, missing {','.join(first.missing) or 'none'}"
    if first.expected != first.size + len(first.missing):
        return f"{first.expected} expected, but {first.size} there and {len(first.missing)} missing"
    return None


def compare_revisions(group: SeenGroup, past: PastGroup | None) -> str | None:
    """What is wrong with a later revision: it has all members of the one before, and more."""
    if past is None:
        return f"revision {group.revision}, and no earlier one was published"
    if group.revision != past.revision + 1:
        return f"revision {group.revision} after revision {past.revision}"
    digests = {image.headers.source: image.digest for image in group.images}
    lost = [name for name, member in past.members.items() if digests.get(name) != member.digest]
    if lost:
        return f"it lacks, or has other bytes of, what the revision before had: {','.join(lost)}"
    if len(digests) == len(past.members):
        return "it holds nothing that the revision before did not"
    return None
