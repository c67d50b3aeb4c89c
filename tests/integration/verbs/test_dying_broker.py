"""Every verb that reads, where the broker dies amid that: a clear word, the documented status, no traceback.

Each verb comes to the one broker by a wire of its own, which dies with the first records that the broker
sends: whatever the verb reads first, it is amid that.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.kafka import raw_producer
from tests.support.group_topics import make_topic, make_topics, settle
from tests.support.kafka_proxy import Act, Api, KafkaProxy, Rule, Way
from tests.support.proxy_loop import ProxyLoop
from tests.support.published_groups import GroupPublisher
from tests.support.raw_topic import RawTopic, at
from tests.support.reading_verbs import READING_VERBS, TIME
from tests.support.routed_kafka import RoutedKafka
from tests.support.waiting import timeout_s, wait_until

PREFIX = "dying"
ROUTES = {name: "".join(filter(str.isalpha, name)).upper() for name in (*READING_VERBS, "tail that waits")}
SHORT = {
    "TRAPLINE_EXPECTED": "auto",
    "TRAPLINE_BROKER_WAIT_S": f"{timeout_s(6):g}",
    "TRAPLINE_AUDIT_STALL_S": f"{timeout_s(6):g}",
}
AT_ONCE = 3  # start beside each other: each needs a core for a second


class Dying:
    """A verb as a process, on a wire that dies."""

    def __init__(
        self, args: list[str], kafka: RoutedKafka, route: str, loop: ProxyLoop, folder: Path
    ) -> None:
        self.death = Rule(Api.FETCH, Way.ANSWER, Act.DIE)
        KafkaProxy(loop, kafka.ports[route]).apply(self.death)
        self._out, self._err = folder / f"{route}.out", folder / f"{route}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trapline", *args],
                stdout=out,
                stderr=err,
                env={
                    **{name: text for name, text in os.environ.items() if not name.startswith("TRAPLINE_")},
                    **SHORT,
                    "TRAPLINE_BOOTSTRAP_SERVERS": kafka.bootstrap_by(route),
                    "TRAPLINE_TOPIC_PREFIX": PREFIX,
                },
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def begun(self) -> bool:
        """It is amid its reading, or has ended."""
        return bool(self.death.acted) or self.process.poll() is not None

    def wait(self) -> int:
        return self.process.wait(timeout_s(90))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def verbs(tmp_path_factory):
    """All of them, by name, those that are at their end beside those that begin."""
    folder = tmp_path_factory.mktemp("dying")
    kafka = RoutedKafka(folder / "kafka", nodes=1, routes=list(ROUTES.values()))
    with ProxyLoop() as loop, ExitStack() as stack:
        stack.callback(kafka.kill)
        kafka.start(timeout_s(60))
        fill(kafka.bootstrap_servers)
        running: dict[str, Dying] = {}
        for name, route in ROUTES.items():
            wait_until(lambda: sum(not each.begun for each in running.values()) < AT_ONCE, "a start", 60)
            verb = READING_VERBS.get(name)
            args = ("tail", "--beginning") if verb is None else verb.dying_args or verb.args
            names = {
                "folder": folder / "out",
                "to": f"{PREFIX}.again",
                "copy": f"{PREFIX}-copy",
                "time": TIME,
            }
            words = [each.format(**names) for each in args]
            running[name] = Dying(words, kafka, route, loop, folder)
            stack.callback(running[name].close)
        yield running


def fill(bootstrap_servers):
    """Something of everything."""
    settings = make_topics(bootstrap_servers, PREFIX)
    make_topics(bootstrap_servers, f"{PREFIX}.again")
    make_topic(settings, f"{PREFIX}-copy")
    raw = RawTopic(bootstrap_servers, PREFIX).create()
    for second in range(5):
        raw.send(at(second))
    raw.close()
    GroupPublisher(settings).run(5)
    producer = raw_producer(settings, queue_bytes=1_000_000)
    producer.produce(settings.topics.rejects, b"somebody else's")
    assert producer.flush(timeout_s(30)) == 0
    settle(settings)


@pytest.mark.parametrize("name", READING_VERBS)
def test_it_ends_with_1_and_says_that_kafka_does_not_answer(verbs, name):
    verb = verbs[name]
    assert verb.wait() == 1, verb.err
    assert verb.death.acted == 1
    assert "Traceback" not in verb.err
    # A doctor's findings are what it prints.
    last = verb.out if name == "doctor" else verb.err.splitlines()[-1]
    assert "Kafka does not answer" in last, verb.err
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in last


def test_tail_waits_for_it_and_says_so(verbs):
    verb = verbs["tail that waits"]
    wait_until(lambda: "Kafka does not answer" in verb.err, lambda: verb.err, 60)
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in verb.err
    assert verb.process.poll() is None
    verb.process.send_signal(signal.SIGINT)
    assert verb.wait() == 0
    assert "tail ended" in verb.err
    assert "Traceback" not in verb.err
