"""How long to wait before something that failed is tried again."""

from tenacity import RetryCallState, Retrying, wait_random_exponential


class Backoff:
    """Random waits that grow with each failure in a row.

    Random, so that the sources of a telescope that all lost their servers at once don't all come back
    at once.
    """

    def __init__(self, min_s: float, max_s: float) -> None:
        """Begin as after a success.

        Args:
            min_s: no wait is shorter.
            max_s: no wait is longer.
        """
        self._wait = wait_random_exponential(multiplier=2 * min_s, min=min_s, max=max_s)
        self._state = RetryCallState(Retrying(), None, (), {})
        self.failures = 0

    def next_s(self) -> float:
        """Count a failure; the seconds to wait: between min_s and 2 x min_s at first, twice that next, ..."""
        self.failures += 1
        self._state.attempt_number = self.failures
        return self._wait(self._state)

    def reset(self) -> None:
        """It worked: the next wait is a first one."""
        self.failures = 0
