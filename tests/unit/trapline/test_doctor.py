"""What the checks of `trapline doctor` make of what they find, without a Kafka."""

import socket
import struct
import threading
import time

import pytest
from confluent_kafka import KafkaError, KafkaException

from connector.settings import ConnectorSettings
from grouper.near_miss import NearMisses
from runtime.errors import SettingsError
from runtime.settings import load_settings
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.errors import TraplineError
from tests.support.frames import T0_US, make_frame
from tests.unit.grouper.test_near_miss import closed
from trapline.doctor.near_misses import disagreements
from trapline.doctor.outcome import Check, Outcome, Verdict, examine, failure, not_done, of_error, warning
from trapline.doctor.report import as_json, conclusion, failed, lines
from trapline.doctor.settings import DoctorSettings
from trapline.doctor.sources import sources
from trapline.doctor.spool import spool

DIGEST = "xxh3-128:" + "0" * 32
SECOND = 1_000_000


def settings_with(**overrides):
    return load_settings(DoctorSettings, overrides=overrides, known=[])


def test_sources_that_connectors_share_out_are_examined_by_one():
    """The chart's test is told of all of them; each connector has memory for its own."""
    many = ",".join(f"sb{number}=tcp://127.0.0.1:{1000 + number}" for number in range(64))
    with pytest.raises(SettingsError, match="reading_max_bytes"):
        load_settings(ConnectorSettings, overrides={"sources": many}, known=[])
    assert load_settings(ConnectorSettings, overrides={"sources": many, "share": "0/4"}, known=[])
    assert len(settings_with(sources=many).sources) == 64
    with pytest.raises(SettingsError, match="queue_max_bytes"):
        settings_with(sources=many, queue_max_bytes=1)


def raising(error):
    def look():
        raise error

    return look


def test_what_needs_a_failed_check_is_named_and_not_done():
    results = list(
        examine(
            [
                Check("one", lambda: Outcome("fine")),
                Check("two", lambda: Outcome("bad", (warning("odd", "look"), failure("broken", "mend it")))),
                Check("three", lambda: Outcome("never"), needs=("one", "two")),
                Check("four", lambda: Outcome("never"), needs=("three",)),
                Check("five", lambda: not_done("nothing to look at")),
                Check("six", lambda: Outcome("fine", (warning("odd", "look"),)), needs=("five",)),
            ]
        )
    )
    assert [result.outcome.verdict.value for result in results] == [
        "ok", "fail", "not done", "not done", "not done", "warning"
    ]  # fmt: skip
    assert [result.outcome.summary for result in results[2:4]] == ["needs: two", "needs: three"]
    assert failed(results)
    assert conclusion(results) == "6 checks: 1 ok, 1 with a warning, 1 failed, 3 not done"
    assert [line.strip() for line in lines(results[1])][1:] == [
        "warning: odd", "what to do: look", "fail: broken", "what to do: mend it"
    ]  # fmt: skip
    report = as_json(results)
    assert (report["ok"], report["checks"][1]["problems"][1]["todo"]) == (False, "mend it")
    assert not failed([results[0], results[5]])


def test_ground_that_is_lost_meanwhile_fails_once():
    bad = Outcome("bad", (failure("broken", "mend it"),))
    checks = [Check("ground", lambda: Outcome("fine"))]
    checks += [Check(name, lambda: bad, needs=("ground",)) for name in ("one", "two", "three")]
    holds = iter([True, False])
    results = list(examine(checks, still={"ground": lambda: next(holds)}))
    assert [result.outcome.summary for result in results] == ["fine", "bad", "bad", "needs: ground"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TraplineError("no such thing; make it"), "no such thing"),
        (TraplineError("no such thing"), "no such thing"),
        (KafkaException(KafkaError(KafkaError.UNKNOWN)), "Kafka reports an error"),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT)), "Kafka does not answer"),
    ],
)
def test_a_check_that_raises_has_failed_and_the_others_go_on(error, words):
    first, second = examine([Check("one", raising(error)), Check("two", lambda: Outcome("fine"))])
    assert first.outcome.verdict is Verdict.FAIL
    assert words in first.outcome.problems[0].text
    assert first.outcome.problems[0].todo
    assert second.outcome.verdict is Verdict.OK


