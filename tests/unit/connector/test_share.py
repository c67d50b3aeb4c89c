"""Sources shared out among connectors: every source is read, and a change moves as little as it can."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.share import Share, share_out

SOURCES = st.integers(1, 200)
SHARES = st.integers(1, 16)


@given(SOURCES, SHARES, st.integers(1, 3))
def test_every_source_is_read_by_as_many_connectors_as_there_are_copies(count, shares, copies):
    sources = [f"sb{number}" for number in range(count)]
    connectors = shares * copies
    read = Counter(
        name for number in range(connectors) for name in Share(number, connectors).of(sources, copies=copies)
    )
    assert read == dict.fromkeys(sources, copies)


@given(SOURCES, SHARES)
def test_a_share_more_takes_sources_and_moves_none_between_the_others(count, shares):
    before, after = share_out(count, shares), share_out(count, shares + 1)
    assert {new for old, new in zip(before, after, strict=True) if old != new} <= {shares}


@given(SOURCES, SHARES)
def test_a_source_more_moves_none(count, shares):
    assert share_out(count + 1, shares)[:-1] == share_out(count, shares)


@given(SOURCES, SHARES)
def test_shares_are_nearly_equal_and_none_is_empty(count, shares):
    loads = Counter(share_out(count, shares))
    sizes = [loads[share] for share in range(shares)]
    allowed = 1 if shares <= 4 else 2 if shares <= 10 else 3
    assert max(sizes) - min(sizes) <= allowed
    if count >= shares:
        assert min(sizes) > 0


def test_copies_have_neighbouring_numbers():
    """So that a scheduler that spreads pods over nodes one after the other parts the copies of a share."""
    sources = ["a", "b", "c", "d"]
    read = [Share(number, 4).of(sources, copies=2) for number in range(4)]
    assert read == [("a", "c"), ("a", "c"), ("b", "d"), ("b", "d")]


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "1/2/3", "a/2", "0/0", "0/12345"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="NUMBER/CONNECTORS"):
        Share.parse(text)


def test_a_share_reads_as_it_is_written():
    assert Share.parse(" 2/3 ") == Share(2, 3)
    assert str(Share(2, 3)) == "2/3"
