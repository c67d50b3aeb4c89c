"""The auditor's books, pure: which facts make which finding, in any mixture of the topics."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.books import Committed
from audit.bounds import CLOCKS_MS
from audit.facts import Problem
from audit.findings import FindingKind
from schemas.catalogue import record_time_ms
from schemas.errors import RejectReason
from tests.support.audit_facts import Stage, appended_ms, at, image_appended_ms


def messy() -> Stage:
    """Repeats, a conflict, a late window, a revision, an unusable record: all as they should be."""
    stage = Stage()
    first = stage.send(0)
    stage.publish(0, first)
    stage.send(0, "sb1")  # a duplicate
    stage.reject(*stage.send(0, "sb2", other="bytes"), RejectReason.CONFLICT)
    two = stage.send(1, "sb0", "sb2")
    stage.publish(1, two)
    second = stage.send(2)
    stage.publish(2, second)
    stage.reject(*stage.send(1, "sb1"))  # late
    late = stage.send(3, "sb0")
    stage.publish(3, late)
    stage.send(3, "sb0")
    late += stage.send(3, "sb1")
    stage.publish(3, late, revision=2)
    (stranger,) = stage.send(4, "sb0")
    stage.windows[stranger] = replace(
        stage.windows[stranger], problem=Problem(FindingKind.UNREADABLE, "no frame")
    )
    stage.reject(stranger, RejectReason.BAD_AXES)
    return stage


def test_nothing_is_found_and_every_window_has_one_fate():
    stage = messy()
    assert stage.audit() == []
    tally = stage.ledger.tally
    assert (tally.members, tally.duplicates, tally.rejected) == (10, 2, 3)
    assert len(stage.ledger.windows) == 0
    assert tally.groups == 5


@given(st.data())
def test_any_mixture_of_the_topics_gives_nothing(data):
    """Each topic keeps its order; how they mix is a matter of the reader and of the network."""
    stage = messy()
    feeds = [list(feed) for feed in stage.feeds()]
    while any(feeds):
        number = data.draw(st.sampled_from([n for n, feed in enumerate(feeds) if feed]))
        feeds[number].pop(0)()
    stage.rounds()
    assert stage.kinds == []
    assert len(stage.ledger.windows) == 0


@given(st.data())
def test_any_mixture_of_the_topics_gives_the_same_findings(data):
    stage = messy()
    stage.change_image(4, pixels=b"other 8b")
    stage.rejects.pop(1)  # the late window's
    stage.entries.pop(2)
    feeds = [list(feed) for feed in stage.feeds()]
    while any(feeds):
        number = data.draw(st.sampled_from([n for n, feed in enumerate(feeds) if feed]))
        feeds[number].pop(0)()
    stage.rounds()
    assert stage.kinds == ["entry_missing", "pixels", "reject_missing"]


def test_nothing_is_judged_in_the_round_it_was_read_in():
    stage = Stage()
    stage.publish(0, stage.send(0), entry=False)
    stage.send(1)
    for feed in stage.feeds():
        for call in feed:
            call()
    stage.rounds(1)
    assert stage.kinds == []
    stage.rounds(1)
    assert stage.kinds == ["committed_too_far"] * 3 + ["entry_missing"]


def test_an_open_group_and_what_is_not_handled_are_no_findings():
    stage = Stage()
    stage.publish(0, stage.send(0))
    stage.send(1)
    stage.send(2)
    assert stage.audit(committed=3, read_to=9, waiting={3, 4, 5, 6, 7, 8}) == []
    assert len(stage.ledger.windows) == 6


def test_a_handled_window_of_a_closed_group_is_judged_even_past_the_committed_offset():
    stage = Stage()
    stage.send(1, "sb0")  # holds the committed offset back
    two = stage.send(0, "sb0", "sb2")
    stage.publish(0, two)
    stage.send(0, "sb1")
    assert stage.audit(committed=0, read_to=4) == ["reject_missing"]


def stage_with_a_late_window() -> Stage:
    """The late window is raw offset 3, and comes once more as 4; an older group holds the offset at 0."""
    stage = Stage()
    stage.send(1, "sb0")
    stage.publish(0, stage.send(0, "sb0", "sb2"))
    stage.send(0, "sb1")
    stage.send(0, "sb1")
    return stage


def test_a_late_window_that_waits_for_the_next_revision_is_not_lost():
    stage = stage_with_a_late_window()
    assert stage.audit(committed=0, read_to=5, waiting={0, 3}) == []
    assert len(stage.ledger.windows) == 3
    stage.publish(0, [1, 2, 3], revision=2)
    for fact in stage.images[2:]:
        stage.ledger.image(image_appended_ms(fact), fact)
    stage.ledger.entry(*stage.entries[1])
    stage.rounds(committed=0, read_to=5, waiting={0})
    assert stage.kinds == []
    assert len(stage.ledger.windows) == 1


def test_a_grouper_that_does_not_say_what_waits_is_judged_when_it_has_passed():
    stage = stage_with_a_late_window()
    assert stage.audit(committed=0, read_to=5, waiting=None) == []
    stage.rounds(committed=5, waiting=None)
    assert stage.kinds == ["committed_too_far", "reject_missing", "reject_missing"]


def test_an_offset_past_a_late_window_whose_revision_came_later():
    stage = Stage()
    two = stage.send(0, "sb0", "sb2")
    stage.publish(0, two)
    late = stage.send(0, "sb1")
    stage.publish(1, stage.send(1))
    stage.publish(0, two + late, revision=2)
    assert stage.audit() == ["committed_too_far"]


def test_a_window_is_dropped_or_late_by_what_was_read_when_its_group_went_out():
    stage = Stage()
    offsets = stage.send(0)
    stage.publish(0, [offsets[0], offsets[2]])
    assert stage.audit() == ["member_dropped"]
    stage = Stage()
    offsets = stage.send(0)
    stage.publish(0, offsets[:2])
    assert stage.audit() == ["reject_missing"]


def test_a_source_that_nobody_expects_is_not_called_a_dropped_member():
    stage = Stage()
    offsets = stage.send(0, "sb0", "stranger", "sb1", "sb2")
    stage.publish(0, [offsets[0], *offsets[2:]])
    assert stage.audit() == ["reject_missing"]


def test_a_torn_group_is_one_finding():
    stage = Stage()
    stage.publish(0, stage.send(0), images=(0, 2))
    assert stage.audit() == ["group_torn"]


def test_a_torn_group_without_its_entry():
    stage = Stage()
    stage.publish(0, stage.send(0), images=(0, 2), entry=False)
    assert stage.audit() == ["group_torn", "member_dropped"]


def test_a_torn_group_that_is_published_again_whole():
    stage = Stage()
    offsets = stage.send(0)
    stage.publish(0, offsets, images=(0, 1), entry=False)
    stage.publish(0, offsets)
    assert stage.audit() == ["group_torn"]


def test_a_second_group_of_what_the_first_lacked():
    stage = Stage()
    offsets = stage.send(0)
    stage.publish(0, offsets[:2])
    stage.publish(0, offsets[2:])
    assert stage.audit() == ["group_twice"]


def test_a_frame_dropped_for_a_digest_that_is_not_its_own():
    stage = Stage()
    stage.publish(0, stage.send(0))
    (again,) = stage.send(0, "sb1")
    stage.windows[again] = replace(stage.windows[again], digest_true=False)
    assert stage.audit() == ["digest"]


def test_a_member_that_cannot_be_one():
    stage = Stage()
    offsets = stage.send(0)
    stage.windows[1] = replace(stage.windows[1], problem=Problem(FindingKind.KEY, "another time"))
    stage.publish(0, offsets)
    assert stage.audit() == ["key"]


def test_one_raw_record_in_two_groups():
    stage = Stage()
    stage.publish(0, stage.send(0))
    offsets = stage.send(1)
    stage.publish(1, offsets)
    stage.images[4] = replace(stage.images[4], headers=replace(stage.images[4].headers, raw_offset=0))
    name, entry = stage.entries[1]
    members = (entry.members[0], replace(entry.members[1], raw_offset=0), entry.members[2])
    stage.entries[1] = (name, replace(entry, members=members))
    assert "window_twice" in stage.audit()


def test_what_two_rejects_name():
    stage = Stage()
    stage.publish(0, stage.send(0))
    (late,) = stage.send(0, "sb1", other="bytes")
    stage.reject(late)
    stage.reject(late)
    assert stage.audit() == ["window_twice"]


def test_the_pixels_of_a_revision_are_held_against_those_of_the_one_before():
    stage = Stage()
    offsets = stage.send(0, "sb0", "sb1")
    stage.publish(0, offsets)
    offsets += stage.send(0, "sb2")
    stage.publish(0, offsets, revision=2)
    stage.change_image(2, pixels=b"other 8b")
    assert stage.audit() == ["pixels"]


def test_what_was_forgotten_is_counted_and_no_finding():
    stage = Stage(remember=2)
    for second in range(5):
        stage.publish(second, stage.send(second))
    (again,) = stage.send(0, "sb0")
    windows, images, entries, _ = stage.feeds()
    for call in (*windows[:again], *images, *entries, windows[again]):
        call()
    stage.rounds()
    assert stage.kinds == []
    assert stage.ledger.tally.gone == 1


def with_a_beginning_that_is_gone() -> Stage:
    """The windows 0 to 2 are in no group that is left, and in no entry."""
    stage = Stage(groups_begin=10)
    stage.send(0)
    offsets = stage.send(1)
    stage.publish(1, offsets)
    stage.reject(*stage.send(1, "sb1", other="bytes"), RejectReason.CONFLICT)
    return stage


@pytest.mark.parametrize("topic", ["catalogue_cut", "rejects_cut"])
def test_what_retention_may_have_taken_is_counted_and_no_finding(topic):
    stage = with_a_beginning_that_is_gone()
    setattr(stage.ledger.bounds, topic, True)
    assert stage.audit() == []
    assert stage.ledger.tally.gone == 3


def test_a_cut_catalogue_excuses_no_window_whose_image_cannot_be_gone():
    stage = with_a_beginning_that_is_gone()
    stage.ledger.bounds.catalogue_cut = True
    stage.ledger.bounds.groups_begin = 0
    assert stage.audit() == ["committed_too_far"] * 3


def test_cut_groups_excuse_no_window_that_came_after_the_oldest_image():
    stage = with_a_beginning_that_is_gone()
    stage.ledger.bounds.catalogue_cut = True
    stage.publish(3, stage.send(3, "sb0"))
    stage.send(4)
    assert stage.audit() == ["committed_too_far"] * 3
    assert stage.ledger.tally.gone == 3


@pytest.mark.parametrize(
    ("kept_ms", "findings"), [(0, 4), (record_time_ms(at(0)), 1), (record_time_ms(at(1)), 0)]
)
def test_a_catalogue_cut_to_its_end_excuses_what_is_older_than_its_retention(kept_ms, findings):
    """`kept_ms`: since when entries are kept, in observation time, as the topic's settings say."""
    stage = with_a_beginning_that_is_gone()
    stage.entries.clear()
    stage.ledger.bounds.catalogue_cut = True
    stage.ledger.bounds.catalogue_kept_ms = kept_ms
    assert stage.audit() == (["committed_too_far"] * 3 + ["entry_missing"])[-findings:] * bool(findings)
    assert stage.ledger.tally.gone == 4 - findings


