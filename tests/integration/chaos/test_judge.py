"""The judge of chaos must fail where something is lost, doubled or torn: each is planted, and named."""

import json
from dataclasses import replace

import pytest

from schemas.digest import frame_digest
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


def judged(raw, folder, *, truth=None, read_lines=None, **flags):
    """What the judge says of the topics; by default with a truth and a reader that know all there is."""
    if truth is None:
        truth = [Frame(timestamp, source, digest) for (timestamp, source), digest in raw.sent.items()]
    return judge(
        raw.bootstrap_servers,
        raw.prefix,
        truth,
        lines_of(ids(raw)) if read_lines is None else read_lines,
        folder=folder,
        **{"may_lose_unread": False, "emulator_killed": False, **flags},
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
    more = [*truth, Frame(at(3), "sb0", frame_digest(b"sent"))]
    assert named(judged(three, tmp_path, truth=more)) == {"lost before raw"}
    assert judged(three, tmp_path, truth=more, may_lose_unread=True).problems == []
    assert named(judged(three, tmp_path, truth=truth[1:])) == {"never sent"}


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
