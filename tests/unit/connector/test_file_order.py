import itertools
import random
import threading
from collections import defaultdict

import pytest

from connector.metrics import SourceCounts
from connector.readers import find_files, make_readers
from connector.settings import ConnectorSettings
from schemas.record_headers import RawHeaders
from schemas.source import FileSource
from tests.support.frames import T0_US, make_cards, make_frame, make_pixels, pack_frame, payload_of
from tests.support.waiting import timeout_s, wait_until

SECOND_US = 1_000_000
MIB = 1024**2
UNDATED = None
_numbers = itertools.count()


def frame(second, seed: int = 0) -> bytes:
    if second is UNDATED:
        return pack_frame(make_cards(date_obs="yesterday"), payload_of(make_pixels()))
    return make_frame(T0_US + second * SECOND_US, seed=seed)


class Night:
    """Folders of files, read together, with a list in the place of Kafka.

    Attributes:
        given: what was handed over, in order: the source, and the second of the frame; None: a reject.
        ahead: by source, the most frames that were read and not handed over.
        gates: by source; closed (cleared), none of its frames is taken.
    """

    def __init__(self, folder, **seconds):
        self.given = []
        self.ahead = defaultdict(int)
        self.gates = {name: threading.Event() for name in seconds}
        for gate in self.gates.values():
            gate.set()
        self.stop = threading.Event()
        night = f"night{next(_numbers)}"
        for name, frames in seconds.items():
            (folder / night / name).mkdir(parents=True)
            for number, part in enumerate(frames if isinstance(frames[0], list) else [frames]):
                data = b"".join(frame(second, seed) for seed, second in enumerate(part))
                (folder / night / name / f"{number:03}").write_bytes(data)
        sources = tuple(FileSource(name, folder / night / name) for name in seconds)
        settings = ConnectorSettings(sources=sources, max_frame_bytes=MIB, queue_max_bytes=64 * MIB)
        # Metrics are of the process: each night has its own.
        self.ways = {name: _Way(self, name, f"{night}-{name}") for name in seconds}
        self.readers = make_readers(settings, tuple(self.ways.values()), self.stop)

    def start(self):
        find_files(self.readers)
        for reader in self.readers:
            reader.start()
        return self

    def wait(self):
        wait_until(
            lambda: all(reader.finished or reader.failure for reader in self.readers),
            lambda: f"{[reader.problem for reader in self.readers]}; {self.given[-9:]}",
        )
        for reader in self.readers:
            assert reader.wait_until_idle(timeout_s(10))
        return self

    def of(self, name):
        return [second for source, second in self.given if source == name]

    @property
    def seconds(self):
        """Of all frames that are no rejects, in the order of raw."""
        return [second for _, second in self.given if second is not UNDATED]


class _Way:
    waiting_bytes = 0

    def __init__(self, night, name, label):
        self.counts = SourceCounts(label)
        self._night = night
        self._name = name

    def publish(self, record):
        night, name = self._night, self._name
        night.gates[name].wait()
        given = sum(source == name for source, _ in list(night.given))
        night.ahead[name] = max(night.ahead[name], int(self.counts.frames.total) - given)
        headers = record.headers
        second = None
        if isinstance(headers, RawHeaders):
            second = (headers.timestamp_us - T0_US) // SECOND_US
        night.given.append((name, second))


def test_frames_of_all_sources_go_in_the_order_of_their_times(tmp_path):
    """Other rates, other lengths, other beginnings; the slowest one is waited for."""
    nights = {
        "sb0": list(range(60)),
        "sb1": list(range(0, 60, 3)),
        "sb2": [list(range(20, 30)), list(range(30, 45))],
    }
    night = Night(tmp_path, **nights)
    night.gates["sb1"].clear()
    night.start()
    wait_until(lambda: night.ways["sb0"].counts.frames.total >= 3, "sb0 to be ahead")
    night.gates["sb1"].set()
    night.wait()
    assert night.seconds == sorted(itertools.chain(range(60), range(0, 60, 3), range(20, 45)))
    assert night.of("sb0") == nights["sb0"]
    assert night.of("sb1") == nights["sb1"]
    assert night.of("sb2") == list(range(20, 45))


