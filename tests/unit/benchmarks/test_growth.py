import pytest

from benchmarks.figures import Verdict
from benchmarks.growth import growth
from benchmarks.processes import BenchmarkError, Sample

MB = 1_000_000


def sample(at_s, rss_bytes):
    return Sample(at_s, 0.0, rss_bytes, rss_bytes)


def test_growth_is_the_slope_of_memory_over_groups_where_the_run_is_steady():
    # Ten groups a second. Buffers fill in the first two seconds and are let go in the last two.
    progress = [(100.0 + tenth / 10, float(tenth)) for tenth in range(101)]
    samples = [
        sample(100.0 + second, 10 * MB + 5_000 * second if 2 <= second <= 8 else MB) for second in range(11)
    ]
    figure = growth("reader", 100, progress, samples)
    assert figure.name == "reader, growth over 100 small groups"
    assert figure.value == pytest.approx(500, rel=0.03)
    assert (figure.beside["MB at 1/5"], figure.beside["MB at 4/5"]) == (10.01, 10.04)
    assert figure.verdict is Verdict.PASS


def test_memory_that_grows_is_short():
    progress = [(float(second), float(second)) for second in range(11)]
    samples = [sample(float(second), 10 * MB + 2_000 * second) for second in range(11)]
    figure = growth("reader", 10, progress, samples)
    assert figure.value == pytest.approx(2_000)
    assert figure.verdict is Verdict.SHORT


@pytest.mark.parametrize("progress", [[], [(0.0, 5.0)], [(0.0, 5.0), (1.0, 5.0)], [(0.0, 0.0), (1.0, 10.0)]])
def test_a_run_that_was_not_looked_at_in_between_is_no_figure(progress):
    with pytest.raises(BenchmarkError, match="between a fifth and four fifths"):
        growth("reader", 10, progress, [sample(0.0, MB)])
