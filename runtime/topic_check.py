"""What is wrong with topics as they are: pure, on what Kafka says of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.topics import TopicNames, TopicSpec

UNBOUNDED = -1  # Kafka's way to say: no limit

REQUEST_MARGIN_BYTES = 64 * 1024
"""What a produce request is longer than its one record."""


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # records would be lost, refused, or groups split
    WARNING = "warning"  # works, until something else goes wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a topic.

    Attributes:
        severity: whether it has to be mended before anything runs.
        topic: the topic.
        setting: Kafka's name of the setting, or 'partitions', 'replicas', 'topic'.
        text: what is wrong, why it matters, and what to do.
    """

    severity: Severity
    topic: str
    setting: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.topic}: {self.setting}: {self.text}"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is.

    Attributes:
        name: its name.
        partitions: how many.
        replicas: copies of each partition (of the one that has fewest).
        config: each setting in force, whether it is the topic's own or a default.
    """

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


def check_brokers(request_limits: Mapping[int, int], max_record_bytes: int) -> tuple[Finding, ...]:
    """Compare the brokers' limit of a request with the largest record.

    Args:
        request_limits: each broker's `socket.request.max.bytes`, by its number.
        max_record_bytes: the largest record that a producer may send.
    """
    needed = max_record_bytes + REQUEST_MARGIN_BYTES
    return tuple(
        Finding(
            Severity.ERROR,
            f"broker {number}",
            "socket.request.max.bytes",
            f"{limit}, should be at least {needed}: a larger request ends the connection, and is sent again "
            "for ever; raise it in the broker's server.properties, or lower TRAPLINE_MAX_FRAME_BYTES",
        )
        for number, limit in sorted(request_limits.items())
        if limit < needed
    )


def check_layout(
    names: TopicNames,
    specs: tuple[TopicSpec, ...],
    states: Mapping[str, TopicState],
    *,
    asked_partitions: int | None = None,
) -> tuple[Finding, ...]:
    """Compare the topics with what we need.

    Args:
        names: the topics' names.
        specs: the topics as we would create them.
        states: the topics that exist, by name.
        asked_partitions: how many partitions the user asked for, if so.
    """
    findings: list[Finding] = []
    for spec in specs:
        state = states.get(spec.name)
        if state is None:
            findings.append(
                Finding(
                    Severity.ERROR, spec.name, "topic", "does not exist; `trapline topics create` makes it"
                )
            )
            continue
        findings += _check_limits(spec, state, of_frames=spec.name != names.catalogue)
        findings += _check_retention(names, state)
        findings += _check_replicas(state)
    findings += _check_partitions(names, states)
    raw = states.get(names.raw)
    if asked_partitions is not None and raw is not None and raw.partitions != asked_partitions:
        findings.append(
            Finding(
                Severity.ERROR,
                names.raw,
                "partitions",
                f"{raw.partitions}, and {asked_partitions} were asked for. Partitions are not added in "
                "place, since keys would move and groups split; make new topics under another "
                "TRAPLINE_TOPIC_PREFIX",
            )
        )
    return tuple(findings)


def check_topic(spec: TopicSpec, state: TopicState) -> tuple[Finding, ...]:
    """Compare one topic with what somebody needs who writes whole groups to it.

    Args:
        spec: the topic as it has to be; settings that it does not name are left alone.
        state: the topic as it is.
    """
    return (*_check_limits(spec, state), *_check_replicas(state))


def _check_partitions(names: TopicNames, states: Mapping[str, TopicState]) -> Iterator[Finding]:
    raw = states.get(names.raw)
    for name in (names.groups, names.catalogue):
        state = states.get(name)
        if raw is not None and state is not None and state.partitions != raw.partitions:
            yield Finding(
                Severity.ERROR,
                name,
                "partitions",
                f"{state.partitions}, but {names.raw} has {raw.partitions}: a group is written to the "
                "partition that its frames came from. Partitions are not added in place, since keys would "
                "move and groups split; make new topics under another TRAPLINE_TOPIC_PREFIX",
            )


def _check_limits(spec: TopicSpec, state: TopicState, *, of_frames: bool = True) -> Iterator[Finding]:
    rules = _RULES if of_frames else _RULES | _OF_ENTRIES
    for setting, wanted in spec.config.items():
        rule = rules.get(setting)
        if rule is None:
            continue
        there = state.config.get(setting, "")
        if not rule.holds(there, wanted):
            yield Finding(
                Severity.ERROR,
                state.name,
                setting,
                f"{there or 'unknown'}, should be {rule.words}{wanted}: {rule.why}; {rule.instead}"
                + _alter(state.name, setting, wanted),
            )


def _check_retention(names: TopicNames, state: TopicState) -> Iterator[Finding]:
    if state.name == names.catalogue:
        if state.config.get("retention.ms") != str(UNBOUNDED):
            yield Finding(
                Severity.ERROR,
                state.name,
                "retention.ms",
                f"{state.config.get('retention.ms')}, should be {UNBOUNDED}: the catalogue's times are "
                "observation times, so the entries of an old observation would be deleted as they are "
                f"written; keep it by bytes alone; {_alter(state.name, 'retention.ms', str(UNBOUNDED))}",
            )
        return
    if state.name == names.rejects:
        return
    for setting, example in (("retention.ms", "604800000"), ("retention.bytes", "21474836480")):
        if int(state.config.get(setting, UNBOUNDED)) < 0:
            yield Finding(
                Severity.ERROR,
                state.name,
                setting,
                "not limited: images fill any disk, and a full disk stops the broker; "
                + _alter(state.name, setting, example),
            )


def _check_replicas(state: TopicState) -> Iterator[Finding]:
    in_sync = int(state.config.get("min.insync.replicas", 1))
    if in_sync > state.replicas:
        yield Finding(
            Severity.ERROR,
            state.name,
            "min.insync.replicas",
            f"{in_sync}, but there are {state.replicas} replicas: every write is refused; "
            + _alter(state.name, "min.insync.replicas", str(max(1, state.replicas - 1))),
        )
    elif state.replicas > 1 and in_sync == 1:
        yield Finding(
            Severity.WARNING,
            state.name,
            "min.insync.replicas",
            f"1 with {state.replicas} replicas: a record can be acknowledged with one copy and lost with it; "
            + _alter(state.name, "min.insync.replicas", str(max(2, state.replicas - 1))),
        )
    elif in_sync == state.replicas > 1:
        yield Finding(
            Severity.WARNING,
            state.name,
            "min.insync.replicas",
            f"{in_sync} with as many replicas: writes stop while any broker is away; "
            "use one replica more, or one less in sync",
        )
    if state.replicas > 1 and state.config.get("unclean.leader.election.enable") == "true":
        yield Finding(
            Severity.WARNING,
            state.name,
            "unclean.leader.election.enable",
            "true: a replica that lags may become leader, and acknowledged records are lost; "
            + _alter(state.name, "unclean.leader.election.enable", "false"),
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a setting is compared with what we would set."""

    holds: Callable[[str, str], bool]  # (as it is, as wanted)
    words: str
    why: str
    instead: str = ""


