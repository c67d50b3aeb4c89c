"""Kafka full, slow, away, killed, or with a shorter log than before: nothing that was read is lost."""

import contextlib
import socket
import threading
import time

from connector import metrics
from connector.errors import DeliveryError
from emulator.frame_server import FrameServer
from runtime.image_server.script import Send
from tests.support.connector import MIB, RunningConnector, by_source, make_topics, read_topic, source
from tests.support.frames import T0_US, make_frame
from tests.support.metrics import Change
from tests.support.waiting import timeout_s, wait_until

SECOND_US = 1_000_000


def frames(count: int, seed: int = 0, shape=(128, 128)) -> list[bytes]:
    return [
        make_frame(T0_US + number * SECOND_US, seed=seed * 1000 + number, shape=shape)
        for number in range(count)
    ]


class Receipts:
    """How much a server could give to the kernel."""

    def __init__(self):
        self.accepted = 0
        self.refused = 0

    def sent(self):
        self.accepted += 1

    def lost(self):
        self.refused += 1

    def sends(self, values):
        return [Send.of(value, receipt=self) for value in values]

    def settled(self) -> int:
        """How many the kernel has taken, once it takes no more."""
        before = -1
        while self.accepted != before:
            before = self.accepted
            threading.Event().wait(0.7)
        return self.accepted


def test_a_full_queue_stops_reading_and_nothing_is_lost(own_kafka, topic_prefix):
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(400, shape=(256, 256))  # 100 MiB
    receipts = Receipts()
    with (
        FrameServer(receipts.sends(sent)) as server,
        Change(metrics.BACK_PRESSURE) as held_back,
    ):
        own_kafka.kill()
        with RunningConnector(
            own_kafka.bootstrap_servers,
            topic_prefix,
            source("sb0", server.port),
            max_frame_bytes=MIB,
            queue_max_bytes=4 * MIB,
        ) as connector:
            own_kafka.start()
            connector.wait_for(raw=1)
            own_kafka.kill()
            accepted = receipts.settled()
            assert accepted < 300
            time.sleep(1.5)
            # Not a byte more is read, and none of the frames is let go of.
            counts = connector.service._counts["sb0"]
            read_bytes = counts.read_bytes.total
            (outlet,) = connector.service._publisher._outlets
            assert 4 * MIB - len(sent[0]) <= outlet.waiting_bytes <= 4 * MIB + 2 * len(sent[0])
            before_s = held_back.by
            wait_until(lambda: held_back.by > before_s + 0.5, "back pressure to be counted")
            assert counts.read_bytes.total == read_bytes
            assert receipts.settled() == accepted
            assert receipts.refused == 0
            own_kafka.start()
            connector.wait_for(raw=400)
            assert connector.totals["reconnects"] == 0
    values = by_source(read_topic(own_kafka.bootstrap_servers, names.raw))["sb0"]
    assert values == sent


def test_a_killed_broker_costs_nothing(own_kafka, topic_prefix):
    """Three sources flow on through two SIGKILLs and a SIGSTOP; each frame is in raw once, in order."""
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = {f"sb{number}": frames(600, seed=number, shape=(64, 64)) for number in range(3)}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(FrameServer()) for name in sent}
        sources = [source(name, server.port) for name, server in servers.items()]
        connector = stack.enter_context(RunningConnector(own_kafka.bootstrap_servers, topic_prefix, *sources))
        wait_until(lambda: all(server.clients for server in servers.values()), "connections")

        def push(start, end):
            for number in range(start, end):
                for name, server in servers.items():
                    server.push(sent[name][number])

        push(0, 100)
        connector.wait_for(raw=50)
        own_kafka.kill()
        push(100, 200)
        connector.wait_for(frames=600)
        own_kafka.start()
        push(200, 300)
        connector.wait_for(raw=700)
        own_kafka.pause()
        push(300, 400)
        connector.wait_for(frames=1200)
        own_kafka.resume()
        push(400, 500)
        own_kafka.kill()
        push(500, 600)
        own_kafka.start()
        connector.wait_for(raw=1800)
        assert connector.totals["broken"] == 0
    assert by_source(read_topic(own_kafka.bootstrap_servers, names.raw)) == sent


