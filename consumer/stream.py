"""A stream of timestamp groups: what notebooks, services and the TraP drop-in iterate over."""

import math
import time
import weakref
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

from consumer.errors import BrokerUnreachableError
from consumer.fetcher import Fetcher, Plan
from consumer.group import Group
from consumer.group_order import Merge
from consumer.group_range import GroupRange
from consumer.range_end import is_past
from consumer.selection import Require, Revisions, Selection, parse_require
from consumer.settings import ConsumerSettings, settings_with
from consumer.start import Start, parse_start
from runtime.errors import KafkaUnavailableError
from runtime.kafka import admin_client, require_kafka

COMMIT_S = 30.0
_ANSWER_S = 10.0  # an idle time-out that has passed asks no longer than this whether Kafka is there


class GroupStream(Iterator[Group]):
    """Iterates over the groups of a topic prefix, for ever unless a limit is given.

        with GroupStream(group_id="my-analysis", require="all") as stream:
            for group in stream:
                analyse(group.images[0].array)

    With a consumer group, each group is handed out at least once, over restarts and crashes of any
    process: a group's position is committed when the *next* one is asked for. A group that was being
    processed at a crash is handed out again. `close()`, or leaving the `with` block, commits what was
    asked beyond and no more: where the last group was processed and no other one was asked for, say
    `stream.commit()` first. A loop that ends by itself (`max_groups`, a time-out) has asked.

    Without a consumer group every partition is read and nothing is committed.

    Processing a group may take any time. A broker that goes away is waited for. The stream may be
    closed from another thread: the iteration then ends. It is iterated from one thread.

    Errors, raised where the next group is asked for, after all groups that were read before:
    BrokerUnreachableError, AuthenticationError, AccessError, TopicMissingError, StartError, GapError,
    FencedError; see consumer.errors. Without a consumer group those of the start come from here.
    """

    def __init__(
        self,
        settings: ConsumerSettings | None = None,
        *,
        bootstrap_servers: str | None = None,
        topic_prefix: str | None = None,
        group_id: str | None = None,
        static_id: str | None = None,
        start: Start | datetime | str | None = None,
        where: GroupRange | None = None,
        require: Require | str = "any",
        revisions: Literal["first", "last", "all"] = "first",
        merge: Literal["arrival", "timestamp"] = "arrival",
        merge_wait_s: float | None = None,
        on_gap: Literal["error", "skip"] | None = None,
        max_groups: int | None = None,
        timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
    ) -> None:
        """Begin to read.

        Args:
            settings: where Kafka is, time-outs, bounds; default: from the environment and the TOML file.
            bootstrap_servers: instead of that setting.
            topic_prefix: instead of that setting.
            group_id: Kafka's consumer group, which remembers how far its members came and shares the
                partitions among them; None: remember nothing.
            static_id: a name of this member that survives restarts (`group.instance.id`): it gets its
                partitions back at once. Two processes may not use the same.
            start: 'beginning', 'end', 'last:N', an observation time, or one of consumer.start's classes.
                With a consumer group it holds for partitions of which the group has no position yet.
                Default: 'beginning' with a consumer group, 'end' without.
            where: instead of `start`: which groups, from `trapline.group_range(from_="-10m", ...)`. The
                stream ends after `limit` groups, and with a `to_us` once every partition it reads is past it,
                as consumer.range_end says. A consumer group's position stays before the first group of a
                partition that is not before `to_us`.
            require: 'all': complete groups alone; 'any'; or the least number of images.
            revisions: of a timestamp that was published again with a late image. 'first': the first
                publication, so that no timestamp comes twice; 'last': the newest one that the catalogue
                knows when reading begins, and what is published later still; 'all'.
            merge: 'arrival': groups of several partitions as they come; 'timestamp': in the order of
                their timestamps, waiting for each other at most `merge_wait_s`. What comes later is
                handed out late, with `.out_of_order` set.
            merge_wait_s: instead of that setting, seconds.
            on_gap: instead of that setting.
            max_groups: end after so many.
            timeout_s: end so many seconds from now.
            idle_timeout_s: end where no group came for so many seconds; where that is because Kafka does
                not answer, by BrokerUnreachableError.

        Raises:
            SettingsError: a setting is wrong.
            StartError: `start` is none.
            ValueError: another argument is none of those above.
            StreamError: without a consumer group: reading cannot begin.
        """
        given = {
            "bootstrap_servers": bootstrap_servers,
            "topic_prefix": topic_prefix,
            "merge_wait_s": merge_wait_s,
            "on_gap": on_gap,
        }
        overrides = {name: value for name, value in given.items() if value is not None}
        if where is not None:
            if start is not None:
                raise ValueError("say start or where, not both")
            start, max_groups = where.start, where.limit if max_groups is None else max_groups
        where = where or GroupRange()
        selection = Selection(parse_require(require), Revisions(revisions), where)
        self._settings = settings_with(settings, overrides)
        plan = Plan(
            settings=self._settings,
            group_id=group_id,
            static_id=static_id,
            start=parse_start(start or ("end" if group_id is None else "beginning")),
            selection=selection,
            merge=Merge(merge),
            past=is_past(where, time.time_ns() // 1000),
        )
        now_s = time.monotonic()
        self._groups_left = math.inf if max_groups is None else max_groups
        self._deadline_s = None if timeout_s is None else now_s + timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._in_hand: Group | None = None
        self._fetcher = Fetcher(plan)
        self._groups = self._fetcher.read_ahead
        self._commits = group_id is not None
        # Also at the end of the interpreter: the thread must be out of librdkafka by then.
        self._finalizer = weakref.finalize(self, self._fetcher.close)
        if group_id is None:
            try:
                self.wait_assigned()
            except BaseException:
                self.close()
                raise

    def wait_assigned(self, timeout_s: float | None = None) -> bool:
        """Wait until reading has begun: what is published from now on is seen.

        Returns:
            Whether it has begun, and not `timeout_s` passed or the stream been closed.

        Raises:
            StreamError: reading cannot begin.
        """
        return self._groups.wait_begun(timeout_s)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Group:
        self._finish_in_hand()
        if self._groups_left <= 0:
            self.close()
            raise StopIteration
        group = self._groups.take(self._take_until_s())
        if group is None:
            try:
                self._require_kafka()
            finally:
                self.close()
            raise StopIteration
        self._groups_left -= 1
        self._in_hand = group
        return group

    @property
    def starts(self) -> dict[int, int]:
        """By partition of the groups topic, the offset at which reading it began."""
        return self._groups.starts

    def commit(self) -> bool:
        """Commit the group handed out last, too.

        Returns:
            Whether Kafka has it; False: it gave no answer within 30 s, and is asked on.
        """
        self._finish_in_hand()
        return not self._commits or self._groups.settle(COMMIT_S)

    def close(self) -> None:
        """End the stream: commit what is done, leave the consumer group.

        May be called from any thread, any number of times. The group handed out last is not committed
        unless `commit()` was called: it will be handed out again.
        """
        self._fetcher.close()
        self._finalizer.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _finish_in_hand(self) -> None:
        if self._in_hand is not None:
            self._groups.finish(self._in_hand)
            self._in_hand = None

    def _require_kafka(self) -> None:
        """See that no group came because there is none, and not because nobody answers.

        Raises:
            BrokerUnreachableError: nobody does.
        """
        if self._idle_timeout_s is None or self._groups.over:
            return
        try:
            # Through a client of its own: the stream's belongs to the reading thread.
            require_kafka(admin_client(self._settings), min(self._settings.broker_wait_s, _ANSWER_S))
        except KafkaUnavailableError as error:
            raise BrokerUnreachableError(f"no group for {self._idle_timeout_s:g} s: {error}") from error

    def _take_until_s(self) -> float | None:
        idle_s = None if self._idle_timeout_s is None else time.monotonic() + self._idle_timeout_s
        return min((each for each in (self._deadline_s, idle_s) if each is not None), default=None)
