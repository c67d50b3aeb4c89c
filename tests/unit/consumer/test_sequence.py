"""Steps of observation times and the gaps between them, in any order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer import sequence
from consumer.sequence import Gap, Sequence
from consumer.statistics import percentiles

SECOND = 1_000_000


def of(seconds, cadence_us=None):
    times = Sequence(cadence_us)
    for second in seconds:
        times.add(round(second * SECOND))
    return times


def test_an_even_run_has_no_gap():
    times = of(range(300))
    assert times.gaps() == (0, 0, ())
    assert times.cadence_us == SECOND


def test_gaps_are_named_and_counted():
    times = of([0, 1, 2, 5, 6, 7, 8, 20])
    assert times.gaps() == (2, 13, (Gap(2 * SECOND, 5 * SECOND, 2), Gap(8 * SECOND, 20 * SECOND, 11)))


def test_jitter_is_no_gap():
    assert of([0, 1.2, 1.9, 3.1, 4.0, 5.3, 6.0]).gaps()[0] == 0


def test_runs_that_overlap_in_the_log():
    live, played = range(1000, 1200), range(200)
    mixed = [second for pair in zip(live, played, strict=True) for second in pair]
    gaps, missing, listed = of(mixed).gaps()
    assert (gaps, missing, listed) == (1, 800, (Gap(199 * SECOND, 1000 * SECOND, 800),))


def test_a_cadence_that_is_said():
    assert of([0, 1, 2, 3], cadence_us=SECOND // 2).gaps()[:2] == (3, 3)


def test_few_times():
    assert of([]).gaps() == (0, 0, ())
    assert of([5]).gaps() == (0, 0, ())
    assert of([]).cadence_us is None


def test_memory_is_bounded_and_the_counts_stay(monkeypatch):
    monkeypatch.setattr(sequence, "MAX_STRETCHES", 10)
    times = of([10 * second for second in range(200)], cadence_us=SECOND)
    assert len(times._firsts) <= 10
    gaps, missing, listed = times.gaps()
    assert (gaps, missing, len(listed)) == (199, 199 * 9, 100)


@settings(max_examples=60)
@given(st.permutations(range(120)), st.sets(st.integers(1, 118), max_size=40))
def test_any_order_gives_the_same_gaps(order, absent):
    there = sorted(set(range(120)) - absent)
    shuffled = [second for second in order if second not in absent]
    assert of(shuffled, SECOND).gaps() == of(there, SECOND).gaps()
    assert of(there, SECOND).gaps()[1] == len(absent)


def test_percentiles():
    values = list(range(1, 101))
    assert percentiles(values, (0.5, 0.9, 0.99, 1.0)) == {0.5: 50, 0.9: 90, 0.99: 99, 1.0: 100}
    assert percentiles([7], (0.5, 1.0)) == {0.5: 7, 1.0: 7}
    assert percentiles([], (0.5,)) == {}
