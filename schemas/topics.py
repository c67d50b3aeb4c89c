"""The four topics: their names and what each must be set to."""

import re
from dataclasses import dataclass
from typing import Final

from schemas.errors import TopicNameError

# Kafka's own rule for names: legal characters, 249 at most.
_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]+")
_MAX_NAME: Final = 249
_LONGEST_SUFFIX: Final = len(".catalogue")

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_GB: Final = 1_000_000_000
_DAY_MS: Final = 24 * 3600 * 1000
_LONG_MAX: Final = 2**63 - 1
_INT_MAX: Final = 2**31 - 1

RECORD_HEADROOM: Final = _MIB
"""What a record may need beyond its frame: FITS padding and cards, key, headers, batch."""
RETENTION_MS: Final = 7 * _DAY_MS
RETENTION_BYTES: Final = 20 * _GB
CATALOGUE_RETENTION_BYTES: Final = 10 * _GIB
_CATALOGUE_MAX_MESSAGE_BYTES: Final = 2 * _MIB


def check_topic_name(name: str) -> None:
    """See whether Kafka can have a topic of this name.

    Raises:
        TopicNameError: it cannot.
    """
    if not 0 < len(name) <= _MAX_NAME or _LEGAL.fullmatch(name) is None or name in (".", ".."):
        raise TopicNameError(
            f"topic {name[:80]!r}: Kafka allows 1 to {_MAX_NAME} letters, digits, '.', '_' and '-'"
        )


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The names of the topics under one prefix.

    Attributes:
        prefix: of the topics.
        raw_prefix: of raw, where the groups were made from another prefix's; None: the same.

    Raises:
        TopicNameError: a prefix is empty, too long, or has characters Kafka refuses.
    """

    prefix: str
    raw_prefix: str | None = None

    def __post_init__(self) -> None:
        """Check the prefixes."""
        longest = _MAX_NAME - _LONGEST_SUFFIX
        for prefix in (self.prefix,) if self.raw_prefix is None else (self.prefix, self.raw_prefix):
            if not 0 < len(prefix) <= longest:
                raise TopicNameError(f"topic prefix {prefix[:80]!r}: 1 to {longest} characters are allowed")
            if _LEGAL.fullmatch(prefix) is None:
                raise TopicNameError(
                    f"topic prefix {prefix!r}: Kafka allows letters, digits, '.', '_' and '-'"
                )

    @property
    def raw(self) -> str:
        """Frames, verbatim."""
        return f"{self.prefix if self.raw_prefix is None else self.raw_prefix}.raw"

    @property
    def groups(self) -> str:
        """Images as FITS files, a group in one transaction."""
        return f"{self.prefix}.groups"

    @property
    def catalogue(self) -> str:
        """One small record a group."""
        return f"{self.prefix}.catalogue"

    @property
    def rejects(self) -> str:
        """What could not be used, and why."""
        return f"{self.prefix}.rejects"

    def all(self) -> tuple[str, str, str, str]:
        """The four names: raw, groups, catalogue, rejects."""
        return self.raw, self.groups, self.catalogue, self.rejects


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What one topic must be.

    Attributes:
        name: its name.
        partitions: the same for all four, so that a group keeps its raw partition's number.
        config: Kafka's topic settings, as Kafka writes them.
    """

    name: str
    partitions: int
    config: dict[str, str]


def topic_specs(
    names: TopicNames,
    *,
    partitions: int = 1,
    max_frame_bytes: int = 64 * _MIB,
    retention_ms: int = RETENTION_MS,
    retention_bytes: int = RETENTION_BYTES,
    catalogue_retention_bytes: int = CATALOGUE_RETENTION_BYTES,
) -> tuple[TopicSpec, TopicSpec, TopicSpec, TopicSpec]:
    """What the topics must be set to: raw, groups, catalogue, rejects.

    Args:
        names: of the topics.
        partitions: of each topic.
        max_frame_bytes: the largest frame; a record may be `RECORD_HEADROOM` larger.
        retention_ms: raw, groups and rejects keep records this long,
        retention_bytes: and this many bytes a partition, whichever is reached first.
        catalogue_retention_bytes: the catalogue keeps this many bytes a partition, however old: its
            times are observation times, and by time a historical run would be deleted at once.

    Raises:
        ValueError: a figure that Kafka could not take.
    """
    if partitions < 1:
        raise ValueError(f"partitions is {partitions}, not 1 or more")
    if not 0 < max_frame_bytes <= _INT_MAX - RECORD_HEADROOM:
        raise ValueError(f"max_frame_bytes is {max_frame_bytes}, not 1 to {_INT_MAX - RECORD_HEADROOM}")
    for name, value in (
        ("retention_ms", retention_ms),
        ("retention_bytes", retention_bytes),
        ("catalogue_retention_bytes", catalogue_retention_bytes),
    ):
        if not 0 < value <= _LONG_MAX:
            raise ValueError(f"{name} is {value}, not positive; every topic is bounded")
    common = {
        "cleanup.policy": "delete",
        # An out-of-sync replica that became leader would take acknowledged records away.
        "unclean.leader.election.enable": "false",
    }
    by_arrival = common | {
        # The broker's clock: immune to the clocks of image servers, and it is what grace counts in.
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(max_frame_bytes + RECORD_HEADROOM),
        "retention.ms": str(retention_ms),
        "retention.bytes": str(retention_bytes),
    }
    by_observation = common | {
        "message.timestamp.type": "CreateTime",
        # Kafka refuses times further ahead than an hour, unless told so.
        "message.timestamp.before.max.ms": str(_LONG_MAX),
        "message.timestamp.after.max.ms": str(_LONG_MAX),
        "max.message.bytes": str(_CATALOGUE_MAX_MESSAGE_BYTES),
        "retention.ms": "-1",
        "retention.bytes": str(catalogue_retention_bytes),
    }
    return (
        TopicSpec(names.raw, partitions, dict(by_arrival)),
        TopicSpec(names.groups, partitions, dict(by_arrival)),
        TopicSpec(names.catalogue, partitions, by_observation),
        TopicSpec(names.rejects, partitions, dict(by_arrival)),
    )
