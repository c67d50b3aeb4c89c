from audit.gaps import Gap, cadence_us, gaps_by_source

SECOND = 1_000_000


def test_the_cadence_is_the_usual_step():
    assert cadence_us([0, SECOND, 3 * SECOND, 2 * SECOND, 9 * SECOND]) == SECOND
    assert cadence_us([5]) is None


def test_a_source_s_gaps_are_counted_in_cadences():
    presence = [(n * SECOND, ("a",) if n in (2, 3, 6) else ("a", "b")) for n in range(8)]
    found = gaps_by_source(presence)
    assert found["a"].gaps == 0
    assert (found["b"].images, found["b"].gaps, found["b"].missing) == (5, 2, 3)
    assert found["b"].listed == (Gap(SECOND, 4 * SECOND, 2), Gap(5 * SECOND, 7 * SECOND, 1))


def test_the_order_of_publication_does_not_matter():
    presence = [(n * SECOND, ("a",)) for n in (3, 0, 2, 1)]
    assert gaps_by_source(presence)["a"].gaps == 0
