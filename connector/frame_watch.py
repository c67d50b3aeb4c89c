"""Whether a source is silent, which it may be, or stalled, which it may not. Pure: time is an argument."""


class FrameWatch:
    """Watches one connection. All times are seconds of one clock that never goes back."""

    def __init__(self, now_s: float, *, stall_timeout_s: float, max_frame_time_s: float) -> None:
        """Begin between frames.

        Args:
            now_s: when the connection was made.
            stall_timeout_s: how long a frame may go without a byte.
            max_frame_time_s: how long a frame may take.
        """
        self._stall_timeout_s = stall_timeout_s
        self._max_frame_time_s = max_frame_time_s
        self._latest_s = now_s
        self._began_s: float | None = None

    def received(self, now_s: float, *, in_frame: bool, ended_frame: bool) -> None:
        """Bytes have come, and have been dealt with.

        Args:
            now_s: when that was done. It may have waited for Kafka, which is no fault of the server.
            in_frame: whether a frame is incomplete now.
            ended_frame: whether one was completed by them, so that an incomplete one is a new one.
        """
        self._latest_s = now_s
        if not in_frame:
            self._began_s = None
        elif ended_frame or self._began_s is None:
            self._began_s = now_s

    def stalled(self, now_s: float) -> str | None:
        """Why the frame under way is to be given up; None while it goes on, or none is under way."""
        if self._began_s is None:
            return None
        if now_s - self._latest_s >= self._stall_timeout_s:
            return f"no byte within a frame for {self._stall_timeout_s:g} s (TRAPLINE_STALL_TIMEOUT_S)"
        if now_s - self._began_s >= self._max_frame_time_s:
            return f"a frame is not complete after {self._max_frame_time_s:g} s (TRAPLINE_MAX_FRAME_TIME_S)"
        return None

    def silent_s(self, now_s: float) -> float:
        """Seconds without a byte between frames; 0 within one."""
        return now_s - self._latest_s if self._began_s is None else 0.0
