import pytest

from benchmarks.figures import (
    Figure,
    Target,
    Verdict,
    of_rounds,
    of_samples,
    percentile,
    pooled_ratio,
    ratios,
    slope,
)


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target(0.9), 0.9, Verdict.PASS),
        (Target(0.9), 0.8999, Verdict.SHORT),
        (Target(3.0, at_most=True), 3.0, Verdict.PASS),
        (Target(3.0, at_most=True), 3.0001, Verdict.SHORT),
        (None, 0.0, Verdict.SHOWN),
    ],
)
def test_a_target_is_met_or_missed(target, value, verdict):
    assert Figure("f", value, "unit", target).verdict is verdict


def test_a_figure_is_the_median_of_its_rounds_and_keeps_them():
    figure = of_rounds("f", [0.5, 9.0, 1.0], "x floor", Target(0.9))
    assert (figure.value, figure.rounds, figure.verdict) == (1.0, (0.5, 9.0, 1.0), Verdict.PASS)


def test_a_slow_round_is_slow_on_both_sides():
    # In the second round the machine had half its speed: the ratio does not see it, a ratio of medians would.
    assert ratios([90, 45, 90], [100, 50, 100]) == [0.9, 0.9, 0.9]


def test_every_round_has_its_floor():
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_percentiles():
    values = [float(value) for value in range(1, 102)]
    assert (percentile(values, 50), percentile(values, 99)) == (51.0, 100.0)


def test_a_tail_that_is_in_few_rounds_is_in_the_pooled_percentile():
    calm = [1.0] * 100
    ours = [calm, calm, calm, [1.0] * 90 + [9.0] * 10, [1.0] * 90 + [9.0] * 10]
    figure = pooled_ratio("f", ours, [[2.0] * 100] * 5, 99, target=Target(3.0, at_most=True))
    assert figure.value == 4.5
    assert figure.rounds == (0.5, 0.5, 0.5, 4.5, 4.5)  # whose median would have passed
    assert figure.verdict is Verdict.SHORT


def test_a_tail_without_a_floor_is_pooled_as_well():
    calm = [1.0] * 100
    rounds = [calm, calm, [1.0] * 90 + [9.0] * 10]
    figure = of_samples("f", rounds, 99, "ms", target=Target(5.0, at_most=True))
    assert (figure.value, list(figure.rounds), figure.verdict) == (9.0, [1.0, 1.0, 9.0], Verdict.SHORT)


def test_a_pooled_percentile_needs_no_rounds_of_the_same_length():
    ours = [[float(value) for value in range(1, 51)], [float(value) for value in range(51, 102)]]
    assert pooled_ratio("f", ours, [[1.0, 1.0], [1.0, 1.0, 1.0]], 99).value == 100.0


def test_a_slope_is_bytes_a_group():
    assert slope([(0, 100.0), (10, 2100.0), (20, 4100.0)]) == 200.0
