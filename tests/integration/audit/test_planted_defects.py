"""The auditor must fail first: each defect, planted on a real Kafka, is named by its kind alone."""

from dataclasses import replace

import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from audit.findings import FindingKind
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.fits_image import encode_image
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from schemas.window import decode_window
from tests.support.audited import audited
from tests.support.hand_grouper import HandGrouper
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s

OTHER_DIGEST = frame_digest(b"something else")


@pytest.fixture
def three(raw):
    """Three groups' windows in raw, at offsets 0 to 8."""
    for second in range(3):
        raw.send(at(second))
    return raw


def finish(hand, *seconds):
    """Publish what is left as it should be, and commit."""
    for second in seconds:
        hand.publish(second)
    hand.commit()


def delete_all(raw, topic):
    """What is in a topic's only partition, as retention does."""
    admin = AdminClient({"bootstrap.servers": raw.bootstrap_servers})
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, -1)]).values()
    assert deleted.result(timeout_s(30)).low_watermark > 0


def keep(raw, topic, retention_ms):
    """Have Kafka keep a topic's records for so long."""
    entry = ConfigEntry("retention.ms", str(retention_ms), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": raw.bootstrap_servers})
    (altered,) = admin.incremental_alter_configs([resource]).values()
    altered.result(timeout_s(30))


def test_nothing_is_found_where_nothing_is_wrong(three, hand):
    finish(hand, 0, 1, 2)
    done = audited(three)
    assert done.findings == ()
    assert done.summary["members"] == done.summary["windows"] == 9
    assert done.summary["groups"] == 3
    assert done.summary["in_progress"] == 0


def test_offset_committed_before_data(three, hand):
    finish(hand, 0, 1)
    hand.commit(9)
    done = audited(three)
    assert done.kinds == ["committed_too_far"] * 3
    assert [finding.offsets for finding in done.findings] == [(("raw", 6),), (("raw", 7),), (("raw", 8),)]
    assert done.findings[0].timestamp_us == at(2)
    assert done.findings[0].source == "sb0"


def test_an_offset_committed_while_an_older_group_was_open(three, hand):
    hand.publish(1)  # commits 6, though the group of offset 0 is not out
    hand.publish(0)
    finish(hand, 2)
    assert audited(three).kinds == ["committed_too_far"]


@pytest.mark.parametrize("source", ["sb1", "sb2"])
def test_a_member_dropped(three, hand, source):
    left = [each for each in three.sources if each != source]
    hand.publish(0)
    hand.publish(1, left, wrong_entry=lambda entry: replace(entry, read_to=6, committed_offset=6))
    finish(hand, 2)
    (finding,) = audited(three).findings
    assert finding.kind is FindingKind.MEMBER_DROPPED
    assert (finding.timestamp_us, finding.source) == (at(1), source)


def test_a_group_doubled(three, hand):
    hand.publish(0)
    hand.publish(1)
    hand.publish(1)
    finish(hand, 2)
    assert audited(three).kinds == ["group_twice"]


def test_a_group_doubled_under_another_id(three, hand):
    def rename(publication):
        name = publication.entry.group_id + "7"
        publication.entry = replace(publication.entry, group_id=name)
        for image in publication.images:
            image.headers = replace(image.headers, group_id=name)

    hand.publish(0)
    hand.publish(1)
    hand.publish(1, wrong=rename)
    finish(hand, 2)
    assert audited(three).kinds == ["group_twice"]


def test_two_groups_with_each_other_s_member(three, hand):
    groups = {second: hand.prepare(second) for second in (1, 2)}

    def swap(publication, other):
        mine, theirs = publication.images[1], groups[other].images[1]
        mine.value = theirs.value
        mine.headers = replace(
            mine.headers, raw_offset=theirs.headers.raw_offset, digest=theirs.headers.digest
        )
        members = list(publication.entry.members)
        members[1] = replace(members[1], raw_offset=theirs.headers.raw_offset, digest=theirs.headers.digest)
        publication.entry = replace(publication.entry, members=tuple(members), read_to=9, committed_offset=3)
        publication.images[1].headers = replace(mine.headers, timestamp_us=at(other))
        publication.images[1].key = timestamp_key(at(other))

    hand.publish(0)
    hand.publish(1, wrong=lambda publication: swap(publication, 2))
    hand.publish(2, wrong=lambda publication: swap(publication, 1))
    hand.commit(9)
    assert set(audited(three).kinds) == {"group_mixed"}


def test_a_group_that_says_it_holds_a_window_of_another_time(three, hand):
    other = hand.prepare(2).images[1].headers

    def take(publication):
        image = publication.images[1]
        image.headers = replace(image.headers, raw_offset=other.raw_offset)
        members = list(publication.entry.members)
        members[1] = replace(members[1], raw_offset=other.raw_offset)
        publication.entry = replace(publication.entry, members=tuple(members))

    hand.publish(0)
    hand.publish(1, wrong=take)
    hand.publish(2, ["sb0", "sb2"])
    hand.commit(9)
    assert "group_mixed" in audited(three).kinds


def test_two_groups_interleaved(three, hand):
    hand.publish(0)
    hand.publish_interleaved(1, 2)
    hand.commit()
    assert audited(three).kinds == ["group_mixed", "group_mixed"]


@pytest.mark.parametrize("revision", [0, 2, 3])
def test_a_revision_of_nothing(three, hand, revision):
    hand.publish(0)
    hand.publish(1, revision=revision)
    finish(hand, 2)
    assert audited(three).kinds == ["revision"]


def test_a_revision_that_adds_nothing_and_one_that_lacks_a_member(three, hand):
    hand.publish(0, ["sb0", "sb1"])
    hand.publish(0, ["sb0", "sb2"], revision=2)
    hand.publish(1)
    hand.publish(1, revision=2)
    finish(hand, 2)
    done = audited(three)
    assert done.kinds == ["revision", "revision"]
    assert [finding.timestamp_us for finding in done.findings] == [at(0), at(1)]


def test_a_revision_with_a_late_member_is_right(raw, hand):
    raw.send(at(0), "sb0", "sb1")
    hand.publish(0, ["sb0", "sb1"])
    raw.send(at(1))
    hand.publish(1)
    raw.send(at(0), "sb2")
    hand.publish(0, revision=2)
    hand.commit()
    assert audited(raw).findings == ()


def test_a_torn_group(three, hand):
    hand.publish(0)
    hand.publish(1, wrong=lambda publication: publication.images.pop(1))
    finish(hand, 2)
    (finding,) = audited(three).findings
    assert finding.kind is FindingKind.GROUP_TORN
    assert finding.timestamp_us == at(1)


def test_a_group_of_two_transactions(three, hand):
    hand.publish(0)
    hand.publish_in_two_transactions(1)
    finish(hand, 2)
    assert audited(three).kinds == ["group_torn"]


def test_a_wrong_digest_in_an_image_s_header(three, hand):
    def wrong(publication):
        image = publication.images[1]
        image.headers = replace(image.headers, digest=OTHER_DIGEST)

    hand.publish(0)
    hand.publish(1, wrong=wrong)
    finish(hand, 2)
    (finding,) = audited(three).findings
    assert finding.kind is FindingKind.DIGEST
    assert (finding.timestamp_us, finding.source) == (at(1), "sb1")


def test_a_wrong_digest_in_the_catalogue(three, hand):
    def wrong(entry):
        members = (replace(entry.members[0], digest=OTHER_DIGEST), *entry.members[1:])
        return replace(entry, members=members)

    hand.publish(0)
    hand.publish(1, wrong_entry=wrong)
    finish(hand, 2)
    assert audited(three).kinds == ["digest"]


def test_a_frame_whose_digest_is_not_its_own(raw, hand):
    frame = raw.frame(at(0), "sb0")
    headers = RawHeaders(raw.prefix, "sb0", at(0), OTHER_DIGEST, at(0), PixelOrder.FITS)
    raw.put(timestamp_key(at(0)), frame, headers.encode())
    raw.send(at(0), "sb1", "sb2")
    finish(hand, 0)
    (finding,) = audited(raw).findings
    assert finding.kind is FindingKind.DIGEST
    assert finding.source == "sb0"


def changed(frame):
    """The image of a frame with one pixel changed, checksums and all."""
    pixels = decode_window(frame).pixels.copy()
    pixels[2, 3] = np.nextafter(pixels[2, 3], np.float32(np.inf))
    return encode_image(replace(decode_window(frame), pixels=pixels))


def test_a_changed_pixel_with_a_matching_checksum(three, hand):
    def wrong(publication):
        publication.images[2].value = changed(three.frame(at(1), "sb2"))

    hand.publish(0)
    hand.publish(1, wrong=wrong)
    finish(hand, 2)
    (finding,) = audited(three).findings
    assert finding.kind is FindingKind.PIXELS
    assert (finding.timestamp_us, finding.source) == (at(1), "sb2")
    assert audited(three, pixels=False).findings == ()


def test_a_changed_header_without_its_checksum(three, hand):
    def wrong(publication):
        image = publication.images[2]
        image.value = image.value.replace(b"AARTFAAC", b"AARTFAAX")

    hand.publish(0)
    hand.publish(1, wrong=wrong)
    finish(hand, 2)
    assert audited(three).kinds == ["checksum"]


def test_a_catalogue_entry_missing(three, hand):
    hand.publish(0)
    hand.publish(1, wrong_entry=lambda _: None)
    finish(hand, 2)
    (finding,) = audited(three).findings
    assert finding.kind is FindingKind.ENTRY_MISSING
    assert finding.timestamp_us == at(1)


def test_a_catalogue_entry_without_a_group(three, hand):
    hand.publish(0)
    hand.publish(1, wrong=lambda publication: publication.images.clear(), wrong_entry=lambda entry: entry)
    finish(hand, 2)
    assert audited(three).kinds == ["group_missing"]


def test_a_catalogue_entry_that_points_elsewhere(three, hand):
    hand.publish(0)
    hand.publish(1, wrong_entry=lambda entry: replace(entry, first_offset=0, last_offset=2))
    finish(hand, 2)
    assert audited(three).kinds == ["entry_offsets"]


def test_a_catalogue_entry_that_names_another_raw_record(three, hand):
    def wrong(entry):
        members = (replace(entry.members[0], raw_offset=0), *entry.members[1:])
        return replace(entry, members=members, committed_offset=3)

    hand.publish(0)
    hand.publish(1, wrong_entry=wrong)
    finish(hand, 2)
    assert "entry_members" in audited(three).kinds


def test_a_reject_missing_for_a_late_window(raw, hand):
    raw.send(at(0), "sb0", "sb1")
    hand.publish(0, ["sb0", "sb1"])
    raw.send(at(1))
    hand.publish(1)
    raw.send(at(0), "sb2")
    hand.commit(6)
    (finding,) = audited(raw).findings
    assert finding.kind is FindingKind.REJECT_MISSING
    assert finding.offsets == (("raw", 5),)
    hand.reject(5, RejectReason.LATE)
    assert audited(raw).findings == ()


def test_a_reject_missing_for_a_conflict_and_for_an_unusable_record(three, hand):
    finish(hand, 0, 1, 2)
    three.send(at(1), "sb1", seed=5, remember=False)
    three.put(b"no time", b"no frame", [("ce_type", b"other")])
    three.flush()
    hand.commit(11)
    assert audited(three).kinds == ["reject_missing", "reject_missing"]


def test_a_member_dropped_where_old_rejects_are_gone(raw, hand):
    """One reject that has aged out, and none after it, excuses nothing that is younger than the retention."""
    raw.send(at(0), "sb0", "sb1")
    hand.publish(0, ["sb0", "sb1"])
    raw.send(at(0), "sb0", seed=5, remember=False)
    hand.reject(2, RejectReason.CONFLICT)
    raw.send(at(1))
    raw.send(at(2))
    hand.publish(1, ["sb0", "sb1"], wrong_entry=lambda entry: replace(entry, read_to=6, committed_offset=6))
    delete_all(raw, raw.names.rejects)
    hand.commit(9)
    done = audited(raw)
    # The conflict's own reject was deleted by hand, and not by retention.
    assert done.kinds == ["committed_too_far"] * 3 + ["member_dropped", "reject_missing"]
    assert done.summary["gone_by_retention"]["other"] == 0


def test_windows_in_no_group_where_catalogue_and_groups_are_gone_to_their_ends(three, hand):
    """What was deleted by hand excuses nothing that its topic would keep; age excuses what it may."""
    finish(hand, 0)
    hand.commit(9)
    delete_all(three, three.names.catalogue)
    assert audited(three).kinds == ["committed_too_far"] * 6 + ["entry_missing"]
    keep(three, three.names.catalogue, 3_600_000)  # the windows were observed earlier
    done = audited(three)
    assert done.kinds == ["committed_too_far"] * 6  # their images would be there
    assert done.summary["gone_by_retention"]["other"] == 1
    delete_all(three, three.names.groups)
    assert audited(three).kinds == ["committed_too_far"] * 9
    keep(three, three.names.groups, 1)
    done = audited(three)
    assert done.findings == ()
    assert done.summary["gone_by_retention"]["other"] == 9


def test_a_window_that_is_a_member_and_rejected(three, hand):
    finish(hand, 0, 1, 2)
    hand.reject(0, RejectReason.LATE)
    assert audited(three).kinds == ["window_twice"]


def test_a_reject_of_nothing(three, hand):
    finish(hand, 0, 1, 2)
    hand.reject(77, RejectReason.LATE)
    assert audited(three).kinds == ["reject_without_raw"]


def test_a_group_in_another_partition_than_its_frames(kafka, topic_prefix):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=2).create()
    hand = HandGrouper(raw)
    raw.send(at(0))
    partition = hand.prepare(0).partition
    hand.publish(0, wrong=lambda publication: setattr(publication, "partition", 1 - partition))
    hand.commit(partition=partition)
    (finding,) = audited(raw).findings
    assert finding.kind is FindingKind.PARTITION
    assert (finding.partition, finding.timestamp_us) == (1 - partition, at(0))
    raw.close()


