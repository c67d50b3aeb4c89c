"""The judge of chaos must fail where something is lost, doubled or torn: each is planted, and named."""

import json
from dataclasses import replace

import pytest

from schemas.digest import frame_digest
from schemas.errors import RejectReason
from tests.chaos.explained import Explained, Span
from tests.chaos.judge import judge
from tests.chaos.truth import Frame
from tests.support.groups_reader import read_groups
from tests.support.raw_topic import at


@pytest.fixture
def three(raw):
    """Three groups' windows in raw."""
    for second in range(3):
        raw.send(at(second))
    return raw


def judged(raw, folder, *, truth=None, read_lines=None, explained=None):
    """What the judge says of the topics; by default with a truth and a reader that know all there is."""
    if truth is None:
        truth = [Frame(timestamp, source, digest) for (timestamp, source), digest in raw.sent.items()]
    return judge(
        raw.bootstrap_servers,
        raw.prefix,
        truth,
        lines_of(ids(raw)) if read_lines is None else read_lines,
        folder=folder,
        explained=explained or Explained(),
    )


def ids(raw):
    # A torn group has an id too, and a reader that waits for all of it never prints it.
    return [group.group_id for group in read_groups(raw.bootstrap_servers, raw.names.groups)]


def lines_of(group_ids):
    return [json.dumps({"group_id": each}) + "\n" for each in group_ids]


def named(verdict):
    """What the problems are called, without cases and numbers."""
    return {problem.split(":")[0] for problem in verdict.problems}


def finish(hand, *seconds):
    for second in seconds:
        hand.publish(second)
    hand.commit()


def test_nothing_is_wrong(three, hand, tmp_path):
    finish(hand, 0, 1, 2)
    verdict = judged(three, tmp_path)
    assert verdict.problems == []
    assert verdict.counts["windows"] == verdict.counts["members"] == verdict.counts["sent"] == 9
    assert verdict.counts["groups"] == 3


def test_a_window_that_no_group_has(three, hand, tmp_path):
    hand.publish(0)
    hand.publish(1, ["sb0", "sb1"])
    finish(hand, 2)
    verdict = judged(three, tmp_path)
    assert verdict.counts["lost"] == 1
    assert {"lost", "auditor's findings"} <= named(verdict)


def test_a_window_that_nobody_has_handled_yet(three, hand, tmp_path):
    finish(hand, 0, 1, 2)
    three.send(at(3))
    verdict = judged(three, tmp_path)
    assert verdict.counts["lost"] == 3
    assert "3 windows are still in progress, says the auditor" in verdict.problems


def test_a_frame_that_never_came_to_raw(three, hand, tmp_path):
    finish(hand, 0, 1, 2)
    truth = [Frame(timestamp, source, digest) for (timestamp, source), digest in three.sent.items()]
    more = [*truth, *(Frame(at(second), "sb0", frame_digest(b"%d" % second)) for second in (3, 4))]
    assert judged(three, tmp_path, truth=more).counts["lost before raw"] == 2

    def left(*sources, until=4, most=None):
        losses = [Span(frozenset(sources), at(3), at(until), most)]
        return judged(three, tmp_path, truth=more, explained=Explained(losses=losses))

    assert left("sb0", "sb1").problems == []
    assert named(left("sb0", until=3)) == named(left("sb0", most=1)) == {"lost before raw"}
    assert (
        left("sb0", until=3).counts["lost before raw"] == left("sb0", most=1).counts["lost before raw"] == 1
    )
    assert left("sb1").counts["lost before raw"] == 2


def test_a_frame_that_was_never_sent(three, hand, tmp_path):
    finish(hand, 0, 1, 2)
    first, *truth = [Frame(timestamp, source, digest) for (timestamp, source), digest in three.sent.items()]
    assert named(judged(three, tmp_path, truth=truth)) == {"never sent"}
    unwritten = [Span(frozenset([first.source]), first.timestamp_us, first.timestamp_us)]
    assert judged(three, tmp_path, truth=truth, explained=Explained(unwritten=unwritten)).problems == []


