"""The books of one partition, pure: facts in, in the order of each topic; findings out.

Each raw record must find its one fate: member of a group, duplicate of a member, or reject. Facts of
the four topics may come in any mixture; what has found its counterpart is let go of at once, so the
memory is that of what is still waiting, plus a few bytes a window in History.

What waits is judged in a later round than it was read in: a live grouper's transaction may have been half
visible when a round asked where the topics end, and never is when the next one does.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from audit.bounds import Bounds
from audit.claims import Claims, Elsewhere
from audit.entries import Progress, SeenEntry, compare, examine_entry
from audit.facts import ImageFact, Problem, WindowFact
from audit.findings import Finding, FindingKind
from audit.groups import GroupAssembly, SeenGroup, compare_revisions, examine
from audit.history import History, PastGroup, PastMember
from audit.inspection import digest_bytes
from audit.recorder import Recorder
from audit.rejects import Rejects
from audit.tally import Tally
from audit.windows import Windows
from schemas.catalogue import CatalogueEntry
from schemas.record_headers import RejectHeaders


class PartitionLedger:
    """The books of one partition of raw, groups, catalogue and rejects.

    Attributes:
        partition: its number.
        bounds: set by whoever reads the topics, before and after each round.
        tally: what was counted.
        progress: what the entries say of the committed offset.
        windows: the raw records without a fate.
        recorder: where findings go.
    """

    def __init__(self, partition: int, report: Callable[[Finding], None], remember: int) -> None:
        """Open the books.

        Args:
            partition: its number.
            report: told of each finding, once.
            remember: timestamps of closed groups that are kept to know repeats by.
        """
        self.partition = partition
        self.bounds = Bounds()
        self.tally = Tally()
        self.progress = Progress()
        self.recorder = Recorder(partition, report)
        self._history = History(remember)
        self.windows = Windows(self.bounds, self._history, self.recorder, self.tally)
        self._claims = Claims(self.bounds, self._history, self.windows, self.recorder, self.tally)
        self._rejects = Rejects(
            partition,
            bounds=self.bounds,
            history=self._history,
            windows=self.windows,
            recorder=self.recorder,
            tally=self.tally,
        )
        self._round = 0
        self._assembly = GroupAssembly()
        self._groups: dict[str, SeenGroup] = {}
        self._entries: dict[str, list[SeenEntry]] = {}
        self._doubled: dict[str, int] = {}
        self._judge_to: tuple[int, int, Collection[int] | None] = (0, 0, None)

    def unreadable(self, topic: str, offset: int, detail: str) -> None:
        """A record of groups, catalogue or rejects that is none of ours."""
        self.recorder.find(FindingKind.UNREADABLE, detail, offsets=((topic, offset),))

    def window(self, fact: WindowFact) -> None:
        """A raw record, in the order of raw."""
        jumped = fact.offset - self.windows.next_offset
        if jumped > 0:  # retention overtook the reader
            self.tally.gone += jumped
            self.bounds.raw_begin = max(self.bounds.raw_begin, fact.offset)
            self._claims.drop_gone()
            self._rejects.drop_gone()
        self.windows.add(fact)
        image = self._claims.window(fact, self._round)
        if not self._rejects.window(fact, is_member=image is not None) and image is None:
            self.windows.settle_duplicate(fact)

    def image(self, appended_ms: int, fact: ImageFact) -> None:
        """A record of groups, in their order; `appended_ms`: when Kafka took it."""
        if self.bounds.oldest_group_ms is None:
            self.bounds.oldest_group_ms = appended_ms
        for problem in fact.problems:
            self.recorder.find(
                problem.kind,
                problem.detail,
                timestamp_us=fact.headers.timestamp_us,
                source=fact.headers.source,
                offsets=(("groups", fact.offset),),
            )
        group = self._assembly.add(fact, self._round)
        if group is not None:
            self._whole(group)

    def reject(self, offset: int, appended_ms: int, headers: RejectHeaders) -> None:
        """A record of rejects, in their order; `appended_ms`: when Kafka took it."""
        if self.bounds.oldest_reject_ms is None:
            self.bounds.oldest_reject_ms = appended_ms
        self._rejects.add(offset, headers, self._round)

    # -- groups

    def _whole(self, group: SeenGroup) -> None:
        self.tally.groups += 1
        self.tally.repaired += group.revision > 1
        self.tally.incomplete += not group.first.headers.complete
        past = self._history.get(group.timestamp_us)
        if past is not None and group.revision <= past.revision:
            detail = f"revision {group.revision} of this timestamp is out already"
            self.recorder.about(group, Problem(FindingKind.GROUP_TWICE, detail))
            self._drop_entry(group.group_id)
            for image in group.images:  # what only the second one has is not lost as well
                self._claims.add_new(image, self._round)
            return
        for problem in examine(group):
            self.recorder.about(group, problem)
        wrong = self._wrong_revision(group, past)
        if wrong is not None:
            self.recorder.about(group, Problem(FindingKind.REVISION, wrong))
        before = past.members if past else {}
        added = [i.headers.raw_offset for i in group.images if i.headers.source not in before]
        if group.revision == 1 or past is not None:
            group.added_from = min(added, default=None)
        for image in group.images:
            self._claims.add(image, self._round)
        self._remember(group, past)
        entry = self._take_entry(group)
        if entry is None:
            self._groups[group.group_id] = group
        else:
            self._match(group, entry)
        self.windows.settle_duplicates(group.timestamp_us, self._claims.__contains__)

    def _wrong_revision(self, group: SeenGroup, past: PastGroup | None) -> str | None:
        gone = self.bounds.groups_begin > 0 or self._history.forgotten(group.timestamp_us)
        if group.revision <= 1 or (past is None and gone):
            return None
        return compare_revisions(group, past)

    def _remember(self, group: SeenGroup, past: PastGroup | None) -> None:
        members = {}
        for image in group.images:
            source, raw_offset = image.headers.source, image.headers.raw_offset
            members[source] = PastMember(source, raw_offset, image.digest, image.pixels)
        highest = max(member.raw_offset for member in members.values())
        read_to = max(highest + 1, past.read_to if past else 0)
        self._history.put(group.timestamp_us, PastGroup(group.revision, read_to, members))

    # -- catalogue

    def entry(self, offset: int, entry: CatalogueEntry) -> None:
        """A catalogue entry, in their order."""
        self.tally.closed(entry.timestamp_us, entry.closed_by)
        self.windows.expected.update(entry.expected)
        impossible = self.progress.next(offset, entry)
        if impossible is not None:
            self._find_in_entry(FindingKind.OFFSETS, impossible, offset, entry)
        seen = SeenEntry(offset, entry, self._round, self.progress.committed_before)
        if self.bounds.first_group is None:
            self.bounds.first_group, self.bounds.first_read_to = entry.first_offset, entry.read_to
        if self._doubled.get(entry.group_id):
            self._doubled[entry.group_id] -= 1
            return
        untrue = examine_entry(entry)
        if untrue is not None:
            self._find_in_entry(FindingKind.MISSING_LIST, untrue, offset, entry)
        group = self._groups.pop(entry.group_id, None)
        if group is not None:
            self._match(group, seen)
        elif entry.first_offset < self.bounds.groups_begin:
            self.tally.gone += 1
            self._account(entry)
        else:
            self._entries.setdefault(entry.group_id, []).append(seen)

    def _find_in_entry(self, kind: FindingKind, detail: str, offset: int, entry: CatalogueEntry) -> None:
        self.recorder.find(kind, detail, timestamp_us=entry.timestamp_us, offsets=(("catalogue", offset),))

    def _take_entry(self, group: SeenGroup) -> SeenEntry | None:
        """Take out the entry that was read before its group; where there are several, the one that fits."""
        waiting = self._entries.pop(group.group_id, [])
        waiting.sort(key=lambda seen: seen.entry.first_offset != group.first.offset)
        if len(waiting) > 1:
            self._entries[group.group_id] = waiting[1:]
        return waiting[0] if waiting else None

    def _drop_entry(self, group_id: str) -> None:
        """The entry of a group that was published twice says nothing more."""
        waiting = self._entries.pop(group_id, [])
        if len(waiting) > 1:
            self._entries[group_id] = waiting[:-1]
        if not waiting:
            self._doubled[group_id] = self._doubled.get(group_id, 0) + 1

    def _match(self, group: SeenGroup, seen: SeenEntry) -> None:
        for problem in compare(group, seen):
            self.recorder.about(group, problem)
        past = self._history.get(group.timestamp_us)
        if past is not None and past.revision == group.revision:
            self._history.put(group.timestamp_us, replace(past, read_to=seen.entry.read_to))
        if group.added_from is not None and group.added_from < seen.committed_before:
            self.recorder.find(
                FindingKind.COMMITTED_TOO_FAR,
                f"raw offset {seen.committed_before} was committed before the group of raw offset "
                f"{group.added_from} was published: a crash between would have lost it",
                timestamp_us=group.timestamp_us,
                offsets=(("raw", group.added_from), ("catalogue", seen.offset)),
            )

    def _account(self, entry: CatalogueEntry) -> None:
        """Take an entry's word for a group that is not there, or not whole."""
        past = self._history.get(entry.timestamp_us)
        if past is None or past.revision < entry.revision:
            members = {
                m.source: PastMember(m.source, m.raw_offset, digest_bytes(m.digest), None)
                for m in entry.members
            }
            self._history.put(entry.timestamp_us, PastGroup(entry.revision, entry.read_to, members))
        for member in entry.members:
            self.tally.members += self.windows.settle(member.raw_offset) is not None
            self._claims.drop(member.raw_offset)
        self.windows.settle_duplicates(entry.timestamp_us, self._claims.__contains__)

    # -- what is still waiting

    def judge_groups(self, elsewhere: Elsewhere) -> None:
        """Judge what of groups, catalogue and rejects waits since an earlier round.

        Args:
            elsewhere: settles the window of an image in another partition than this, if it is there.
        """
        for group in self._assembly.torn(self._round):
            self._judge_torn(group)
        for group in [group for group in self._groups.values() if group.seen < self._round]:
            del self._groups[group.group_id]
            if self.bounds.entry_gone(group.first.offset, group.timestamp_us):
                self.tally.gone += 1
            else:
                detail = "the catalogue has no entry of it"
                self.recorder.about(group, Problem(FindingKind.ENTRY_MISSING, detail))
        for group_id, waiting in list(self._entries.items()):
            self._entries[group_id] = [seen for seen in waiting if seen.seen >= self._round]
            if not self._entries[group_id]:
                del self._entries[group_id]
            for seen in waiting:
                if seen.seen < self._round:
                    self._judge_entry(seen)
        self._claims.judge(self._round, elsewhere)
        self._rejects.judge(self._round)

    def _judge_torn(self, group: SeenGroup) -> None:
        entry = self._take_entry(group)
        begin = self.bounds.groups_begin
        if entry is not None:
            cut = entry.entry.first_offset < begin
        else:  # without its beginning, and without the entry: retention took both
            cut = group.offsets[1] < begin or (begin > 0 and group.first.headers.index > 0)
        if cut:
            self.tally.gone += 1
        else:
            indices = [image.headers.index for image in group.images]
            detail = f"of {group.first.headers.size} records only {indices} are there"
            self.recorder.about(group, Problem(FindingKind.GROUP_TORN, detail))
        for image in group.images:
            if image.headers.raw_offset in self.windows:
                self._claims.add(image, self._round)
        if entry is not None:
            self._account(entry.entry)
        elif group.timestamp_us not in self._history:
            self._remember(group, None)

    def _judge_entry(self, seen: SeenEntry) -> None:
        entry = seen.entry
        if entry.first_offset < self.bounds.groups_begin:
            self.tally.gone += 1
        else:
            detail = f"its group is not in groups at {entry.first_offset} to {entry.last_offset}"
            self._find_in_entry(FindingKind.GROUP_MISSING, detail, seen.offset, entry)
        self._account(entry)

    def judge_windows(self) -> None:
        """Judge the windows that the grouper has handled and that found no fate; end the round.

        How far it has handled them counts from the round before: what such a commit carried may have been
        half visible when that round asked where the topics end.
        """
        self.windows.judge(*self._judge_to)
        self._judge_to = (self.bounds.committed, self.bounds.read_to, self.bounds.waiting)
        self._round += 1

    def presence(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Each timestamp that was grouped, and its sources."""
        return self._history.presence()
