"""What comes into the catalogue from now on, asked for when the caller likes."""

from collections.abc import Iterable, Iterator
from contextlib import closing

from confluent_kafka import KafkaException

from consumer.catalogue import Catalogue, CatalogueRecord, catalogue_consumer
from consumer.errors import BrokerUnreachableError
from consumer.kafka_errors import stream_error
from consumer.settings import ConsumerSettings
from runtime.kafka import explain, kafka_error


class CatalogueTail:
    """The end of each partition of the catalogue, as it moves."""

    def __init__(self, settings: ConsumerSettings, partitions: Iterable[int]) -> None:
        """Connect; what is there already is not new.

        Raises:
            BrokerUnreachableError, AccessError: Kafka is away, or refuses.
        """
        self._topic = settings.topics.catalogue
        self._catalogue = Catalogue(catalogue_consumer(settings), self._topic, stall_s=settings.broker_wait_s)
        try:
            self._next = {each: self._catalogue.bounds(each)[1] for each in partitions}
        except KafkaException as error:
            self._catalogue.close()
            raise self._named(error) from error

    @property
    def partitions(self) -> tuple[int, ...]:
        """All partitions."""
        return tuple(self._next)

    def passed(self, record: CatalogueRecord) -> None:
        """This one was read elsewhere, and is not new either."""
        self._next[record.partition] = max(self._next[record.partition], record.offset + 1)

    def new(self) -> Iterator[CatalogueRecord]:
        """What came since the last time, a partition after the other.

        Raises:
            BrokerUnreachableError, AccessError: Kafka is away, or refuses. Asked again, it goes on behind the
                last record that it gave.
        """
        try:
            for partition, start in list(self._next.items()):
                _, end = self._catalogue.bounds(partition)
                with closing(self._catalogue.read(partition, start, end)) as records:
                    for record in records:
                        self._next[partition] = record.offset + 1
                        yield record
                self._next[partition] = max(end, self._next[partition])
        except KafkaException as error:
            raise self._named(error) from error

    def close(self) -> None:
        """Let go of Kafka."""
        self._catalogue.close()

    def _named(self, error: KafkaException) -> Exception:
        cause = kafka_error(error)
        return stream_error(cause, self._topic) or BrokerUnreachableError(explain(cause))
