from connector.seldom import Seldom


def test_the_first_line_is_due_then_one_an_interval_which_tells_how_many_were_left_out():
    lines = Seldom(5.0)
    assert lines.due(10.0) == 0
    assert [lines.due(10.0 + number) for number in range(5)] == [None] * 5
    assert lines.due(15.0) == 5
    assert lines.due(20.0) == 0
