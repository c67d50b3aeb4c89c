"""What the checks of `trapline doctor` make of answers that a Kafka of one healthy broker never gives.

No Kafka is played here: each check is told what an admin client, or a look at a topic, would have told it.
"""

import socket
import time
from types import SimpleNamespace as Told

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.topic_check import Finding, Severity
from schemas.topics import TopicNames
from trapline.doctor import cluster, stream
from trapline.doctor import topics as of_topics
from trapline.doctor.cluster import broker, replication, versions
from trapline.doctor.outcome import Verdict
from trapline.doctor.stream import SOON_S, offsets
from trapline.embedded.ports import HOST, free_port
from trapline.status.consumer_groups import Committed, ConsumerGroup, ConsumerGroups

NAMES = TopicNames("lwa")
INTERNAL = ("__consumer_offsets", "__transaction_state")
KEPT_S = 7 * 86_400.0


def problems(outcome):
    """Each with what to do."""
    assert all(problem.todo for problem in outcome.problems)
    return [(problem.verdict.value, problem.text) for problem in outcome.problems]


@pytest.mark.parametrize(
    ("config", "summary", "verdict"),
    [
        (None, "Kafka's is not known", Verdict.OK),
        ({"log.retention.ms": "1"}, "Kafka older than 3.6", Verdict.FAIL),
        (
            {"log.message.timestamp.after.max.ms": "1", "zookeeper.connect": "z:2181"},
            "Kafka 3.6 to 3.9",
            Verdict.WARNING,
        ),
        ({"log.message.timestamp.after.max.ms": "1"}, "Kafka 4.0 or later", Verdict.OK),
    ],
)
def test_versions(config, summary, verdict):
    outcome = versions(Told(broker_config=config))
    assert summary in outcome.summary
    assert outcome.verdict is verdict
    assert all("use Kafka 4" in problem.todo for problem in outcome.problems)


class Cluster:
    """What the check of copies is told."""

    def __init__(self, brokers, copies, *, config=None, in_sync=None):
        self.brokers = [Told(id=number, host=HOST, port=1) for number in range(brokers)]
        self.broker_config = config
        self.settings = Told(topics=NAMES)
        self._copies = copies
        self._in_sync = in_sync or {}

    def describe(self, topics):
        """As Subject: missing topics are left out, hidden ones are None."""
        return {topic: self._described(topic) for topic in topics if topic in self._copies}

    def _described(self, topic):
        copies = self._copies[topic]
        if copies is None:
            return None
        in_sync = self._in_sync.get(topic, copies)
        return Told(partitions=[Told(replicas=[0] * copies, isr=[0] * each) for each in (copies, in_sync)])


def test_copies_that_are_enough():
    outcome = replication(Cluster(3, dict.fromkeys((*INTERNAL, *NAMES.all()), 3)))
    assert (outcome.verdict, problems(outcome)) == (Verdict.OK, [])
    one = replication(Cluster(1, dict.fromkeys(INTERNAL, 1)))
    assert (one.verdict, "one copy is all there can be" in one.summary) == (Verdict.OK, True)


def test_kafkas_own_topics_with_too_few_copies():
    outcome = replication(Cluster(3, {INTERNAL[0]: 1, INTERNAL[1]: 3}))
    ((verdict, text),) = problems(outcome)
    assert verdict == "warning"
    assert text.startswith("__consumer_offsets has 1 copies on 3 brokers")
    assert "with 3 replicas a partition; offsets.topic.replication.factor=3" in outcome.problems[0].todo


def test_kafkas_own_topics_that_cannot_be_made():
    config = {"offsets.topic.replication.factor": "3", "transaction.state.log.replication.factor": "1"}
    outcome = replication(Cluster(1, {}, config=config))
    ((verdict, text),) = problems(outcome)
    assert verdict == "fail"
    assert "offsets.topic.replication.factor is 3, and there are 1 brokers" in text
    assert "set offsets.topic.replication.factor=1" in outcome.problems[0].todo


def test_copies_that_lag():
    outcome = replication(Cluster(3, {INTERNAL[0]: 3, NAMES.raw: 3}, in_sync={NAMES.raw: 2}))
    assert problems(outcome) == [("warning", "1 partitions of lwa.raw have a copy that is not in sync")]


def test_kafkas_own_topics_that_are_hidden():
    assert replication(Cluster(3, dict.fromkeys(INTERNAL), config={})).verdict is Verdict.NOT_DONE