@pytest.mark.parametrize(("kept_from", "gone"), [(0, 0), (3, 3)])
def test_groups_and_catalogue_cut_to_their_ends_excuse_what_is_older_than_both(kept_from, gone):
    """`kept_from`: the raw offset from whose time on groups are kept."""
    stage = Stage()
    stage.send(0)
    stage.send(1)
    bounds = stage.ledger.bounds
    bounds.groups_begin, bounds.catalogue_cut = 8, True
    bounds.groups_kept_ms = appended_ms(kept_from) - CLOCKS_MS - 1
    bounds.catalogue_kept_ms = record_time_ms(at(5))
    assert stage.audit() == ["committed_too_far"] * (6 - gone)
    assert stage.ledger.tally.gone == gone


@pytest.mark.parametrize(("kept_from", "gone"), [(0, 0), (3, 3)])
def test_rejects_that_were_cut_to_their_end_excuse_what_is_older_than_their_retention(kept_from, gone):
    """`kept_from`: the raw offset from whose time on rejects are kept."""
    stage = Stage()
    stage.send(0)
    left_out = stage.send(1)
    stage.publish(1, left_out[:2])
    stage.ledger.bounds.rejects_cut = True
    stage.ledger.bounds.rejects_kept_ms = appended_ms(kept_from) - CLOCKS_MS - 1
    assert len(stage.audit()) == 4 - gone
    assert stage.ledger.tally.gone == gone


