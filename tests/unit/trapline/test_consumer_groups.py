"""Consumer groups of a Kafka of which not every broker answers."""

from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, KafkaException

import trapline.status.consumer_groups as asked
from runtime.settings import TraplineSettings, load_settings
from trapline.status.consumer_groups import Committed, consumer_groups


@dataclass
class Listing:
    """What Kafka's brokers list."""

    valid: list = field(default_factory=list)
    errors: list = field(default_factory=list)


class Scripted:
    """An admin client that lists so much, and must not be asked to describe."""

    def __init__(self, listing: Listing | None) -> None:
        self._listing = listing

    def list_consumer_groups(self, *, request_timeout):
        assert request_timeout > 0
        answer: Future[Listing] = Future()
        if self._listing is None:
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        else:
            answer.set_result(self._listing)
        return answer

    def describe_consumer_groups(self, *_args, **_options):
        pytest.fail("with a coordinator away this ends the process")


@pytest.mark.parametrize(
    ("listing", "problem"),
    [
        (
            Listing(errors=[KafkaException(KafkaError(KafkaError._TIMED_OUT))]),
            "some consumer groups could not be listed",
        ),
        (None, "the consumer groups could not be listed"),
    ],
)
def test_they_are_not_described_where_a_broker_does_not_answer(monkeypatch, listing, problem):
    position = Committed("p.raw", 0, 5, "")
    monkeypatch.setattr(asked, "_committed", lambda *_args: (position,))
    settings = load_settings(TraplineSettings, overrides={"topic_prefix": "p"}, environ={}, known=())
    found = consumer_groups(settings, Scripted(listing), {"p.raw": 1}, first=["p.grouper"])
    (group,) = found.groups
    assert (group.group_id, group.committed) == ("p.grouper", (position,))
    assert (group.state, group.members) == ("unknown", None)
    assert problem in found.problems[0]
