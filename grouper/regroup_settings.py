"""The settings of `trapline regroup`: the grouper's rules, and where the groups go."""

import hashlib
from collections.abc import Iterator
from typing import Final

from pydantic import Field

from grouper.settings import GrouperSettings
from runtime.settings import CrossProblem
from schemas.topics import TopicNames

_LONGEST_RULE: Final = 600  # characters; the rules share 4095 with the rest of an offset's metadata


class RegroupSettings(GrouperSettings):
    """Settings of `trapline regroup`. `topic_prefix` is that of raw."""

    to_prefix: str | None = Field(
        default=None,
        description="First part of the names of the topics that the groups go to: TO.groups, TO.catalogue "
        "and TO.rejects.",
    )
    broker_wait_s: float = Field(default=30.0, gt=0, description="How long Kafka may be away.")

    def cross_problems(self) -> Iterator[CrossProblem]:
        """The groups go to topics of their own."""
        yield from super().cross_problems()
        if self.to_prefix is None:
            yield CrossProblem(
                ("to_prefix",), "is missing: say --to-prefix, the first part of the topics the groups go to"
            )
        elif self.to_prefix == self.topic_prefix:
            yield CrossProblem(
                ("to_prefix", "topic_prefix"),
                f"is {self.to_prefix!r}, where the live groups are; groups made with other rules go to "
                "topics of their own",
            )
        else:
            try:
                TopicNames(self.to_prefix)
            except ValueError as error:
                yield CrossProblem(("to_prefix",), str(error))

    @property
    def topics(self) -> TopicNames:
        """The topics that are written; raw is the one that is read."""
        return TopicNames(self.to_prefix or "", raw_prefix=self.topic_prefix)

    @property
    def consumer_group(self) -> str:
        """Where the position is kept. Never the live groupers', whose offsets it would overwrite."""
        return f"{self.to_prefix}.regroup"

    @property
    def rules_as_text(self) -> dict[str, str]:
        """All that decides which groups come out, for people and to compare."""
        names = ",".join(source.name for source in self.sources)
        if len(names) > _LONGEST_RULE:
            names = f"{len(self.sources)} sources, {hashlib.sha256(names.encode()).hexdigest()[:16]}"
        return {
            "expected": "auto" if self.expected == "auto" else names,
            "grace_s": f"{self.grace_s:g}",
            "reorder_grace_s": f"{self.reorder_grace_s:g}",
            "silent_after": str(self.silent_after),
            "late": self.late,
            "older": self.older,
            "remember": str(self.remember),
            "max_open_groups": str(self.max_open_groups),
            "max_open_bytes": str(self.max_open_bytes),
        }
