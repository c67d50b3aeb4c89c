"""The books of one partition, pure: facts in, in the order of each topic; findings out.

Each raw record must find its one fate: member of a group, duplicate of a member, or reject. Facts of
the four topics may come in any mixture; what has found its counterpart is let go of at once, so the
memory is that of what is still waiting, plus a few bytes a window in History.

What waits is judged in a later round than it was read in (`judge_*`): a live grouper's transaction may
have been half read when a round ended, and never is when the next one does.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from audit.entries import Progress, SeenEntry, compare, examine_entry
from audit.facts import ImageFact, Problem, WindowFact
from audit.findings import Finding, FindingKind
from audit.groups import GroupAssembly, SeenGroup, examine
from audit.history import History, PastGroup, PastMember
from audit.inspection import digest_bytes
from audit.tally import Tally
from schemas.catalogue import CatalogueEntry
from schemas.errors import RejectReason
from schemas.record_headers import RejectHeaders

_REMEMBERED: Final = 100_000  # findings and rejected offsets, so as not to say or count a thing twice

_OF_RAW_RECORDS: Final = frozenset(
    {
        FindingKind.COMMITTED_TOO_FAR,
        FindingKind.MEMBER_DROPPED,
        FindingKind.REJECT_MISSING,
        FindingKind.WINDOW_TWICE,
    }
)  # found once a record; the others once a timestamp and source

Offsets = tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Bounds:
    """How far the records of one partition go.

    Attributes:
        raw_begin: the oldest raw offset looked at.
        raw_end: one past the newest raw record there was when the round began.
        groups_begin: the oldest groups offset looked at; below it retention may have cut a group.
        catalogue_cut: whether retention has taken catalogue entries.
        rejects_cut: whether retention has taken rejects.
        committed: the grouper's committed offset.
        read_to: one past the highest raw offset it has handled.
    """

    raw_begin: int = 0
    raw_end: int = 0
    groups_begin: int = 0
    catalogue_cut: bool = False
    rejects_cut: bool = False
    committed: int = 0
    read_to: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """An image that says which raw record it was."""

    image: ImageFact
    seen: int


class PartitionLedger:
    """The books of one partition of raw, groups, catalogue and rejects."""

    def __init__(self, partition: int, report: Callable[[Finding], None], remember: int) -> None:
        """Open the books.

        Args:
            partition: its number.
            report: told of each finding, once.
            remember: timestamps of closed groups that are kept to know repeats by.
        """
        self.partition = partition
        self.tally = Tally()
        self.history = History(remember)
        self.bounds = Bounds()
        self.round = 0
        self.raw_next = 0
        self.progress = Progress()
        self._report = report
        self._reported: OrderedDict[tuple[FindingKind, int | None, str | None, int | None], None] = (
            OrderedDict()
        )
        self._assembly = GroupAssembly()
        self._windows: dict[int, WindowFact] = {}
        self._by_time: defaultdict[int, set[int]] = defaultdict(set)
        self._claims: dict[int, Claim] = {}
        self._mismatched: list[Claim] = []
        self._rejects: dict[int, tuple[int, RejectHeaders, int]] = {}
        self._rejected: OrderedDict[int, None] = OrderedDict()
        self._groups: dict[str, SeenGroup] = {}
        self._entries: dict[str, list[SeenEntry]] = {}
        self._doubled: dict[str, int] = {}
        self._expected: set[str] = set()
        self._first_entry: tuple[int, int] | None = None
        self._first_reject: int | None = None
        self._judge_to = (0, 0)

    # -- what is found

    def find(
        self,
        kind: FindingKind,
        detail: str,
        *,
        timestamp_us: int | None = None,
        source: str | None = None,
        offsets: Offsets = (),
    ) -> None:
        """Report something, unless it was reported before."""
        by_record = timestamp_us is None or kind in _OF_RAW_RECORDS
        where = offsets[0][1] if by_record and offsets else None
        key = (kind, timestamp_us, source, where)
        if key in self._reported:
            return
        self._reported[key] = None
        while len(self._reported) > _REMEMBERED:
            self._reported.popitem(last=False)
        self._report(Finding(kind, self.partition, timestamp_us, source, offsets, detail))

    def unreadable(self, topic: str, offset: int, detail: str) -> None:
        """A record of groups, catalogue or rejects that is none of ours."""
        self.find(FindingKind.UNREADABLE, detail, offsets=((topic, offset),))

    # -- raw

    def window(self, fact: WindowFact) -> None:
        """A raw record, in the order of raw."""
        if fact.offset > self.raw_next:
            # Retention took what lies between while we read.
            self.tally.gone += fact.offset - self.raw_next
            self.bounds.raw_begin = max(self.bounds.raw_begin, fact.offset)
            self._drop_gone()
        self.raw_next = fact.offset + 1
        self.tally.windows += 1
        if fact.source is not None and fact.timestamp_us is not None:
            self.tally.saw(fact.source, fact.timestamp_us)
        self._windows[fact.offset] = fact
        if fact.timestamp_us is not None:
            self._by_time[fact.timestamp_us].add(fact.offset)
        claim = self._claims.pop(fact.offset, None)
        waiting = self._rejects.pop(fact.offset, None)
        if claim is not None:
            self._compare(claim.image, fact)
            if waiting is not None:
                self._two_fates(fact.offset, claim.image.headers.timestamp_us, claim.image.headers.source)
        elif waiting is not None:
            self._rejected_window(fact, *waiting[:2])
        else:
            self._duplicate(fact)

    def _drop_gone(self) -> None:
        """Let go of what names raw records that retention has taken."""
        begin = self.bounds.raw_begin
        for offset in [offset for offset in self._claims if offset < begin]:
            del self._claims[offset]
            self.tally.gone_members += 1
        for offset in [offset for offset in self._rejects if offset < begin]:
            del self._rejects[offset]

    def _settled(self, offset: int) -> WindowFact | None:
        fact = self._windows.pop(offset, None)
        if fact is not None and fact.timestamp_us is not None:
            same_time = self._by_time[fact.timestamp_us]
            same_time.discard(offset)
            if not same_time:
                del self._by_time[fact.timestamp_us]
        return fact

    def _duplicate(self, fact: WindowFact) -> bool:
        """Settle a window whose bytes are a member already."""
        if fact.timestamp_us is None or fact.source is None:
            return False
        past = self.history.get(fact.timestamp_us)
        member = past.members.get(fact.source) if past else None
        if member is None or member.raw_offset == fact.offset or member.digest != fact.digest:
            return False
        self._settled(fact.offset)
        self.tally.duplicates += 1
        if not fact.digest_true:
            self.find(
                FindingKind.DIGEST,
                f"it was dropped for the member at raw offset {member.raw_offset}, whose digest is in its "
                "header; its bytes have another one",
                timestamp_us=fact.timestamp_us,
                source=fact.source,
                offsets=(("raw", fact.offset),),
            )
        return True

    # -- groups

    def image(self, fact: ImageFact) -> None:
        """A record of groups, in their order."""
        headers = fact.headers
        for problem in fact.problems:
            self.find(
                problem.kind,
                problem.detail,
                timestamp_us=headers.timestamp_us,
                source=headers.source,
                offsets=(("groups", fact.offset),),
            )
        group = self._assembly.add(fact, self.round)
        if group is not None:
            self._whole(group)

    def _whole(self, group: SeenGroup) -> None:
        self.tally.groups += 1
        self.tally.incomplete += not group.first.headers.complete
        past = self.history.get(group.timestamp_us)
        if past is not None and group.revision <= past.revision:
            self._about(
                group,
                Problem(
                    FindingKind.GROUP_TWICE, f"revision {group.revision} of this timestamp is out already"
                ),
            )
            self._drop_entry(group.group_id)
            for image in group.images:  # what only the second one has is not lost as well
                if image.headers.raw_offset in self._windows or image.headers.raw_offset >= self.raw_next:
                    self._claim(image)
            return
        for problem in examine(group):
            self._about(group, problem)
        self._check_revision(group, past)
        for image in group.images:
            self._claim(image)
        self._remember(group, past)
        entry = self._entry_of(group)
        if entry is None:
            self._groups[group.group_id] = group
        else:
            self._match(group, entry)
        self._settle_duplicates(group.timestamp_us)

    def _about(self, group: SeenGroup, problem: Problem) -> None:
        first, last = group.offsets
        self.find(
            problem.kind,
            problem.detail,
            timestamp_us=group.timestamp_us,
            source=problem.source,
            offsets=(("groups", first), ("groups", last)),
        )

    def _check_revision(self, group: SeenGroup, past: PastGroup | None) -> None:
        if group.revision <= 1:
            return
        wrong = None
        if past is None:
            if not (self._groups_cut or self.history.forgotten(group.timestamp_us)):
                wrong = f"revision {group.revision}, and no earlier one was published"
        elif group.revision != past.revision + 1:
            wrong = f"revision {group.revision} after revision {past.revision}"
        else:
            digests = {image.headers.source: image.digest for image in group.images}
            lost = [name for name, member in past.members.items() if digests.get(name) != member.digest]
            if lost:
                wrong = f"it lacks, or has other bytes of, what the revision before had: {','.join(lost)}"
            elif len(digests) == len(past.members):
                wrong = "it holds nothing that the revision before did not"
        if wrong is not None:
            self._about(group, Problem(FindingKind.REVISION, wrong))

    @property
    def _groups_cut(self) -> bool:
        return self.bounds.groups_begin > 0

    def _remember(self, group: SeenGroup, past: PastGroup | None) -> None:
        members = {
            image.headers.source: PastMember(
                image.headers.source, image.headers.raw_offset, image.digest, image.pixels
            )
            for image in group.images
        }
        highest = max(member.raw_offset for member in members.values())
        read_to = max(highest + 1, past.read_to if past else 0)
        self.history.put(group.timestamp_us, PastGroup(group.revision, read_to, members))

    def _settle_duplicates(self, timestamp_us: int) -> None:
        for offset in sorted(self._by_time.get(timestamp_us, ())):
            if offset not in self._claims:
                self._duplicate(self._windows[offset])

    def _claim(self, image: ImageFact) -> None:
        offset = image.headers.raw_offset
        fact = self._windows.get(offset)
        if fact is not None:
            self._compare(image, fact)
        elif offset >= self.raw_next:
            self._claim_ahead(offset, image)
        elif offset < self.bounds.raw_begin:
            self.tally.gone_members += 1
        else:
            self._claim_again(image)

    def _claim_ahead(self, offset: int, image: ImageFact) -> None:
        """An image whose raw record is not read yet."""
        other = self._claims.setdefault(offset, Claim(image, self.round)).image
        if other is image:
            return
        if (other.headers.timestamp_us, other.headers.source) != (
            image.headers.timestamp_us,
            image.headers.source,
        ):
            self._mismatched.append(Claim(image, self.round))
        elif other.pixels != image.pixels:
            self._pixels_differ(image, "the revision before")

    def _claim_again(self, image: ImageFact) -> None:
        """An image of a raw record that has a fate already: right only in a further revision."""
        headers = image.headers
        past = self.history.get(headers.timestamp_us)
        member = past.members.get(headers.source) if past else None
        if headers.raw_offset in self._rejected or member is None or member.raw_offset != headers.raw_offset:
            if not self.history.forgotten(headers.timestamp_us):
                self._mismatched.append(Claim(image, self.round))
        elif image.pixels is not None and member.pixels is not None and image.pixels != member.pixels:
            self._pixels_differ(image, "the revision before")

    def _compare(self, image: ImageFact, fact: WindowFact) -> None:
        headers = image.headers
        if (fact.timestamp_us, fact.source) != (headers.timestamp_us, headers.source):
            self._mismatched.append(Claim(image, self.round))
            return
        self._settled(fact.offset)
        self.tally.members += 1
        offsets = (("raw", fact.offset), ("groups", image.offset))
        if fact.digest != image.digest or not fact.digest_true:
            detail = (
                "the image's header has another digest than the frame's"
                if fact.digest != image.digest
                else "the raw record's header has another digest than its bytes"
            )
            self.find(
                FindingKind.DIGEST,
                detail,
                timestamp_us=fact.timestamp_us,
                source=fact.source,
                offsets=offsets,
            )
        if fact.problem is not None:
            self.find(
                fact.problem.kind,
                f"published, though the raw record cannot be: {fact.problem.detail}",
                timestamp_us=fact.timestamp_us,
                source=fact.source,
                offsets=offsets,
            )
        elif fact.pixels is not None and image.pixels is not None and fact.pixels != image.pixels:
            self._pixels_differ(image, "its frame")

    def _pixels_differ(self, image: ImageFact, than: str) -> None:
        self.find(
            FindingKind.PIXELS,
            f"the image's pixels are not those of {than}",
            timestamp_us=image.headers.timestamp_us,
            source=image.headers.source,
            offsets=(("raw", image.headers.raw_offset), ("groups", image.offset)),
        )

    def _two_fates(self, offset: int, timestamp_us: int, source: str) -> None:
        self.find(
            FindingKind.WINDOW_TWICE,
            "the raw record is a member, and has another fate too: another group's member, or a reject",
            timestamp_us=timestamp_us,
            source=source,
            offsets=(("raw", offset),),
        )

    # -- catalogue

    def entry(self, offset: int, entry: CatalogueEntry) -> None:
        """A catalogue entry, in their order."""
        self.tally.closed(entry.timestamp_us, entry.closed_by)
        self._expected.update(entry.expected)
        wrong = self.progress.next(offset, entry)
        if wrong is not None:
            self.find(
                FindingKind.OFFSETS, wrong, timestamp_us=entry.timestamp_us, offsets=(("catalogue", offset),)
            )
        seen = SeenEntry(offset, entry, self.round, self.progress.committed_before)
        if self._first_entry is None:
            self._first_entry = (entry.first_offset, seen.first_raw_offset)
        if self._doubled.get(entry.group_id):
            self._doubled[entry.group_id] -= 1
            if not self._doubled[entry.group_id]:
                del self._doubled[entry.group_id]
            return
        untrue = examine_entry(entry)
        if untrue is not None:
            self.find(
                FindingKind.MISSING_LIST,
                untrue,
                timestamp_us=entry.timestamp_us,
                offsets=(("catalogue", offset),),
            )
        group = self._groups.pop(entry.group_id, None)
        if group is not None:
            self._match(group, seen)
        elif entry.first_offset < self.bounds.groups_begin:
            self.tally.gone += 1
            self._account(entry)
        else:
            self._entries.setdefault(entry.group_id, []).append(seen)

    def _entry_of(self, group: SeenGroup) -> SeenEntry | None:
        """Take out the entry that was read before its group; where there are several, the one that fits."""
        waiting = self._entries.pop(group.group_id, [])
        waiting.sort(key=lambda seen: seen.entry.first_offset != group.first.offset)
        if len(waiting) > 1:
            self._entries[group.group_id] = waiting[1:]
        return waiting[0] if waiting else None

    def _drop_entry(self, group_id: str) -> None:
        """The entry of a group that was published twice says nothing more."""
        waiting = self._entries.get(group_id)
        if waiting:
            waiting.pop()
            if not waiting:
                del self._entries[group_id]
        else:
            self._doubled[group_id] = self._doubled.get(group_id, 0) + 1

    def _match(self, group: SeenGroup, seen: SeenEntry) -> None:
        for problem in compare(group, seen):
            self._about(group, problem)
        past = self.history.get(group.timestamp_us)
        if past is not None and past.revision == group.revision:
            self.history.put(group.timestamp_us, replace(past, read_to=seen.entry.read_to))
        if group.revision == 1 and seen.first_raw_offset < seen.committed_before:
            self.find(
                FindingKind.COMMITTED_TOO_FAR,
                f"raw offset {seen.committed_before} was committed before the group of raw offset "
                f"{seen.first_raw_offset} was published: a crash between would have lost it",
                timestamp_us=group.timestamp_us,
                offsets=(("raw", seen.first_raw_offset), ("catalogue", seen.offset)),
            )

    def _account(self, entry: CatalogueEntry) -> None:
        """Take an entry's word for a group that is not there, or not whole."""
        past = self.history.get(entry.timestamp_us)
        if past is None or past.revision < entry.revision:
            members = {
                m.source: PastMember(m.source, m.raw_offset, digest_bytes(m.digest), None)
                for m in entry.members
            }
            self.history.put(entry.timestamp_us, PastGroup(entry.revision, entry.read_to, members))
        for member in entry.members:
            if self._settled(member.raw_offset) is not None:
                self.tally.members += 1
            self._claims.pop(member.raw_offset, None)
        self._settle_duplicates(entry.timestamp_us)

    # -- rejects

    def reject(self, offset: int, headers: RejectHeaders) -> None:
        """A record of rejects, in their order."""
        self.tally.rejects[headers.reason.value] += 1
        if headers.stage != "grouper" or headers.reason is RejectReason.RAW_GAP:
            return
        raw_offset = headers.raw_offset
        if raw_offset is None:
            self.unreadable("rejects", offset, "the grouper's reject does not say its raw offset")
            return
        if headers.raw_partition != self.partition:
            self.find(
                FindingKind.PARTITION,
                f"the reject names raw partition {headers.raw_partition}",
                timestamp_us=headers.timestamp_us,
                source=headers.source,
                offsets=(("rejects", offset), ("raw", raw_offset)),
            )
            return
        if self._first_reject is None:
            self._first_reject = raw_offset
        fact = self._windows.get(raw_offset)
        if fact is not None:
            self._rejected_window(fact, offset, headers)
        elif raw_offset in self._rejected:
            self.find(
                FindingKind.WINDOW_TWICE,
                "the raw record is in rejects twice",
                timestamp_us=headers.timestamp_us,
                source=headers.source,
                offsets=(("raw", raw_offset), ("rejects", offset)),
            )
        elif raw_offset >= self.raw_next:
            self._rejects[raw_offset] = (offset, headers, self.round)
        elif headers.timestamp_us is not None and headers.source is not None:
            past = self.history.get(headers.timestamp_us)
            member = past.members.get(headers.source) if past else None
            if member is not None and member.raw_offset == raw_offset:
                self._two_fates(raw_offset, headers.timestamp_us, headers.source)

    def _rejected_window(self, fact: WindowFact, offset: int, headers: RejectHeaders) -> None:
        self._settled(fact.offset)
        self.tally.rejected += 1
        self._rejected[fact.offset] = None
        while len(self._rejected) > _REMEMBERED:
            self._rejected.popitem(last=False)
        named = None if headers.digest is None else digest_bytes(headers.digest)
        if named is not None and named != fact.digest:
            self.find(
                FindingKind.REJECT_WITHOUT_RAW,
                f"the reject's digest is not that of raw offset {fact.offset}, which it names",
                timestamp_us=headers.timestamp_us,
                source=headers.source,
                offsets=(("rejects", offset), ("raw", fact.offset)),
            )

    # -- what is still waiting

    def judge_groups(self, elsewhere: Callable[[ImageFact, int], bool]) -> None:
        """Judge what of groups, catalogue and rejects waits since an earlier round.

        Args:
            elsewhere: settles the window of an image in another partition than this, if it is there.
        """
        self._drop_gone()
        for group in self._assembly.torn(self.round):
            self._judge_torn(group)
        for group in _stale(self._groups, self.round):
            cut = self.bounds.catalogue_cut and (
                self._first_entry is None or group.first.offset < self._first_entry[0]
            )
            if cut:
                self.tally.gone += 1
            else:
                self._about(group, Problem(FindingKind.ENTRY_MISSING, "the catalogue has no entry of it"))
        for seen in [
            each for entries in self._entries.values() for each in entries if each.seen < self.round
        ]:
            self._judge_entry(seen)
        self._judge_mismatched(elsewhere)
        self._judge_claims(elsewhere)
        for raw_offset, (offset, headers, seen_round) in list(self._rejects.items()):
            if seen_round < self.round and raw_offset >= self.bounds.raw_end:
                del self._rejects[raw_offset]
                self.find(
                    FindingKind.REJECT_WITHOUT_RAW,
                    f"the reject names raw offset {raw_offset}; raw ends at {self.bounds.raw_end}",
                    timestamp_us=headers.timestamp_us,
                    source=headers.source,
                    offsets=(("rejects", offset),),
                )

    def _judge_torn(self, group: SeenGroup) -> None:
        entry = self._entry_of(group)
        begin = self.bounds.groups_begin
        cut = group.offsets[1] < begin or (entry is not None and entry.entry.first_offset < begin)
        if group.first.headers.index > 0 and self._groups_cut and entry is None:
            cut = True  # its beginning, and the entry before all others, went by retention
        if cut:
            self.tally.gone += 1
        else:
            indices = [image.headers.index for image in group.images]
            self._about(
                group,
                Problem(
                    FindingKind.GROUP_TORN,
                    f"of {group.first.headers.size} records only {indices} are there",
                ),
            )
        for image in group.images:
            if image.headers.raw_offset in self._windows:
                self._claim(image)
        if entry is not None:
            self._account(entry.entry)
        elif group.timestamp_us not in self.history:
            self._remember(group, None)

    def _judge_entry(self, seen: SeenEntry) -> None:
        waiting = self._entries.get(seen.entry.group_id, [])
        if seen not in waiting:
            return
        waiting.remove(seen)
        if not waiting:
            del self._entries[seen.entry.group_id]
        if seen.entry.first_offset < self.bounds.groups_begin:
            self.tally.gone += 1
        else:
            self.find(
                FindingKind.GROUP_MISSING,
                f"its group is not in groups at {seen.entry.first_offset} to {seen.entry.last_offset}",
                timestamp_us=seen.entry.timestamp_us,
                offsets=(("catalogue", seen.offset),),
            )
        self._account(seen.entry)

    def _judge_mismatched(self, elsewhere: Callable[[ImageFact, int], bool]) -> None:
        old = [claim for claim in self._mismatched if claim.seen < self.round]
        self._mismatched = [claim for claim in self._mismatched if claim.seen >= self.round]
        for claim in old:
            headers = claim.image.headers
            if elsewhere(claim.image, self.partition):
                self._wrong_partition(claim.image)
                continue
            fact = self._settled(headers.raw_offset)
            if fact is None:
                self._two_fates(headers.raw_offset, headers.timestamp_us, headers.source)
                continue
            self.find(
                FindingKind.GROUP_MIXED,
                f"the image of {headers.source} says that it was raw offset {headers.raw_offset}, which is "
                f"{fact.source or 'unreadable'} of another group",
                timestamp_us=headers.timestamp_us,
                offsets=(("groups", claim.image.offset), ("raw", headers.raw_offset)),
            )

    def _judge_claims(self, elsewhere: Callable[[ImageFact, int], bool]) -> None:
        for raw_offset, claim in list(self._claims.items()):
            if claim.seen >= self.round or raw_offset < self.bounds.raw_end:
                continue
            del self._claims[raw_offset]
            headers = claim.image.headers
            if elsewhere(claim.image, self.partition):
                self._wrong_partition(claim.image)
                continue
            self.find(
                FindingKind.GROUP_MIXED,
                f"the image says that it was raw offset {raw_offset}; raw ends at {self.bounds.raw_end}",
                timestamp_us=headers.timestamp_us,
                source=headers.source,
                offsets=(("groups", claim.image.offset),),
            )

    def _wrong_partition(self, image: ImageFact) -> None:
        self.find(
            FindingKind.PARTITION,
            "the group's raw records are in another partition",
            timestamp_us=image.headers.timestamp_us,
            offsets=(("groups", image.offset),),
        )

    def settle_from_elsewhere(self, image: ImageFact) -> bool:
        """Settle this partition's window of an image that lies in another partition of groups."""
        for offset in self._by_time.get(image.headers.timestamp_us, ()):
            fact = self._windows[offset]
            if fact.source == image.headers.source and fact.digest == image.digest:
                self._settled(offset)
                self.tally.members += 1
                return True
        return False

    def judge_windows(self) -> None:
        """Judge the windows below `read_to` that found no fate, once all topics were read behind it.

        `bounds` were set before this round's topics were read, and count from the next round on: what
        the commit carries may have been half visible when the ends of the topics were asked for.
        """
        committed, read_to = self._judge_to
        self._judge_to = (self.bounds.committed, self.bounds.read_to)
        for fact in [fact for offset, fact in self._windows.items() if offset < read_to]:
            if fact.offset in self._windows and not self._duplicate(fact):
                self._judge_window(fact, committed)

    def _judge_window(self, fact: WindowFact, committed: int) -> None:
        past = None if fact.timestamp_us is None else self.history.get(fact.timestamp_us)
        if past is None and fact.problem is None and fact.offset >= committed:
            return  # its group is open
        self._settled(fact.offset)
        if self._unjudgeable(fact):
            self.tally.gone += 1
            return
        stranger = fact.source is not None and bool(self._expected) and fact.source not in self._expected
        if fact.problem is not None:
            kind, why = (
                FindingKind.REJECT_MISSING,
                f"it cannot be used ({fact.problem.detail}), and no reject says so",
            )
        elif past is None:
            kind = FindingKind.COMMITTED_TOO_FAR
            why = f"offset {committed} is committed, and it is in no group, no duplicate and no reject"
        elif fact.source in past.members:
            kind, why = (
                FindingKind.REJECT_MISSING,
                "it has other bytes than the member, and no reject says so",
            )
        elif fact.offset < past.read_to and not stranger:
            kind = FindingKind.MEMBER_DROPPED
            why = "it was read when its group was published, and is neither in it nor in rejects"
        else:
            kind, why = FindingKind.REJECT_MISSING, "it came when its group was closed, and no reject says so"
        self.find(
            kind, why, timestamp_us=fact.timestamp_us, source=fact.source, offsets=(("raw", fact.offset),)
        )

    def _unjudgeable(self, fact: WindowFact) -> bool:
        """Whether what became of a window may have been taken by retention, or forgotten here."""
        if self.bounds.rejects_cut and (self._first_reject is None or fact.offset <= self._first_reject):
            return True
        if fact.timestamp_us is not None and self.history.forgotten(fact.timestamp_us):
            return True
        return self.bounds.catalogue_cut and (self._first_entry is None or fact.offset < self._first_entry[1])

    @property
    def waiting(self) -> int:
        """Windows read that have no fate yet: of open groups, or not handled."""
        return len(self._windows)

    def waiting_offsets(self) -> Iterable[int]:
        """Their raw offsets."""
        return tuple(self._windows)

    def presence(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Each timestamp that was grouped, and its sources."""
        return self.history.presence()


def _stale(groups: dict[str, SeenGroup], before_round: int) -> list[SeenGroup]:
    stale = [group for group in groups.values() if group.seen < before_round]
    for group in stale:
        del groups[group.group_id]
    return stale
