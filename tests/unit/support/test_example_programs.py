import pytest

from tests.interop.example_programs import chosen_languages


def test_all_languages_unless_some_are_named():
    assert chosen_languages(None) == ("java", "go", "node")
    assert chosen_languages("node java") == ("node", "java")


@pytest.mark.parametrize("text", ["", "  ", "go cobol"])
def test_a_choice_that_would_test_nothing_fails(text):
    with pytest.raises(ValueError, match="name some of java, go, node"):
        chosen_languages(text)
