"""Faults on purpose: what real and hostile image servers do, to show that nobody downstream minds.

A fault is asked for as NAME, or NAME:key=value:key=value, with the keys

- every: a fault comes each `every` steps (timestamps), first in step number `every`, counted from 1;
- source: the source that has it, e.g. sb2, or all. By default the sources have it in turn, a lasting fault
  (silent, lag, swap, dead) the last one;
- seconds: how long a stall takes;
- steps: for how many steps a source is silent or behind.

Where a fault takes the place of a frame, the timestamp lacks that source.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from emulator.cards import card
from emulator.errors import MisbehaviourError
from emulator.frame import OutgoingFrame, date_card, find_date_card, wire_header
from schemas.cards import CARD_SIZE
from schemas.frame import MAGIC

_FAR_FUTURE_US = 10 * 365 * 86_400 * 1_000_000
_GARBAGE_SIZE = 1000
_HUGE = 2**32 - 1
_BAD_MAGIC = 0x4F4D4F48534A4947


class Fault(StrEnum):
    """The names of the faults; FAULTS says what each does."""

    GARBAGE = "garbage"
    WRONG_MAGIC = "wrong-magic"
    LENGTH_LONG = "length-long"
    LENGTH_SHORT = "length-short"
    LENGTH_HUGE = "length-huge"
    NO_DATE_OBS = "no-date-obs"
    FAR_FUTURE = "far-future"
    NAN_PIXELS = "nan-pixels"
    EMPTY_IMAGE = "empty-image"
    STALL = "stall"
    CUT = "cut"
    DUPLICATE = "duplicate"
    REVERSED = "reversed"
    SILENT = "silent"
    LAG = "lag"
    SWAP = "swap"
    DEAD = "dead"


FAULTS = {
    Fault.GARBAGE: "1000 bytes that belong to no frame, before a good frame",
    Fault.WRONG_MAGIC: "a frame whose first eight bytes are wrong",
    Fault.LENGTH_LONG: "a frame that announces more pixels than its header has and it sends",
    Fault.LENGTH_SHORT: "a frame that announces fewer pixels than its header has and it sends",
    Fault.LENGTH_HUGE: "a frame that announces 4 GiB of pixels",
    Fault.NO_DATE_OBS: "a frame without DATE-OBS",
    Fault.FAR_FUTURE: "a frame ten years ahead",
    Fault.NAN_PIXELS: "a good frame, every fourth pixel of which is not a number",
    Fault.EMPTY_IMAGE: "a frame with NAXIS1 = 0 and no pixels",
    Fault.STALL: "a good frame with a long pause in its middle",
    Fault.CUT: "half a frame, then the end of the connection",
    Fault.DUPLICATE: "a good frame, twice",
    Fault.REVERSED: "good frames, the last source's first",
    Fault.SILENT: "nothing for `steps` steps, the connection stays open",
    Fault.LAG: "good frames, always `steps` steps after those of the other sources",
    Fault.SWAP: "a good frame after the next one of its source",
    Fault.DEAD: "after `every` steps, the end of the connection and of the server",
}

_LASTING = {Fault.SILENT, Fault.LAG, Fault.SWAP, Fault.DEAD}


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """One fault and when it comes; the module says what the fields mean."""

    fault: Fault
    every: int = 10
    source: str | None = None
    seconds: float = 30.0
    steps: int = 1

    @classmethod
    def parse(cls, text: str) -> "Misbehaviour":
        """Read NAME:key=value:key=value.

        Raises:
            MisbehaviourError: names the part that is wrong.
        """
        name, *options = text.split(":")
        try:
            misbehaviour = cls(Fault(name))
        except ValueError:
            raise MisbehaviourError(
                f"{text!r}: there is no fault {name!r}; there are {', '.join(Fault)}"
            ) from None
        for option in options:
            key, _, value = option.partition("=")
            try:
                match key:
                    case "every":
                        misbehaviour = dataclasses.replace(misbehaviour, every=_positive(value))
                    case "steps":
                        misbehaviour = dataclasses.replace(misbehaviour, steps=_positive(value))
                    case "seconds":
                        misbehaviour = dataclasses.replace(misbehaviour, seconds=abs(float(value)))
                    case "source":
                        misbehaviour = dataclasses.replace(misbehaviour, source=value)
                    case _:
                        raise MisbehaviourError(
                            f"{text!r}: there is no key {key!r}; there are every, source, seconds, steps"
                        )
            except ValueError as error:
                if isinstance(error, MisbehaviourError):
                    raise
                raise MisbehaviourError(f"{text!r}: {value!r} is no value for {key}") from None
        return misbehaviour

    def __str__(self) -> str:
        return f"{self.fault}:every={self.every}"

    def hits(self, step: int, source: str, sources: Sequence[str]) -> bool:
        """Whether a source has the fault in a step (counted from 0)."""
        number = step + 1
        match self.fault:
            case Fault.LAG:
                in_time = True
            case Fault.DEAD:
                in_time = number > self.every
            case Fault.SILENT:
                in_time = number >= self.every and number % self.every < self.steps
            case _:
                in_time = number % self.every == 0
        if not in_time:
            return False
        if self.source is not None:
            return self.source in {source, "all"}
        if self.fault in _LASTING:
            return source == sources[-1]
        return source == sources[(number // self.every - 1) % len(sources)]


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to send to each client of a source.

    Attributes:
        frame: the bytes.
        pause_inside_s: seconds to wait in the middle of the pixels; None: no pause.
        then_close: end the connection behind it.
    """

    frame: OutgoingFrame
    pause_inside_s: float | None = None
    then_close: bool = False


