"""The player on real sockets, with groups from a list: what comes, in which order, and when it was due."""

import socket
import threading
from contextlib import contextmanager

import pytest

from consumer.cadence import Cadence
from consumer.serving.ahead import Ahead
from consumer.serving.frames import PlayedFrame, PlayedGroup
from consumer.serving.metrics import Counts
from consumer.serving.player import Player, PlayPlan, StallWatch
from runtime.image_server.servers import ImageServers
from tests.support.frame_reader import FrameReader
from tests.support.published_groups import SECOND_US, START_US, frame_of
from tests.support.waiting import timeout_s, wait_until

SOURCES = ("sb0", "sb1")


def group(second, sources=SOURCES, shape=(6, 8)):
    at_us = START_US + round(second * SECOND_US)
    frames = tuple(PlayedFrame(source, frame_of(at_us, source, shape)) for source in sources)
    return PlayedGroup(at_us, 0, second, frames)


class Playing:
    """A player in a thread."""

    def __init__(self, groups, cadence=None, wait_for_clients=1, drop_stalled_s=None):
        self.counts, self.played, self.whole, self.error = Counts(), [], None, None
        self.servers = ImageServers(lambda _source, _number: None)
        self.servers.listen("127.0.0.1", 0, SOURCES)
        self.ahead = Ahead(
            groups, max_groups=4, max_bytes=10**9, notify=self.servers.wake, at_end=lambda: None
        )
        schedule = None if cadence is None else cadence.begin()
        plan = PlayPlan(schedule, wait_for_clients, drop_stalled_s)
        self.player = Player(plan, self.servers, self.ahead, self.counts, self.played.append)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.whole = self.player.run()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def port(self, source):
        return self.servers.ports[source].number

    def reader(self, source):
        return FrameReader("127.0.0.1", self.port(source))

    def join(self):
        self.thread.join(timeout_s(30))
        assert not self.thread.is_alive()


@contextmanager
def playing(groups, **options):
    one = Playing(groups, **options)
    try:
        yield one
    finally:
        one.servers.stop()
        one.join()
        one.ahead.stop()


def test_every_client_gets_every_frame_verbatim_and_then_the_end():
    groups = [group(second) for second in range(5)]
    with playing(groups, wait_for_clients=2) as player:
        readers = {source: [player.reader(source), player.reader(source)] for source in SOURCES}
        for n, source in enumerate(SOURCES):
            for reader in readers[source]:
                assert reader.wait_for_end() == [each.frames[n].data for each in groups]
                reader.close()
        player.join()
        assert player.whole is True
    assert (player.counts.groups, player.counts.frames, player.counts.unseen) == (5, 10, 0)


def test_groups_are_due_as_the_schedule_says_and_never_begin_before():
    """Arithmetic, not punctuality: that is measured, in benchmarks/serve_bench.py."""
    seconds = [0, 1, 2.5, 2, 100, 101]  # one that goes back, and a gap longer than the longest
    with playing([group(each) for each in seconds], cadence=Cadence(speed=1000, max_gap_s=10)) as player:
        readers = [player.reader(source) for source in SOURCES]
        player.join()
        for reader in readers:
            reader.close()
    first_s = player.played[0].due_s
    assert [each.due_s - first_s for each in player.played] == pytest.approx(
        [0, 0.001, 0.0025, 0.0025, 0.0125, 0.0135]
    )
    assert all(each.began_s >= each.due_s for each in player.played)


def test_a_group_that_lacks_a_source_sends_nothing_for_it():
    groups = [group(0), group(1, ("sb1",)), group(2)]
    with playing(groups) as player:
        readers = [player.reader(source) for source in SOURCES]
        assert [len(reader.wait_for_end()) for reader in readers] == [2, 3]
        for reader in readers:
            reader.close()