def _at_least(there: str, wanted: str) -> bool:
    return there.lstrip("-").isdigit() and int(there) >= int(wanted)


def _equal(there: str, wanted: str) -> bool:
    return there == wanted


_RULES: dict[str, _Rule] = {
    "max.message.bytes": _Rule(
        _at_least, "at least ", "larger frames would be refused", "lower TRAPLINE_MAX_FRAME_BYTES, or "
    ),
    "message.timestamp.type": _Rule(
        _equal, "", "log time orders the closing of groups, and observation time the catalogue"
    ),
    "message.timestamp.before.max.ms": _Rule(_at_least, "at least ", "old observations would be refused"),
    "message.timestamp.after.max.ms": _Rule(
        _at_least, "at least ", "observation times ahead of the broker's clock would be refused"
    ),
    "cleanup.policy": _Rule(_equal, "", "compaction would delete all but one record of a timestamp"),
}

_OF_ENTRIES = {"max.message.bytes": _Rule(_at_least, "at least ", "many entries in a batch would be refused")}
"""What is another thing in the catalogue: its records do not grow with the frames."""


def set_command(topic: str, config: Mapping[str, str]) -> str:
    """The shell command, one line, that gives a topic these settings; of values without a comma."""
    settings = ",".join(f"{name}={value}" for name, value in config.items())
    return f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {settings}"


def _alter(topic: str, setting: str, value: str) -> str:
    """The command that mends it."""
    return set_command(topic, {setting: value})
