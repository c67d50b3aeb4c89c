"""What librdkafka says about a client outside of any call: errors of brokers and logins, statistics."""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError

from runtime.kafka_errors import explain
from runtime.logs import get_logger

log = get_logger(__name__)

_QUIET_S = 30.0  # librdkafka repeats an error at each attempt to connect

REFUSALS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED})
"""Errors that no waiting mends: the broker, or we, refused the other side."""


def broke_a_connection(error: KafkaError) -> bool:
    """Whether a connection broke that had been made: of a request that was on it nobody knows what it did."""
    return error.code() != KafkaError._ALL_BROKERS_DOWN and ": Connect to " not in error.str()


OnError = Callable[[KafkaError], None]
OnStats = Callable[[dict[str, Any]], None]


class _NotTwice(logging.Filter):
    """Lets librdkafka's failed connections to the error callback alone, which is called for each too."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("FAIL ")


librdkafka_log = logging.getLogger("librdkafka")
"""librdkafka's own lines, through the one handler of the process."""
librdkafka_log.addFilter(_NotTwice())


class ClientState:
    """The last error of one client, and whether any broker is up, as far as its callbacks know.

    The callbacks run inside the client's poll, consume and flush, on the calling thread. Of the same error of
    one broker librdkafka tells twice, and then for 30 s no more: who wants to know whether a request got
    through has to mind every one since the client was made.

    Attributes:
        last_error: None while all is well.
        refusal: the last error that no waiting mends.
        all_brokers_down: whether none is up.
        breaks: connections that broke, as far as it was told.
    """

    def __init__(
        self, on_error: OnError | None = None, on_stats: OnStats | None = None, *, quiet: bool = False
    ) -> None:
        """Listen.

        Args:
            quiet: log errors for debugging only: the caller's own error says them.
            on_error: told of every error as well.
            on_stats: gets librdkafka's statistics, decoded.
        """
        self.last_error: KafkaError | None = None
        self.refusal: KafkaError | None = None
        self.all_brokers_down = False
        self.breaks = 0
        self._on_error = on_error
        self._on_stats = on_stats
        self._log = log.debug if quiet else log.warning
        self._logged_s: dict[int, float] = {}

    def callbacks(self, stats_interval_s: float) -> dict[str, Any]:
        """The callbacks, as part of a client's configuration."""
        options: dict[str, Any] = {"error_cb": self.error}
        if self._on_stats is not None:
            options |= {"stats_cb": self._stats, "statistics.interval.ms": round(stats_interval_s * 1000)}
        return options

    def works(self) -> None:
        """A call to Kafka succeeded: earlier errors are over."""
        self.last_error = None
        self.refusal = None
        self.all_brokers_down = False

    def error(self, error: KafkaError) -> None:
        """The error callback."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # which only repeats that there was another one
            self.last_error = error
        self.breaks += broke_a_connection(error)
        if error.code() in REFUSALS:
            self.refusal = error
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.all_brokers_down = True
        now_s = time.monotonic()
        if now_s - self._logged_s.get(error.code(), -_QUIET_S) >= _QUIET_S:
            self._logged_s[error.code()] = now_s
            # Without any broker the client can only go on trying; what helps is somebody else's to do.
            away = error.code() == KafkaError._ALL_BROKERS_DOWN
            cause = explain(error) if away else error.str()
            self._log("Kafka client reports an error", error=error.name(), cause=cause)
        if self._on_error is not None:
            self._on_error(error)

    def _stats(self, text: str) -> None:
        if self._on_stats is not None:
            self._on_stats(json.loads(text))
