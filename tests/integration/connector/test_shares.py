"""Several connectors that share out one list of sources."""

from collections import Counter

from emulator.frame_server import FrameServer
from tests.support.connector import RunningConnector, by_source, make_topics, read_topic, source
from tests.support.frames import T0_US, make_frame

SECOND_US = 1_000_000


def frames(seed: int) -> list[bytes]:
    return [make_frame(T0_US + number * SECOND_US, seed=10 * seed + number) for number in range(5)]


def test_each_source_is_read_by_the_connector_whose_share_it_is(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = {f"sb{number}": frames(number) for number in range(3)}
    with (
        FrameServer(sent["sb0"]) as sb0,
        FrameServer(sent["sb1"]) as sb1,
        FrameServer(sent["sb2"]) as sb2,
    ):
        where = [source("sb0", sb0.port), source("sb1", sb1.port), source("sb2", sb2.port)]
        with (
            RunningConnector(kafka.bootstrap_servers, topic_prefix, *where, share="0/2") as first,
            RunningConnector(kafka.bootstrap_servers, topic_prefix, *where, share="1/2") as second,
        ):
            first.wait_for(raw=10)
            second.wait_for(raw=5)
            assert [reader.source.name for reader in first.service._readers] == ["sb0", "sb2"]
            assert [reader.source.name for reader in second.service._readers] == ["sb1"]
            first.stop()
            second.stop()
    assert by_source(read_topic(kafka.bootstrap_servers, names.raw)) == sent


def test_what_a_source_left_in_the_spool_is_sent_by_a_connector_that_reads_it_no_longer(
    kafka, topic_prefix, tmp_path
):
    """More connectors than before: the source has gone to another one, and its frames are still here."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = frames(1)
    spool = {"spool": "through", "spool_dir": tmp_path / "spool"}
    with FrameServer() as sb0, FrameServer(sent) as sb1:
        where = [source("sb0", sb0.port), source("sb1", sb1.port)]
        # Nothing listens on port 1: all stays in the spool.
        with RunningConnector("127.0.0.1:1", topic_prefix, *where, **spool, flush_timeout_s=0.1) as before:
            before.wait_for(frames=5)
            assert before.stop().spooled == 5
        with RunningConnector(kafka.bootstrap_servers, topic_prefix, *where, **spool, share="0/2") as after:
            after.wait_for(raw=5)
            assert after.stop().frames == 0
    raw = by_source(read_topic(kafka.bootstrap_servers, names.raw))
    assert Counter(raw) == Counter({"sb1": sent})
