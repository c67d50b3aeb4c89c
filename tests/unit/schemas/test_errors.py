import re

import pytest

from schemas import errors
from schemas.errors import FrameError, RejectReason, SchemaError, TraplineError

TREE = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, TraplineError) and value is not TraplineError
]


@pytest.mark.parametrize("error", TREE)
def test_every_error_is_a_value_error_below_the_root(error):
    assert issubclass(error, TraplineError)
    assert issubclass(error, ValueError)
    assert str(error("what was wrong")) == "what was wrong"


def test_the_docstring_shows_the_whole_tree():
    shown = re.findall(r"\b([A-Z]\w*Error)\b", errors.__doc__.split("::", 1)[1].split("\n\n")[1])
    assert set(shown) - {"ValueError"} == {error.__name__ for error in TREE} | {"TraplineError"}


def test_an_error_has_the_usual_reason_of_its_class_or_the_one_given():
    assert FrameError("x").reason is RejectReason.LENGTH_MISMATCH
    assert FrameError("x", reason=RejectReason.BAD_MAGIC).reason is RejectReason.BAD_MAGIC
    assert all(error("x").reason in RejectReason for error in TREE if issubclass(error, SchemaError))


def test_reasons_are_slugs():
    assert all(re.fullmatch(r"[a-z][a-z_]{2,30}", reason.value) for reason in RejectReason)
