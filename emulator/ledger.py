"""What became of each frame: counted, and written to the truth file once a client has it."""

import time

from emulator import metrics
from emulator.frame import OutgoingFrame
from emulator.metrics import Counts
from emulator.truth import TruthFile


class Ledger:
    """Keeps the counts of a run and its truth file.

    A frame counts as sent when its last byte is in a client's connection: the client can read it, also if
    the emulator dies now, unless the client itself goes away before it has.

    Args:
        truth: None: no file is wanted.
    """

    def __init__(self, truth: TruthFile | None) -> None:
        self.counts = Counts()
        self._truth = truth

    def expect(self, frame: OutgoingFrame, clients: int) -> "Delivery":
        """A frame is about to be queued for so many clients."""
        if frame.fault is not None:
            self.counts.faults += 1
            metrics.FAULTS.labels(frame.fault).inc()
        if clients == 0:
            self._unseen(frame)
        return Delivery(self, frame, clients)

    def first_sent(self, frame: OutgoingFrame) -> None:
        """A first client has the frame."""
        self.counts.frames_sent += 1
        self.counts.bytes_sent += frame.nbytes
        metrics.FRAMES_SENT.labels(frame.source).inc()
        metrics.BYTES_SENT.labels(frame.source).inc(frame.nbytes)
        if self._truth is not None:
            self._truth.write(frame, time.time_ns() // 1000)

    def lost(self, frame: OutgoingFrame, *, unseen: bool) -> None:
        """A client went away without having the frame; `unseen`: it was the last that might have got it."""
        self.counts.client_frames_lost += 1
        metrics.CLIENT_FRAMES_LOST.labels(frame.source).inc()
        if unseen:
            self._unseen(frame)

    def _unseen(self, frame: OutgoingFrame) -> None:
        self.counts.frames_unseen += 1
        metrics.FRAMES_UNSEEN.labels(frame.source).inc()


class Delivery:
    """The receipt of one frame for all the clients it was queued for."""

    def __init__(self, ledger: Ledger, frame: OutgoingFrame, clients: int) -> None:
        self._ledger = ledger
        self._frame = frame
        self._open = clients
        self._seen = False

    def sent(self) -> None:
        """One client has it."""
        self._open -= 1
        if not self._seen:
            self._seen = True
            self._ledger.first_sent(self._frame)

    def lost(self) -> None:
        """One client will never have it."""
        self._open -= 1
        self._ledger.lost(self._frame, unseen=not self._seen and self._open == 0)