@dataclass(slots=True)
class Misconduct:
    """Turns the frames that a well-behaved server would send into what this one sends.

    Args:
        misbehaviours: the faults; where several hit the same frame, the first one does.
        sources: the sources' names in order.
    """

    misbehaviours: Sequence[Misbehaviour]
    sources: Sequence[str]
    _held: dict[str, list[OutgoingFrame]] = field(default_factory=dict)

    def order(self, step: int) -> Sequence[str]:
        """The order in which a step's sources are sent."""
        backwards = any(
            one.fault is Fault.REVERSED and (step + 1) % one.every == 0 for one in self.misbehaviours
        )
        return list(reversed(self.sources)) if backwards else self.sources

    def dead(self, step: int, source: str) -> bool:
        """Whether a source's server is gone for good in this step."""
        return any(
            one.fault is Fault.DEAD and one.hits(step, source, self.sources) for one in self.misbehaviours
        )

    def pieces(self, step: int, frame: OutgoingFrame) -> list[Piece]:
        """What is sent in a step in place of a frame."""
        hit = next(
            (
                one
                for one in self.misbehaviours
                if one.fault is not Fault.REVERSED and one.hits(step, frame.source, self.sources)
            ),
            None,
        )
        if hit is not None and hit.fault is Fault.SILENT:
            return []
        if hit is not None and hit.fault is Fault.LAG:
            waiting = self._held.setdefault(frame.source, [])
            waiting.append(dataclasses.replace(frame, oddity=hit.fault.value))
            return [Piece(waiting.pop(0))] if len(waiting) > hit.steps else []
        if hit is not None and hit.fault is Fault.SWAP and not self._held.get(frame.source):
            self._held[frame.source] = [dataclasses.replace(frame, oddity=hit.fault.value)]
            return []
        pieces = [Piece(frame)] if hit is None or hit.fault is Fault.SWAP else _spoil(hit, frame)
        return pieces + [Piece(late) for late in self._held.pop(frame.source, [])]

    def remainder(self) -> list[Piece]:
        """What is still held back at the end of a run."""
        late = [Piece(frame) for source in self.sources for frame in self._held.get(source, [])]
        self._held.clear()
        return late


def _spoil(misbehaviour: Misbehaviour, frame: OutgoingFrame) -> list[Piece]:
    """The pieces that a fault of one frame makes of it."""
    name = misbehaviour.fault.value
    bad = dataclasses.replace(frame, fault=name)
    odd = dataclasses.replace(frame, oddity=name)
    match misbehaviour.fault:
        case Fault.GARBAGE:
            noise = np.random.default_rng(frame.timestamp_us).bytes(_GARBAGE_SIZE)
            garbage = dataclasses.replace(bad, header=b"", text=noise, pixels=memoryview(b""))
            return [Piece(garbage), Piece(frame)]
        case Fault.DUPLICATE:
            return [Piece(frame), Piece(bad)]
        case Fault.STALL:
            return [Piece(odd, pause_inside_s=misbehaviour.seconds)]
        case Fault.CUT:
            half = frame.pixels[: frame.pixels.nbytes // 2]
            return [Piece(dataclasses.replace(bad, pixels=half), then_close=True)]
        case Fault.NAN_PIXELS:
            return [Piece(_with_nan(odd))]
        case fault:
            return [Piece(_SPOILT[fault](bad))]


def _announced(frame: OutgoingFrame, pixels_length: int, magic: int = MAGIC) -> OutgoingFrame:
    header = wire_header(len(frame.text), pixels_length, magic)
    return dataclasses.replace(frame, header=header)


def _with_card(frame: OutgoingFrame, offset: int, new: bytes) -> OutgoingFrame:
    text = frame.text[:offset] + new + frame.text[offset + CARD_SIZE :]
    return dataclasses.replace(frame, text=text)


def _without_date(frame: OutgoingFrame) -> OutgoingFrame:
    return _with_card(frame, find_date_card(frame.text), b"COMMENT".ljust(CARD_SIZE))


def _far_future(frame: OutgoingFrame) -> OutgoingFrame:
    timestamp_us = frame.timestamp_us + _FAR_FUTURE_US
    future = dataclasses.replace(frame, timestamp_us=timestamp_us)
    return _with_card(future, find_date_card(frame.text), date_card(timestamp_us))


def _with_nan(frame: OutgoingFrame) -> OutgoingFrame:
    pixels = np.frombuffer(frame.pixels, dtype="<f4").copy()
    pixels[::4] = np.nan
    return dataclasses.replace(frame, pixels=pixels.data.cast("B"))


def _empty(frame: OutgoingFrame) -> OutgoingFrame:
    header = wire_header(len(frame.text), 0)
    empty = dataclasses.replace(frame, header=header, pixels=memoryview(b""))
    return _with_card(empty, frame.text.index(b"NAXIS1  ="), card("NAXIS1", 0))


_SPOILT: dict[Fault, Callable[[OutgoingFrame], OutgoingFrame]] = {
    Fault.WRONG_MAGIC: lambda frame: _announced(frame, frame.pixels.nbytes, _BAD_MAGIC),
    Fault.LENGTH_LONG: lambda frame: _announced(frame, 2 * frame.pixels.nbytes),
    Fault.LENGTH_SHORT: lambda frame: _announced(frame, frame.pixels.nbytes // 8 * 4),
    Fault.LENGTH_HUGE: lambda frame: _announced(frame, _HUGE),
    Fault.NO_DATE_OBS: _without_date,
    Fault.FAR_FUTURE: _far_future,
    Fault.EMPTY_IMAGE: _empty,
}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