def test_addresses_where_nobody_answers():
    with socket.create_server((HOST, 0)) as server:
        good = server.getsockname()[1]
        bad = free_port((good,))
        subject = Told(
            settings=Told(broker_wait_s=1.0, bootstrap_servers=f"{HOST}:{good},{HOST}:{bad}"),
            admin=Told(list_topics=lambda timeout: timeout, state=Told(works=lambda: None)),
            brokers=(Told(id=1, host=HOST, port=good), Told(id=2, host=HOST, port=bad)),
        )
        outcome = broker(subject)
    given, advertised = problems(outcome)
    assert given[0] == "warning"
    assert given[1].startswith(f"{HOST}:{bad} of TRAPLINE_BOOTSTRAP_SERVERS does not answer")
    assert advertised[0] == "fail"
    assert advertised[1].startswith(f"broker 2 calls itself {HOST}:{bad}, and nobody answers there")
    assert "advertised.listeners" in outcome.problems[1].todo


def test_a_name_that_is_not_known():
    assert cluster._unreachable("no-such-host.invalid", 9092)


class Looked:
    """What a look at a topic tells of its records: when each was appended."""

    def __init__(self, *appended_s):
        self._appended_s = appended_s

    def bounds(self, _topic, _partition):
        """All of them are there."""
        return 0, len(self._appended_s)

    def span(self, _topic, _partition, start, end):
        """As Peek's."""
        for appended_s in self._appended_s[start:end]:
            yield Told(timestamp=lambda at_s=appended_s: (2, round(at_s * 1000)))


def forgotten(group_id, looked, *committed):
    group = ConsumerGroup(group_id, "empty", 0, committed)
    subject = Told(settings=Told(consumer_group="lwa.grouper"))
    return stream._forgotten_soon(subject, looked, group, KEPT_S)


def test_positions_that_kafka_forgets_soon():
    now_s = time.time()
    looked = Looked(now_s - KEPT_S, now_s - KEPT_S + SOON_S / 2, now_s)
    read_two = Committed("lwa.groups", 0, 2, "")
    (found,) = forgotten("night", looked, read_two)
    assert "consumer group night has no members, and Kafka may forget its position from " in found.text
    assert "offsets.retention.minutes" in found.todo
    (found,) = forgotten("lwa.grouper", looked, read_two)
    assert "start a grouper" in found.todo
    # The latest record that it has read counts, of all partitions; one that was just read is safe.
    assert forgotten("night", looked, read_two, Committed("lwa.groups", 1, 3, "")) == []
    # Where it has read nothing that is left, it can't be told since when it has nobody.
    assert forgotten("night", looked, Committed("lwa.groups", 0, 0, "")) == []


def test_consumer_groups_that_could_not_be_asked(monkeypatch):
    """Each with what to do, as Kafka's error says it, or at least where to look."""

    class Refused:
        def __init__(self, *_told):
            pass

        def measure(self, _group, _at):
            raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    monkeypatch.setattr(stream, "Peek", lambda _settings: Told(close=lambda: None))
    monkeypatch.setattr(stream, "open_catalogue", lambda _settings: Told(close=lambda: None))
    monkeypatch.setattr(stream, "LagMeter", Refused)
    group = ConsumerGroup("night", "stable", 1, (Committed("lwa.groups", 0, 2, ""),))
    subject = Told(
        settings=Told(topics=NAMES),
        partitions={NAMES.groups: 1},
        broker_config=None,
        topic_configs={},
        tails={},
        readers=ConsumerGroups((group,), 0, ("the consumer groups could not be listed: it is busy",)),
    )
    outcome = offsets(subject)
    listed, refused = problems(outcome)
    assert listed == ("warning", "the consumer groups could not be listed: it is busy")
    assert refused[1].startswith("this user may not use the topic")
    assert "trapline topics acls" in outcome.problems[1].todo


def test_findings_about_topics_say_what_to_do():
    findings = (
        Finding(Severity.ERROR, NAMES.raw, "partitions", "3, and 2 were asked for; make new topics"),
        Finding(Severity.WARNING, NAMES.raw, "max.message.bytes", "is odd"),
    )
    outcome = of_topics._outcome(Told(topic_findings=findings), "", lambda _finding: True)
    assert outcome.problems[0].todo == "make new topics"
    assert problems(outcome)[1] == ("warning", "lwa.raw: max.message.bytes: is odd")