def test_an_error_says_what_to_do_behind_its_semicolon():
    problem = of_error(TraplineError("no such thing; make it; or another"), "look")
    assert (problem.text, problem.todo) == ("no such thing", "make it; or another")
    assert of_error(TraplineError("no such thing"), "look").todo == "look"


@pytest.mark.parametrize("make", [warning, failure])
def test_a_finding_without_what_to_do_is_none(make):
    with pytest.raises(ValueError, match="what to do about this"):
        make("broken", "")


def test_a_defect_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        list(examine([Check("one", raising(ZeroDivisionError()))]))


def entry(timestamp_us, present, expected=("sb0", "sb1", "sb2", "sb3"), revision=1):
    missing = tuple(source for source in expected if source not in present)
    members = tuple(Member(source, 0, DIGEST, 6e7, timestamp_us) for source in present)
    return CatalogueEntry(
        timestamp_us, revision, "id", not missing, ClosedBy.GRACE, expected, present, missing, members,
        0, 0, 0, 0, 0,
    )  # fmt: skip


def halves(count, apart_us):
    for second in range(count):
        yield entry(second * SECOND, ("sb0", "sb1"))
        yield entry(second * SECOND + apart_us, ("sb2", "sb3"))


def test_sources_that_disagree_are_named():
    (found,) = disagreements(halves(5, SECOND // 5))
    assert (found.earlier, found.later, found.pairs) == (("sb0", "sb1"), ("sb2", "sb3"), 5)
    assert (found.apart_s, found.cadence_s) == (0.2, 1.0)
    assert str(found).startswith("5 times sb2, sb3 came 0.2 s after sb0, sb1")


@pytest.mark.parametrize("apart_us", [SECOND // 5, SECOND * 2 // 5, SECOND // 2, SECOND * 3 // 5])
def test_the_same_pairs_as_the_grouper_counts(apart_us):
    entries = list(halves(12, apart_us))
    near = NearMisses()
    for second in range(8):  # it learns the cadence on the way, we know it from the start
        near.closed(closed((second - 8) * SECOND + 10**9, "sb0", "sb1", "sb2", "sb3", complete=True))
    counted = sum(near.closed(closed(each.timestamp_us + 10**9, *each.present)) for each in entries)
    assert sum(each.pairs for each in disagreements(entries)) == counted


def test_groups_that_share_a_source_or_were_repaired_are_no_near_miss():
    shared = [entry(0, ("sb0", "sb1")), entry(1, ("sb1", "sb2")), entry(SECOND, ("sb0", "sb1"))]
    assert disagreements(shared) == ()
    whole = ("sb0", "sb1", "sb2", "sb3")
    repaired = [*halves(3, SECOND // 5)]
    repaired += [entry(each.timestamp_us, whole, revision=2) for each in repaired]
    assert disagreements(repaired) == ()
    assert disagreements([]) == ()


class Server:
    """Says the same to whoever connects, then leaves the connection open, closes it, or resets it."""

    def __init__(self, said, *, closes=False, resets=False):
        self._said, self._closes, self._resets = said, closes or resets, resets
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._connections = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.sendall(self._said)
            if self._resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if self._closes:
                connection.close()
            else:
                self._connections.append(connection)

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for connection in self._connections:
            connection.close()


@pytest.fixture
def serve():
    servers = []

    def start(said, **how):
        servers.append(Server(said, **how))
        return servers[-1].port

    yield start
    for server in servers:
        server.close()


def checked(*urls, wait_s=0.6):
    return sources(settings_with(sources=",".join(f"sb{n}={url}" for n, url in enumerate(urls))), wait_s)


def test_a_source_that_sends_frames(serve):
    outcome = checked(f"tcp://127.0.0.1:{serve(make_frame(T0_US, shape=(16, 24)))}")
    assert outcome.verdict is Verdict.OK
    assert "sb0: 2026-11-23T10:00:00.000000Z, 16 x 24, 60.000 MHz" in outcome.summary


@pytest.mark.parametrize(
    ("said", "closes", "verdict", "words"),
    [
        (b"", False, "warning", "not a byte came in 0.6 s"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 2000, True, "fail", "is it an image server"),
        (make_frame(T0_US)[:700], False, "fail", "no whole frame"),
        (make_frame(4_000_000_000_000_000), False, "fail", "ahead of this machine's clock"),
        (make_frame(T0_US, frequency_hz=None), False, "fail", "can't be used"),
    ],
)
def test_a_source_that_does_not(serve, said, closes, verdict, words):
    outcome = checked(f"tcp://127.0.0.1:{serve(said, closes=closes)}")
    assert outcome.verdict.value == verdict
    (problem,) = outcome.problems
    assert problem.text.startswith("sb0: ")
    assert words in f"{problem.text} {problem.todo}"


def test_a_source_that_breaks_the_connection_off(serve):
    most = make_frame(T0_US, shape=(2048, 2048))[:-1]  # more than the kernel holds: it is being read
    outcome = checked(f"tcp://127.0.0.1:{serve(most, resets=True)}", wait_s=10.0)
    (problem,) = outcome.problems
    assert (problem.verdict, "the connection broke off" in problem.text) == (Verdict.FAIL, True)
    assert "the log of the image server" in problem.todo


def test_all_sources_at_once_and_one_that_is_away(serve):
    silent = f"tcp://127.0.0.1:{serve(b'')}"
    began_s = time.monotonic()
    outcome = checked(*[silent] * 8, "tcp://127.0.0.1:1", wait_s=1.0)
    assert time.monotonic() - began_s < 8.0  # one after the other it would be more
    assert [problem.verdict.value for problem in outcome.problems] == ["warning"] * 8 + ["fail"]
    assert "can't connect to tcp://127.0.0.1:1" in outcome.problems[-1].text


def test_files_as_sources(tmp_path):
    good, bad, gone = tmp_path / "good", tmp_path / "bad", tmp_path / "gone"
    good.write_bytes(make_frame(T0_US))
    bad.write_bytes(b"no frame at all")
    outcome = checked(f"file://{good}", f"file://{bad}", f"file://{gone}")
    assert [problem.text.partition(":")[0] for problem in outcome.problems] == ["sb1", "source sb2"]
    assert all(problem.todo for problem in outcome.problems)
    assert "sb0: 2026-11-23T10:00:00.000000Z" in outcome.summary


def test_no_source_is_no_failure():
    assert sources(settings_with(), 1.0).verdict is Verdict.NOT_DONE


def test_the_spool(tmp_path):
    assert spool(settings_with()).verdict is Verdict.OK
    on = {"spool": "through", "spool_dir": str(tmp_path / "not" / "there")}
    fine = spool(settings_with(**on, spool_max_bytes=64 * 1024**2, spool_segment_bytes=4096))
    assert (fine.verdict, "0 bytes used" in fine.summary) == (Verdict.OK, True)
    large = spool(settings_with(**on, spool_max_bytes=10**18))
    assert large.verdict is Verdict.WARNING
    assert "TRAPLINE_SPOOL_MAX_BYTES" in large.problems[0].todo
    (tmp_path / "file").write_text("")
    file = spool(settings_with(spool="overflow", spool_dir=str(tmp_path / "file")))
    assert file.verdict is Verdict.FAIL
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "1.frames").write_bytes(b"x" * 5000)
    used = spool(settings_with(spool="overflow", spool_dir=str(tmp_path / "used")))
    assert "5 kB used" in used.summary
