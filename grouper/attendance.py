"""Which sources groups are expected to hold, and which of them are silent: not waited for.

Expected are the configured names; or, with `auto`, the members of any of the last 20 groups and those seen
since. Both are counted by the same figure: how many groups in a row were closed without a source since it
was last seen. At `silent_after` it is silent, so that a dead subband costs latency once and not every group.
At 20 `auto` forgets it.
"""

from collections.abc import Iterable, Mapping

AUTO_GROUPS = 20


class Attendance:
    """Counts, for each source, the groups closed without it since it was last seen.

    Any window counts as seen, a late one too. If only windows that join a group counted, a source that came
    just after its groups closed would never be waited for again.
    """

    def __init__(
        self,
        names: tuple[str, ...] | None,
        silent_after: int,
        missed: Mapping[str, int] | None = None,
        *,
        history: bool,
    ) -> None:
        """Go on where an earlier life was.

        Args:
            names: the configured sources in their order; None: `auto`.
            silent_after: closed groups in a row without a source until it is silent.
            missed: what `snapshot` said, or what the catalogue says.
            history: whether any group was closed in this partition. Until then `auto` knows nobody, and
                groups wait out their grace.
        """
        self._names = names
        self._silent_after = silent_after
        self._cap = AUTO_GROUPS if names is None else silent_after
        counts = {source: min(count, self._cap) for source, count in (missed or {}).items()}
        if names is None:
            self._missed = {source: count for source, count in counts.items() if count < AUTO_GROUPS}
        else:
            self._missed = {source: counts.get(source, 0) for source in names}
        self._history = history
        self._expected: tuple[str, ...] | None = names

    @property
    def expected(self) -> tuple[str, ...]:
        """The sources of a complete group, in the order in which they are published."""
        if self._expected is None:
            self._expected = tuple(sorted(self._missed))
        return self._expected

    @property
    def known(self) -> bool:
        """Whether `expected` can be relied on: what is not there then is missing."""
        return self._names is not None or self._history

    def may_join(self, source: str) -> bool:
        """Whether a source's windows are grouped at all."""
        return self._names is None or source in self._missed

    def in_order(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Sources in the order in which they are published; those that are not expected come last."""
        wanted = set(sources)
        if self._names is None:
            return tuple(sorted(wanted))
        strangers = sorted(wanted.difference(self._names))
        return (*(name for name in self._names if name in wanted), *strangers)

    def shown(self, source: str) -> None:
        """A window of the source was seen."""
        if self.may_join(source):
            self._set(source, 0)

    def closed(self, present: Iterable[str]) -> None:
        """A group was closed with these sources; not called for a further revision of one."""
        self._history = True
        here = set(present)
        for source in here:
            self._set(source, 0)
        for source in [source for source in self._missed if source not in here]:
            self._set(source, min(self._missed[source] + 1, self._cap))

    def _set(self, source: str, count: int) -> None:
        if self._names is None and (source not in self._missed or count >= AUTO_GROUPS):
            self._expected = None
        if self._names is None and count >= AUTO_GROUPS:
            del self._missed[source]
        else:
            self._missed[source] = count

    def is_silent(self, source: str) -> bool:
        """Whether groups are closed without waiting for this source."""
        return self._missed.get(source, 0) >= self._silent_after

    def snapshot(self) -> dict[str, int]:
        """The counts as the committed offset's metadata keeps them; of configured sources those above 0."""
        return {source: count for source, count in self._missed.items() if count or self._names is None}
