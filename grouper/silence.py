"""Silent sources: not waited for, so that a dead subband costs latency once and not every group."""

from collections.abc import Iterable, Mapping


class Silence:
    """Counts, for each source, the latest closed groups that it is missing in.

    A source is silent when it is missing in each of the partition's last `silent_after` groups, until
    it shows a window: any window, a late one too. If only windows that join a group counted, a source
    that came just after its groups closed would never be waited for again.
    """

    def __init__(self, silent_after: int, missed: Mapping[str, int] | None = None) -> None:
        self._silent_after = silent_after
        self._missed = dict(missed or {})

    def shown(self, source: str) -> None:
        """A window of the source was seen."""
        self._missed.pop(source, None)

    def closed(self, present: Iterable[str], missing: Iterable[str]) -> None:
        """A group was closed."""
        for source in present:
            self._missed.pop(source, None)
        for source in missing:
            self._missed[source] = min(self._missed.get(source, 0) + 1, self._silent_after)

    def is_silent(self, source: str) -> bool:
        """Whether groups are closed without waiting for this source."""
        return self._missed.get(source, 0) >= self._silent_after

    def snapshot(self) -> dict[str, int]:
        """The counts that are not zero, as the committed offset's metadata keeps them."""
        return dict(self._missed)
