"""What is read ahead is bounded, and reading goes on where it was held back."""

import time

import pytest

from tests.support.group_topics import seconds
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s, wait_until


def most_queued(stream, bound: int, settled) -> int:
    """The greatest number of groups queued, watched until the stream has settled."""
    seen = []

    def watch() -> bool:
        seen.append(stream._groups._order.count)
        return settled()

    wait_until(watch, "the stream to settle")
    assert max(seen) >= bound
    return max(seen)


@pytest.mark.parametrize(
    "bounds", [{"read_ahead_groups": 3}, {"read_ahead_bytes": 9 * 2 * 2880}], ids=["number", "bytes"]
)
def test_a_slow_user_has_so_much_read_ahead_and_no_more(settings, publisher, open_stream, bounds):
    publisher.run(30)
    stream = open_stream(settings.model_copy(update=bounds), start="beginning", max_groups=30)
    handed = [next(stream)]
    assert most_queued(stream, 3, lambda: stream._fetcher._pace.paused) == 3
    assert seconds([*handed, *stream]) == list(range(30))


def test_a_quick_user_causes_no_pause(settings, publisher, open_stream):
    """Pausing throws away what the client has fetched."""
    publisher.run(60)
    stream = open_stream(
        settings.model_copy(update={"read_ahead_groups": 2}), start="beginning", max_groups=60
    )
    handed = []
    for group in stream:
        assert not stream._fetcher._pace.paused
        handed.append(group)
        time.sleep(0.01)  # the work
    assert seconds(handed) == list(range(60))


@pytest.mark.parametrize("partitions", [3])
def test_a_merge_holds_at_most_twice_its_bounds_and_a_group_a_partition(settings, publisher, open_stream):
    """One partition shows nothing, so the others are read on."""
    for second in range(20):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    bounded = settings.model_copy(update={"read_ahead_groups": 4, "merge_wait_s": timeout_s(2)})
    stream = open_stream(bounded, start="beginning", merge="timestamp", max_groups=20)
    assert most_queued(stream, 4, lambda: stream._fetcher._pace.paused == {0, 1}) <= 2 * 4 + 3
    assert seconds(list(stream)) == list(range(20))