def test_no_source_reads_far_ahead(tmp_path):
    """One frame is in hand, and the one behind it is known; that is all."""
    night = Night(tmp_path, sb0=list(range(50)), sb1=[0, 49])
    night.gates["sb1"].clear()
    night.start()
    wait_until(lambda: night.of("sb0") == [0], "the frame of sb1's time")
    night.gates["sb1"].set()
    night.wait()
    assert night.ahead["sb0"] <= 2


def test_frames_without_a_date_wait_for_nobody(tmp_path):
    night = Night(tmp_path, sb0=[0, 5, UNDATED, UNDATED], sb1=[0, 1])
    night.gates["sb1"].clear()
    night.start()
    # sb1 stands at 0; of sb0 what is not later goes, and what has no time.
    wait_until(lambda: night.of("sb0") == [0, UNDATED, UNDATED], lambda: str(night.given))
    assert not night.readers[0].finished
    night.gates["sb1"].set()
    night.wait()
    assert night.seconds == [0, 0, 1, 5]


def test_a_wrong_time_ahead_keeps_nobody_waiting(tmp_path):
    """Of a clock that was wrong for one image: it goes where it stands in its file."""
    night = Night(tmp_path, sb0=[*range(20), 9000, *range(20, 40)], sb1=list(range(40))).start().wait()
    assert [second for second in night.seconds if second < 9000] == sorted([*range(40), *range(40)])
    assert night.of("sb0") == [*range(20), 9000, *range(20, 40)]


def test_a_source_that_goes_back_keeps_nobody_waiting(tmp_path):
    """Two nights in the wrong order of their names: what is old comes, and then they go on together."""
    night = Night(tmp_path, sb0=[[*range(50, 60)], [*range(10)], [*range(90, 95)]], sb1=list(range(95)))
    night.start().wait()
    assert night.of("sb0") == [*range(50, 60), *range(10), *range(90, 95)]
    assert night.of("sb1") == list(range(95))
    for second in (*range(50, 58), *range(90, 95)):
        places = [place for place, (_, given) in enumerate(night.given) if given == second]
        assert places[1] - places[0] <= 2


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_times_everything_comes_once_and_each_source_keeps_its_order(tmp_path, seed):
    dice = random.Random(seed)
    seconds = {}
    for number in range(dice.randint(2, 5)):
        now = dice.randint(0, 20)
        times = []
        for _ in range(dice.randint(1, 40)):
            now = max(0, now + dice.choice((0, 1, 1, 1, 2, 10, -1, -15)))
            times.append(dice.choice((now, now, now, now, UNDATED)))
        seconds[f"sb{number}"] = times
    night = Night(tmp_path, **seconds).start().wait()
    for name, times in seconds.items():
        dated = [second for second in times if second is not UNDATED]
        assert [second for second in night.of(name) if second is not UNDATED] == dated
        assert night.of(name).count(UNDATED) == times.count(UNDATED)
    if all(times == sorted(times, key=lambda second: second or 0) for times in seconds.values()):
        assert night.seconds == sorted(night.seconds)


def test_a_stop_hands_over_nothing_that_is_not_due(tmp_path):
    night = Night(tmp_path, sb0=list(range(50)), sb1=[0, 1, 2])
    night.gates["sb1"].clear()
    night.start()
    wait_until(lambda: night.of("sb0") == [0], "sb0 to wait for sb1")
    wait_until(lambda: night.ways["sb1"].counts.frames.total >= 2, "sb1 to have its frame in hand")
    night.stop.set()
    night.gates["sb1"].set()
    night.wait()
    assert night.of("sb0") == [0]
    assert night.of("sb1") in ([], [0])
    assert [reader.problem for reader in night.readers] == ["asked to stop"] * 2


def test_a_source_that_fails_keeps_nobody_waiting(tmp_path):
    night = Night(tmp_path, sb0=list(range(20)), sb1=list(range(20)))
    night.gates["sb1"].wait = lambda: 1 / 0
    night.start().wait()
    assert isinstance(night.readers[1].failure, ZeroDivisionError)
    assert night.of("sb0") == list(range(20))


def test_a_file_that_cannot_be_read_keeps_nobody_waiting(tmp_path):
    night = Night(tmp_path, sb0=list(range(20)), sb1=[0])
    folder = night.readers[1].source.path
    (folder / "000").unlink()
    (folder / "001").symlink_to("/proc/self/mem")  # a regular file whose first byte is an I/O error
    night.start().wait()
    assert night.of("sb0") == list(range(20))
    assert night.readers[1].unread_files == 1