def test_an_incomplete_group_without_a_cause(raw, hand, tmp_path):
    """The last source's window never was in raw: a fault explains it, or that the source sent none."""
    raw.send(at(0))
    raw.send(at(1), "sb0", "sb1")
    hand.publish(0)
    hand.publish(1, ["sb0", "sb1"])
    hand.commit()
    assert named(judged(raw, tmp_path)) == {"incomplete without a cause"}
    gap = Span(frozenset(["sb2"]), at(1), at(1))
    assert judged(raw, tmp_path, explained=Explained(gaps=[gap])).problems == []
    elsewhere = [Span(frozenset(["sb2"]), at(0), at(0)), Span(frozenset(["sb1"]), at(1), at(1))]
    assert named(judged(raw, tmp_path, explained=Explained(gaps=elsewhere))) == {"incomplete without a cause"}
    silent = Explained(silent=frozenset(["sb2"]))
    assert judged(raw, tmp_path, explained=silent).problems == []
    truth = [Frame(timestamp, source, digest) for (timestamp, source), digest in raw.sent.items()]
    more = [*truth, Frame(at(1), "sb2", frame_digest(b"sent"))]
    assert "incomplete without a cause" in named(judged(raw, tmp_path, truth=more, explained=silent))


def test_a_late_window_without_a_cause(raw, hand, tmp_path):
    raw.send(at(0), "sb1", "sb2")
    hand.publish(0, ["sb1", "sb2"])
    raw.send(at(0), "sb0")
    hand.reject(2, RejectReason.LATE, digest=raw.sent[at(0), "sb0"])
    hand.commit(3)
    assert named(judged(raw, tmp_path)) == {"incomplete without a cause", "late without a cause"}
    gaps = [Span(frozenset(["sb0"]), at(0), at(0))]
    assert judged(raw, tmp_path, explained=Explained(gaps=gaps)).problems == []


def test_a_window_that_was_left_out_of_a_group_that_was_open(raw, hand, tmp_path):
    """It lies in raw before a member: nothing explains that."""
    raw.send(at(0))
    hand.publish(0, ["sb1", "sb2"])
    hand.reject(0, RejectReason.LATE, digest=raw.sent[at(0), "sb0"])
    hand.commit(3)
    gaps = [Span(frozenset(raw.sources), at(0), at(0))]
    assert named(judged(raw, tmp_path, explained=Explained(gaps=gaps))) == {"left out"}


def test_a_group_twice(three, hand, tmp_path):
    hand.publish(0)
    hand.publish(1)
    read_lines = lines_of([*ids(three)])
    hand.publish(1)
    finish(hand, 2)
    verdict = judged(three, tmp_path, read_lines=[*read_lines, *lines_of([last_id(hand)])])
    assert verdict.counts["member twice"] == verdict.counts["raw record twice"] == 3
    assert {"member twice", "raw record twice", "auditor's findings"} <= named(verdict)


def last_id(hand):
    return hand.prepare(2).images[0].headers.group_id


def test_a_timestamp_in_two_groups(three, hand, tmp_path):
    hand.publish(0, ["sb0"])
    hand.publish(0, ["sb1", "sb2"])
    finish(hand, 1, 2)
    verdict = judged(three, tmp_path)
    assert verdict.counts["timestamp twice"] == 1
    assert "timestamp twice" in named(verdict)


def test_a_torn_group(three, hand, tmp_path):
    def tear(publication):
        publication.images.pop()

    hand.publish(0)
    hand.publish(2)
    read_lines = lines_of(ids(three))
    torn = hand.prepare(1).images[0].headers.group_id
    hand.publish(1, wrong=tear)
    hand.commit()
    verdict = judged(three, tmp_path, read_lines=[*read_lines, *lines_of([torn])])
    assert verdict.counts["torn"] == 1
    assert {"torn", "lost", "auditor's findings"} <= named(verdict)


def test_an_image_out_of_nowhere(three, hand, tmp_path):
    def exchange(publication):
        image = publication.images[0]
        image.headers = replace(image.headers, digest=frame_digest(b"something else"))

    hand.publish(0)
    hand.publish(1, wrong=exchange)
    finish(hand, 2)
    verdict = judged(three, tmp_path)
    assert verdict.counts["out of nowhere"] == verdict.counts["lost"] == 1


def test_a_group_that_its_reader_never_got(three, hand, tmp_path):
    finish(hand, 0, 1, 2)
    first, *others = ids(three)
    assert named(judged(three, tmp_path, read_lines=lines_of(others))) == {"not read"}
    cut_off = lines_of([first])[0][:-9]
    assert named(judged(three, tmp_path, read_lines=[cut_off, *lines_of(others)])) == {"not read"}
    again = judged(three, tmp_path, read_lines=lines_of([first, first, *others]))
    assert again.problems == []
    assert again.counts["read again"] == 1
    assert named(judged(three, tmp_path, read_lines=lines_of([first, *others, "x"]))) == {
        "read, not published"
    }
