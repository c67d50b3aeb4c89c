"""The verbs that read, and how each of them ends where there is nothing to read: one table."""

from dataclasses import dataclass

TIME = "2026-11-23T10:00:00"


@dataclass(frozen=True)
class ReadingVerb:
    """How a verb is called, and what it has to say.

    In `args`, {folder} stands for a folder of the test's own, {to} for a second prefix, {copy} for a topic of
    any name, {time} for a time.

    Attributes:
        args: what reads the topics from their beginning, and ends.
        empty: exit status and words on topics that hold nothing; the words may be on stdout or stderr.
        missing: words where the topics do not exist; the status is 1.
        wrong: words where a time is none, or, where it takes no time, another option is wrong: status 2.
        wrong_args: instead of `args`, for that.
        dying_args: instead of `args`, where Kafka dies; the status is 1 then.
    """

    args: tuple[str, ...]
    empty: tuple[int, str]
    missing: str
    wrong_args: tuple[str, ...]
    wrong: str
    dying_args: tuple[str, ...] = ()

    @property
    def needs_prefix(self) -> bool:
        """Whether the topics of {to} have to be there."""
        return "{to}" in self.args

    @property
    def needs_topic(self) -> bool:
        """Whether {copy} has to be there."""
        return "{copy}" in self.args

    def filled(self, args: tuple[str, ...], **names: object) -> list[str]:
        """Arguments with the names filled in."""
        return [arg.format(time=TIME, **names) for arg in args]


_NO_TIME = "is no time"
_NO_TOPIC = "does not exist"

READING_VERBS = {
    "tail": ReadingVerb(
        args=("tail", "--beginning", "--idle-timeout", "0.5"),
        empty=(0, "tail ended"),
        missing=_NO_TOPIC,
        wrong_args=("tail", "--from", "noon-ish"),
        wrong=_NO_TIME,
        # Without --idle-timeout it waits for Kafka.
        dying_args=("tail", "--beginning", "--idle-timeout", "10"),
    ),
    "export": ReadingVerb(
        args=("export", "{folder}"),
        empty=(3, "has no group yet"),
        missing=_NO_TOPIC,
        wrong_args=("export", "--from", "noon-ish", "{folder}"),
        wrong=_NO_TIME,
    ),
    "replay": ReadingVerb(
        args=("replay", "--speed", "max"),
        empty=(3, "has no group yet"),
        missing=_NO_TOPIC,
        wrong_args=("replay", "--from", "noon-ish"),
        wrong=_NO_TIME,
    ),
    "replay --to-topic": ReadingVerb(
        args=("replay", "--speed", "max", "--to-topic", "{copy}"),
        empty=(3, "has no group yet"),
        missing=_NO_TOPIC,
        wrong_args=("replay", "--to-topic", "a b"),
        wrong="Kafka allows",
    ),
    "serve": ReadingVerb(
        args=("serve", "--speed", "max", "--port", "0", "--wait-for-clients", "0"),
        empty=(3, "has no group yet"),
        missing=_NO_TOPIC,
        wrong_args=("serve", "--from", "noon-ish"),
        wrong=_NO_TIME,
    ),
    "stats": ReadingVerb(
        args=("stats",),
        empty=(3, "there is no group: nothing has been published yet"),
        missing=_NO_TOPIC,
        wrong_args=("stats", "--to", "noon-ish"),
        wrong=_NO_TIME,
    ),
    "show": ReadingVerb(
        args=("show", "{time}"),
        empty=(3, "there is no group of 2026-11-23T10:00:00.000000Z: the catalogue is empty"),
        missing=_NO_TOPIC,
        wrong_args=("show", "noon-ish"),
        wrong=_NO_TIME,
    ),
    "status": ReadingVerb(
        args=("status",),
        empty=(0, "no group is in the catalogue yet"),
        missing=_NO_TOPIC,
        wrong_args=("status", "--groups", "some"),
        wrong="--groups",
    ),
    "verify": ReadingVerb(
        args=("verify",),
        empty=(0, "findings: none"),
        missing=_NO_TOPIC,
        wrong_args=("verify", "--audit-interval-s", "soon"),
        wrong="--audit-interval-s",
    ),
    "doctor": ReadingVerb(
        args=("doctor",),
        empty=(0, "checks:"),
        missing=_NO_TOPIC,
        wrong_args=("doctor", "--role", "nobody"),
        wrong="--role",
    ),
    "rejects list": ReadingVerb(
        args=("rejects", "list"),
        empty=(0, "no reject"),
        missing=_NO_TOPIC,
        wrong_args=("rejects", "list", "--reason", "nothing"),
        wrong="--reason",
    ),
    "rejects show": ReadingVerb(
        args=("rejects", "show", "0:0"),
        empty=(1, "there is no reject at 0:0"),
        missing=_NO_TOPIC,
        wrong_args=("rejects", "show", "first"),
        wrong="is not PARTITION:OFFSET",
    ),
    "regroup": ReadingVerb(
        args=("regroup", "--to-prefix", "{to}"),
        empty=(3, "holds no record: nothing to regroup"),
        missing=_NO_TOPIC,
        wrong_args=("regroup", "--to-prefix", "{to}", "--grace-s", "soon"),
        wrong="--grace-s",
    ),
}
"""By name. A verb that reads Kafka has its line here."""