def test_a_window_that_came_after_the_oldest_reject_is_not_excused():
    """A reject of a repair may come late, and name an old raw record: the times of both are looked at."""
    stage = Stage()
    stage.send(0)
    stage.publish(1, stage.send(1))
    stage.reject(*stage.send(2, "sb1"))
    offset, _, headers = stage.rejects[0]
    stage.rejects[0] = (offset, appended_ms(1), headers)
    stage.ledger.bounds.rejects_cut = True
    assert stage.audit() == ["committed_too_far"]
    assert stage.ledger.tally.gone == 2


def test_figures_of_entries_that_go_back():
    stage = Stage()
    for second in range(3):
        stage.publish(second, stage.send(second))
    offset, entry = stage.entries[2]
    stage.entries[2] = (offset, replace(entry, read_to=4))
    assert set(stage.audit()) == {"offsets"}


def test_the_same_finding_is_told_once():
    stage = Stage()
    stage.publish(0, stage.send(0))
    for feed in stage.feeds():
        for call in feed:
            call()
    stage.rounds(2)
    stage.ledger.recorder.find(FindingKind.PIXELS, "x", timestamp_us=at(0), source="sb0")
    stage.ledger.recorder.find(FindingKind.PIXELS, "y", timestamp_us=at(0), source="sb0")
    assert stage.kinds == ["pixels"]
    assert stage.books.found == {FindingKind.PIXELS: 1}


def test_topics_of_different_partition_counts():
    stage = Stage()
    stage.books.check_partitions({"raw": 2, "groups": 2, "catalogue": 2, "rejects": 1})
    assert stage.kinds == ["partition"]


def test_a_member_of_another_partition_s_frame():
    stage = Stage(partitions=2)
    stage.publish(0, stage.send(0))
    other = stage.books.ledgers[1]
    for fact in stage.windows:
        other.window(fact)
    for fact in stage.images:
        stage.ledger.image(image_appended_ms(fact), fact)
    for entry in stage.entries:
        stage.ledger.entry(*entry)
    for _ in range(3):
        stage.books.begin_round({0: Committed(0, 0), 1: Committed(3, 3)}, {0: 0, 1: 3})
        stage.books.end_round()
    assert stage.kinds == ["partition"]
