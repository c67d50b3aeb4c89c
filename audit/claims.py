"""What images say of raw: each names the raw record it was, and is held against it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from audit.bounds import Bounds
from audit.facts import ImageFact, WindowFact
from audit.findings import FindingKind
from audit.history import History
from audit.recorder import Recorder
from audit.tally import Tally
from audit.windows import Windows

_TWO_GROUPS: Final = "the raw record is named by an image here, and by another group or a reject"

Elsewhere = Callable[[ImageFact], bool]
"""Settles the window of an image in another partition, if it is there."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An image that waits for its raw record, and the round in which it was read."""

    image: ImageFact
    seen: int


class Claims:
    """The images whose raw record is not found yet, or is another window."""

    def __init__(
        self, bounds: Bounds, history: History, windows: Windows, recorder: Recorder, tally: Tally
    ) -> None:
        self._bounds = bounds
        self._history = history
        self._windows = windows
        self._recorder = recorder
        self._tally = tally
        self._ahead: dict[int, Claim] = {}
        self._mismatched: list[Claim] = []

    def __contains__(self, raw_offset: int) -> bool:
        return raw_offset in self._ahead

    def add(self, image: ImageFact, round_number: int) -> None:
        """Hold an image against its raw record, now or when that is read."""
        offset = image.headers.raw_offset
        fact = self._windows.get(offset)
        if fact is not None:
            self._compare(image, fact, round_number)
        elif offset >= self._windows.next_offset:
            self._add_ahead(offset, image, round_number)
        elif offset < self._bounds.raw_begin:
            self._tally.gone_members += 1
        else:
            self._add_again(image, round_number)

    def add_new(self, image: ImageFact, round_number: int) -> None:
        """As `add`, but only if its raw record has no fate yet."""
        offset = image.headers.raw_offset
        if offset in self._windows or offset >= self._windows.next_offset:
            self.add(image, round_number)

    def window(self, fact: WindowFact, round_number: int) -> ImageFact | None:
        """Hold the next raw record against the image that waits for it; return that."""
        claim = self._ahead.pop(fact.offset, None)
        if claim is None:
            return None
        self._compare(claim.image, fact, round_number)
        return claim.image

    def drop(self, raw_offset: int) -> None:
        """Forget the claim on a raw record that an entry accounts for."""
        self._ahead.pop(raw_offset, None)

    def drop_gone(self) -> None:
        """Forget the claims on raw records that retention has taken."""
        for offset in [offset for offset in self._ahead if offset < self._bounds.raw_begin]:
            del self._ahead[offset]
            self._tally.gone_members += 1

    def _add_ahead(self, offset: int, image: ImageFact, round_number: int) -> None:
        other = self._ahead.setdefault(offset, Claim(image, round_number)).image
        if other is image:
            return
        if (other.headers.timestamp_us, other.headers.source) != (
            image.headers.timestamp_us,
            image.headers.source,
        ):
            self._mismatched.append(Claim(image, round_number))
        elif other.pixels != image.pixels:
            self._pixels_differ(image, "the revision before")

    def _add_again(self, image: ImageFact, round_number: int) -> None:
        """An image of a raw record that has a fate already: right only in a further revision."""
        headers = image.headers
        past = self._history.get(headers.timestamp_us)
        member = past.members.get(headers.source) if past else None
        if member is None or member.raw_offset != headers.raw_offset:
            if not self._history.forgotten(headers.timestamp_us):
                self._mismatched.append(Claim(image, round_number))
        elif image.pixels is not None and member.pixels is not None and image.pixels != member.pixels:
            self._pixels_differ(image, "the revision before")

    def _compare(self, image: ImageFact, fact: WindowFact, round_number: int) -> None:
        headers = image.headers
        if (fact.timestamp_us, fact.source) != (headers.timestamp_us, headers.source):
            self._mismatched.append(Claim(image, round_number))
            return
        self._windows.settle(fact.offset)
        self._tally.members += 1
        if fact.digest != image.digest:
            self._differ(FindingKind.DIGEST, "the image's header has another digest than the frame's", image)
        elif not fact.digest_true:
            detail = "the raw record's header has another digest than its bytes"
            self._differ(FindingKind.DIGEST, detail, image)
        if fact.problem is not None:
            detail = f"published, though the raw record cannot be: {fact.problem.detail}"
            self._differ(fact.problem.kind, detail, image)
        elif fact.pixels is not None and image.pixels is not None and fact.pixels != image.pixels:
            self._pixels_differ(image, "its frame")

    def _pixels_differ(self, image: ImageFact, than: str) -> None:
        self._differ(FindingKind.PIXELS, f"the image's pixels are not those of {than}", image)

    def _differ(self, kind: FindingKind, detail: str, image: ImageFact) -> None:
        headers = image.headers
        self._recorder.find(
            kind,
            detail,
            timestamp_us=headers.timestamp_us,
            source=headers.source,
            offsets=(("raw", headers.raw_offset), ("groups", image.offset)),
        )

    def judge(self, before_round: int, elsewhere: Elsewhere) -> None:
        """Judge what waits since an earlier round."""
        self.drop_gone()
        old = [claim for claim in self._mismatched if claim.seen < before_round]
        self._mismatched = [claim for claim in self._mismatched if claim.seen >= before_round]
        for claim in old:
            self._judge_mismatched(claim.image, elsewhere)
        for raw_offset, claim in list(self._ahead.items()):
            if claim.seen < before_round and raw_offset >= self._bounds.raw_end:
                del self._ahead[raw_offset]
                self._judge_ahead(claim.image, elsewhere)

    def _judge_mismatched(self, image: ImageFact, elsewhere: Elsewhere) -> None:
        headers = image.headers
        if elsewhere(image):
            self._wrong_partition(image)
            return
        fact = self._windows.settle(headers.raw_offset)
        if fact is None:
            self._recorder.two_fates(headers.raw_offset, headers.timestamp_us, headers.source, _TWO_GROUPS)
            return
        self._recorder.find(
            FindingKind.GROUP_MIXED,
            f"the image of {headers.source} says that it was raw offset {headers.raw_offset}, which is "
            f"{fact.source or 'unreadable'} of another group",
            timestamp_us=headers.timestamp_us,
            offsets=(("groups", image.offset), ("raw", headers.raw_offset)),
        )

    def _judge_ahead(self, image: ImageFact, elsewhere: Elsewhere) -> None:
        headers = image.headers
        if elsewhere(image):
            self._wrong_partition(image)
            return
        self._recorder.find(
            FindingKind.GROUP_MIXED,
            f"the image says that it was raw offset {headers.raw_offset}; raw ends at {self._bounds.raw_end}",
            timestamp_us=headers.timestamp_us,
            source=headers.source,
            offsets=(("groups", image.offset),),
        )

    def _wrong_partition(self, image: ImageFact) -> None:
        self._recorder.find(
            FindingKind.PARTITION,
            "the group's raw records are in another partition",
            timestamp_us=image.headers.timestamp_us,
            offsets=(("groups", image.offset),),
        )
