import pytest

from consumer.selection import PassedOver, Revisions, Selection, parse_require


@pytest.mark.parametrize(
    ("require", "images", "complete", "refusal"),
    [
        ("any", 1, False, None),
        ("all", 6, True, None),
        ("all", 5, False, PassedOver.INCOMPLETE),
        (4, 4, False, None),
        (4, 3, True, PassedOver.TOO_FEW),
    ],
)
def test_what_a_group_must_have(require, images, complete, refusal):
    assert Selection(require).refusal(images=images, complete=complete, revision=1) == refusal


def test_first_revisions_alone():
    first = Selection(revisions=Revisions.FIRST)
    assert first.refusal(images=3, complete=True, revision=1) is None
    assert first.refusal(images=3, complete=True, revision=2) is PassedOver.REVISION
    assert Selection() == first
    for revisions in (Revisions.LAST, Revisions.ALL):
        assert Selection(revisions=revisions).refusal(images=3, complete=True, revision=2) is None


@pytest.mark.parametrize(("text", "require"), [("all", "all"), ("any", "any"), ("3", 3), (3, 3)])
def test_require_as_people_write_it(text, require):
    assert parse_require(text) == require


@pytest.mark.parametrize("text", ["", "some", "0", "-1", "1.5", "²", 0, True])
def test_what_require_is_not(text):
    with pytest.raises(ValueError, match="say 'all', 'any'"):
        parse_require(text)
