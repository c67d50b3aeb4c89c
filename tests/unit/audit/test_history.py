import pytest

from audit.history import History, PastGroup, PastMember


def group(revision=1, *sources):
    members = {
        source: PastMember(source, number, bytes([number]) * 16, bytes([number + 1]) * 8)
        for number, source in enumerate(sources)
    }
    return PastGroup(revision, 77, members)


def test_what_was_put_comes_back():
    history = History(10)
    history.put(5, group(1, "a", "b"))
    history.put(6, group(2, "b", "c"))
    assert history.get(5) == group(1, "a", "b")
    assert history.get(6) == group(2, "b", "c")
    assert history.get(7) is None
    assert list(history.presence()) == [(5, ("a", "b")), (6, ("b", "c"))]


def test_pixels_that_were_not_looked_at_stay_unknown():
    history = History(10)
    member = PastMember("a", 3, bytes(16), None)
    history.put(5, PastGroup(1, 4, {"a": member}))
    assert history.get(5).members == {"a": member}


def test_the_oldest_are_forgotten_and_that_is_known():
    history = History(2)
    for timestamp_us in (5, 9, 7):
        history.put(timestamp_us, group(1, "a"))
    assert 5 not in history
    assert len(history) == 2
    assert history.forgotten(5)
    assert not history.forgotten(6)


@pytest.mark.parametrize("sources", [6, 16])
def test_a_window_takes_few_bytes(sources):
    history = History(10)
    history.put(5, group(1, *(f"sb{n}" for n in range(sources))))
    assert len(history._groups[5]) <= 40 * sources
