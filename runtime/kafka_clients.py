"""The clients as the rooms hold them: confluent-kafka's, with their state attached."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from runtime.kafka_state import ClientState, librdkafka_log


class LogProducer(Producer):
    """A producer, with what librdkafka says about it.

    Attributes:
        state: its last error. Callbacks run in `poll` and `flush` only.
    """

    state: ClientState

    def __init__(self, options: dict[str, Any], state: ClientState, stats_interval_s: float = 5.0) -> None:
        super().__init__({**options, **state.callbacks(stats_interval_s)}, logger=librdkafka_log)
        self.state = state


class KafkaAdmin(AdminClient):
    """An admin client, with what librdkafka says about it.

    Attributes:
        state: its last error. Callbacks run in `poll` only.
    """

    state: ClientState

    def __init__(self, options: dict[str, Any], state: ClientState) -> None:
        super().__init__({**options, **state.callbacks(0)}, logger=librdkafka_log)
        self.state = state


class LogConsumer(Consumer):
    """A consumer, with what librdkafka says about it.

    Attributes:
        state: its last error. Callbacks run in `poll` and `consume` only.
    """

    state: ClientState

    def __init__(
        self,
        options: dict[str, Any],
        state: ClientState,
        make_admin: Callable[[], KafkaAdmin],
        stats_interval_s: float = 5.0,
    ) -> None:
        super().__init__({**options, **state.callbacks(stats_interval_s)}, logger=librdkafka_log)
        self.state = state
        self._make_admin = make_admin
        self._admin: KafkaAdmin | None = None

    @property
    def admin(self) -> KafkaAdmin:
        """An admin client of the same cluster: a consumer cannot ask for the true end of a partition."""
        if self._admin is None:
            self._admin = self._make_admin()
        return self._admin
