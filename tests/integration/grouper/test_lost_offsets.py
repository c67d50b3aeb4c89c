"""The committed offsets are gone and the catalogue is there: expired in a long pause, or deleted."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.timestamp import format_timestamp
from tests.integration.grouper.test_grouping import committed, wait_for_groups
from tests.support.audited import audited
from tests.support.grouping import grouping
from tests.support.groups_reader import read_all
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until

KNOBS = {"grace_s": 60}  # so that only data closes groups


def rejects_of(raw: RawTopic) -> list[str]:
    return [record.headers["ce_reason"] for record in read_all(raw.bootstrap_servers, raw.names.rejects)]


def wait_until_read(raw: RawTopic, read_to: int) -> None:
    wait_until(lambda: (committed(raw)[1] or {}).get("read_to") == read_to, f"raw read to {read_to}")


def delete_offsets(raw: RawTopic) -> None:
    """Delete the groupers' consumer group; one with members cannot be."""
    admin = AdminClient({"bootstrap.servers": raw.bootstrap_servers})
    name = f"{raw.prefix}.grouper"

    def deleted():
        try:
            admin.delete_consumer_groups([name])[name].result(timeout_s(10))
        except KafkaException:
            return False
        return True

    wait_until(deleted, "the consumer group to be deleted")
    assert committed(raw) == (-1001, None)


def test_each_group_is_out_once_and_nothing_is_rejected_twice(raw):
    with grouping(raw, **KNOBS):
        raw.send(at(0))
        raw.send(at(1), "sb0", "sb1")
        raw.send(at(2))  # overtakes the one before
        raw.send(at(0), "sb0", seed=5, remember=False)  # a conflict
        raw.send(at(4), "sb0")  # stays open
        raw.send(at(3))
        wait_for_groups(raw, 4)
        wait_until_read(raw, 13)
    delete_offsets(raw)
    raw.send(at(1), "sb2")  # late
    raw.send(at(3), "sb1")  # a repeat
    raw.send(at(4), "sb1", "sb2")
    with grouping(raw, **KNOBS):
        groups = wait_for_groups(raw, 5)
        wait_until_read(raw, 17)
    assert [group.timestamp for group in groups] == [
        format_timestamp(at(second)) for second in (0, 1, 2, 3, 4)
    ]
    assert groups[1].sources == ("sb0", "sb1")
    for second in (0, 2, 3, 4):
        assert groups[second].digests == {source: raw.sent[at(second), source] for source in raw.sources}
    assert rejects_of(raw) == ["conflict", "late"]
    assert audited(raw).findings == ()


def test_what_was_rejected_after_the_last_group_is_rejected_once_more(raw):
    """Its transaction had no entry, which alone could say that it was handled. The auditor names it."""
    with grouping(raw, **KNOBS):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        raw.send(at(0), "sb2")  # late
        wait_until(lambda: rejects_of(raw) == ["late"], "the reject")
        raw.send(at(2))
        wait_for_groups(raw, 3)
        raw.send(at(1), "sb1", seed=5, remember=False)  # a conflict, and no group after it
        wait_until(lambda: rejects_of(raw) == ["late", "conflict"], "the other reject")
        wait_until_read(raw, 10)
    delete_offsets(raw)
    with grouping(raw, **KNOBS):
        raw.send(at(3))
        groups = wait_for_groups(raw, 4)
        wait_until_read(raw, 13)
    assert [group.timestamp for group in groups] == [format_timestamp(at(second)) for second in range(4)]
    assert rejects_of(raw) == ["late", "conflict", "conflict"]
    assert audited(raw).kinds == ["window_twice"]