def test_a_missing_list_that_is_not_true(raw, hand):
    def wrong(publication):
        publication.entry = replace(publication.entry, missing=("sb1",))
        for image in publication.images:
            image.headers = replace(image.headers, missing=("sb1",))

    raw.send(at(0), "sb0", "sb1")
    hand.publish(0, ["sb0", "sb1"], wrong=wrong)
    hand.commit()
    assert audited(raw).kinds == ["missing_list"]


def test_a_group_that_says_it_is_complete(raw, hand):
    raw.send(at(0), "sb0", "sb1")
    hand.publish(0, ["sb0", "sb1"], wrong_entry=lambda entry: replace(entry, complete=True))
    hand.commit()
    assert audited(raw).kinds == ["missing_list"]


def test_a_key_that_is_not_date_obs(three, hand):
    def wrong(publication):
        publication.images[0].key = timestamp_key(at(2))

    hand.publish(0)
    hand.publish(1, wrong=wrong)
    finish(hand, 2)
    assert audited(three).kinds == ["key"]


def test_figures_of_the_committed_offset_that_cannot_be(three, hand):
    finish(hand, 0, 1, 2)
    hand.commit(9, read_to=40)
    assert audited(three).kinds == ["offsets"]
    hand.commit(9, read_to=4)
    assert audited(three).kinds == ["offsets"]


def test_records_of_others(three, hand):
    finish(hand, 0, 1, 2)
    for topic in (three.names.groups, three.names.catalogue, three.names.rejects):
        hand.put_foreign(topic)
    assert audited(three).kinds == ["unreadable"] * 3