def test_a_broker_that_forgot_the_end_of_its_log(own_kafka, topic_prefix):
    """A power cut: Kafka comes back without its last records, and refuses the sequence of the next ones.

    That ends a producer. What it held goes out again by a new one; what Kafka had acknowledged and lost is
    beyond us.
    """
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(60, shape=(64, 64))
    with (
        FrameServer() as server,
        RunningConnector(own_kafka.bootstrap_servers, topic_prefix, source("sb0", server.port)) as connector,
        Change(metrics.PRODUCERS_RENEWED) as renewed,
    ):
        wait_until(lambda: server.clients, "the connection")
        for number, frame in enumerate(sent[:20], start=1):  # one batch each: a cut batch goes as a whole
            server.push(frame)
            connector.wait_for(raw=number)
        own_kafka.kill()
        server.push(*sent[20:40])
        connector.wait_for(frames=40)
        (folder,) = own_kafka.embedded.data.rglob(f"{names.raw}-0")
        (log,) = folder.glob("*.log")
        with log.open("r+b") as file:
            file.truncate(len(sent[0]) * 5)
        own_kafka.start()
        server.push(*sent[40:])
        connector.wait_for(raw=60)
        assert renewed.by == 1
        assert connector.totals["broken"] > 0
        assert connector.service._failure() is None
    values = by_source(read_topic(own_kafka.bootstrap_servers, names.raw))["sb0"]
    kept = values.index(sent[20])
    assert values == sent[:kept] + sent[20:]
    assert 0 < kept < 20


def test_producers_that_deliver_nothing_are_replaced_a_few_times_then_it_ends(own_kafka, topic_prefix):
    """Whatever breaks producers again and again is not over; frames go from one to the next meanwhile."""
    make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(6, shape=(64, 64))
    with (
        FrameServer(sent[:1]) as server,
        RunningConnector(own_kafka.bootstrap_servers, topic_prefix, source("sb0", server.port)) as connector,
        Change(metrics.PRODUCERS_RENEWED) as renewed,
    ):
        connector.wait_for(raw=1)
        own_kafka.kill()
        server.push(*sent[1:])
        connector.wait_for(frames=6)
        publisher = connector.service._publisher
        for number in range(1, 6):
            publisher._producer.purge()
            wait_until(lambda number=number: renewed.by == number, "the next producer", 60)
            wait_until(lambda: len(publisher._producer) == 5, "it to hold the frames")
        publisher._producer.purge()
        connector.wait_for_end()
        assert isinstance(connector.error, DeliveryError)
        assert "Kafka took nothing from 5 producers in a row" in str(connector.error)
        assert connector.service._counts["sb0"].undelivered.total == 5


def test_kafka_away_at_the_start_is_waited_for(own_kafka, topic_prefix):
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    own_kafka.kill()
    sent = frames(3)
    with (
        FrameServer(sent) as server,
        RunningConnector(own_kafka.bootstrap_servers, topic_prefix, source("sb0", server.port)) as connector,
    ):
        wait_until(connector.service.not_ready, "it not to be ready")
        assert "TRAPLINE_BOOTSTRAP_SERVERS" in connector.service.not_ready()
        time.sleep(3)
        assert connector.error is None
        assert connector.service.stuck() is None
        assert server.connections == 0
        own_kafka.start()
        connector.wait_for(raw=3)
        wait_until(lambda: connector.service.not_ready() is None, "it to be ready")
    assert by_source(read_topic(own_kafka.bootstrap_servers, names.raw)) == {"sb0": sent}


def test_ready_once_no_source_is_awaited_any_more(kafka, topic_prefix):
    """Else its redundant twin would be stopped while only that one reads the source that is slow to accept.

    One that refuses has failed once, and is not waited for.
    """
    make_topics(kafka.bootstrap_servers, topic_prefix)
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen(0)  # room for one: whoever comes next is not answered until it is accepted
        port = slow.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)),
            FrameServer(frames(1)) as server,
            RunningConnector(
                kafka.bootstrap_servers,
                topic_prefix,
                source("sb0", server.port),
                source("slow", port),
                source("off", 1),
                connect_timeout_s=timeout_s(60),
            ) as connector,
        ):
            connector.wait_for(raw=1)
            words = "first attempts to connect are not over: slow"
            wait_until(lambda: connector.service.not_ready() == words, "only the slow one to be awaited")
            slow.accept()[0].close()
            wait_until(lambda: connector.service.not_ready() is None, "it to be ready", 30)
            server.stop()
            slow.close()
            wait_until(connector.service.not_ready, "it not to be ready")
            assert connector.service.not_ready().startswith("no source is connected; sb0: ")


def test_ready_or_not_while_it_runs(own_kafka, topic_prefix):
    make_topics(own_kafka.bootstrap_servers, topic_prefix)
    with (
        FrameServer(frames(1)) as server,
        RunningConnector(
            own_kafka.bootstrap_servers, topic_prefix, source("sb0", server.port), source("sb1", 1)
        ) as connector,
    ):
        connector.wait_for(raw=1)
        wait_until(lambda: connector.service.not_ready() is None, "one source of two to be something")
        server.stop()
        wait_until(connector.service.not_ready, "it not to be ready")
        problem = connector.service.not_ready()
        assert problem.startswith("no source is connected; sb0: ")
        assert "sb1: can't connect to tcp://127.0.0.1:1: Connection refused" in problem
        own_kafka.kill()
        wait_until(
            lambda: "TRAPLINE_BOOTSTRAP_SERVERS" in (connector.service.not_ready() or ""), "Kafka missed"
        )
        assert connector.service.stuck() is None