def test_all_of_a_timestamp_is_sent_before_the_next():
    """The client of the second source does not read: that of the first gets no frame of the next time."""
    big = (1024, 4096)  # more than sockets hold
    groups = [group(second, shape=big) for second in range(3)]
    with playing(groups) as player, socket.create_connection(("127.0.0.1", player.port("sb1"))) as slow:
        reader = player.reader("sb0")
        reader.wait_for(1)
        wait_until(lambda: player.servers.ports["sb1"].clients, "the slow client")
        assert player.played == []
        assert len(reader.frames) == 1
        size, received = len(groups[0].frames[1].data), 0
        while received < size:
            received += len(slow.recv(1 << 20))
        reader.wait_for(2)
        assert player.counts.groups == 1
        reader.close()


def test_a_client_that_takes_nothing_is_disconnected_if_that_is_asked_for():
    groups = [group(second, shape=(1024, 4096)) for second in range(2)]
    with playing(groups, drop_stalled_s=0.5) as player:
        reader = player.reader("sb0")
        with socket.create_connection(("127.0.0.1", player.port("sb1"))):
            wait_until(lambda: player.counts.stalled_clients == 1, "the disconnection")
            # Nobody has its frame: it waits for a new client, who gets it whole.
            again = player.reader("sb1")
            assert again.wait_for_end() == [each.frames[1].data for each in groups]
        assert reader.wait_for_end() == [each.frames[0].data for each in groups]
        reader.close()
        again.close()


def test_a_frame_whose_only_client_goes_away_is_sent_to_the_next_one():
    groups = [group(second, shape=(1024, 4096)) for second in range(2)]
    with playing(groups) as player:
        reader = player.reader("sb0")
        leaving = socket.create_connection(("127.0.0.1", player.port("sb1")))
        assert leaving.recv(1000)
        leaving.close()
        again = player.reader("sb1")
        assert again.wait_for_end() == [each.frames[1].data for each in groups]
        reader.close()
        again.close()
    assert player.counts.unseen == 0


def test_without_clients_asked_for_it_plays_to_nobody_and_counts_that():
    with playing([group(0), group(1)], wait_for_clients=0) as player:
        player.join()
        assert player.whole is True
    assert (player.counts.groups, player.counts.frames, player.counts.unseen) == (2, 0, 4)


def test_a_stop_while_clients_are_waited_for():
    with playing([group(0)]) as player:
        player.servers.stop()
        player.join()
    assert (player.whole, player.counts.groups) == (False, 0)


def test_a_stop_in_the_middle_is_no_end():
    with playing(iter([group(0), group(100)]), cadence=Cadence(max_gap_s=100)) as player:
        readers = [player.reader(source) for source in SOURCES]
        wait_until(lambda: len(player.played) == 1, "the first group")
        player.servers.stop()
        for reader in readers:
            assert len(reader.wait_for_end()) == 1
            reader.close()
        player.join()
    assert player.whole is False


def test_what_ends_the_reading_reaches_whoever_runs_it():
    def groups():
        yield group(0)
        raise OSError("Kafka is away")

    with playing(groups()) as player:
        readers = [player.reader(source) for source in SOURCES]
        player.join()
        assert [len(reader.wait_for_end()) for reader in readers] == [1, 1]
        for reader in readers:
            reader.close()
    assert str(player.error) == "Kafka is away"


class Taking:
    """What a watch looks at."""

    def __init__(self):
        self.bytes_sent, self.idle = 0, False


def test_how_long_a_client_has_taken_nothing():
    client, watch = Taking(), StallWatch(100.0)
    assert watch.stalled_s(client, 101.0) == 1.0
    assert watch.stalled_s(client, 102.0) == 2.0
    client.bytes_sent = 5
    assert watch.stalled_s(client, 103.0) == 0.0
    assert watch.stalled_s(client, 105.0) == 2.0
    client.idle = True
    assert watch.stalled_s(client, 106.0) == 0.0
    assert (watch.tell(client), watch.tell(client)) == (True, False)
