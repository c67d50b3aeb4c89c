"""The order of the files: the long ones first, so that no worker is left with one of them at the end."""

from pathlib import Path

import pytest

_LONGEST_FIRST = (
    "chaos/test_short_form.py",
    "consumer/test_replay.py",
    "grouper/test_exactly_once.py",
    "chaos/test_judge.py",
    "connector/test_redundant.py",
    "connector/test_spool_kills.py",
    "grouper/test_regroup.py",
    "consumer/test_serve.py",
    "connector/test_spool.py",
    "pipeline/test_main_job.py",
    "demo/test_demo.py",
    "security/test_rights.py",
    "audit/test_planted_defects.py",
    "audit/test_verify.py",
    "grouper/test_scaling.py",
    "grouper/test_unsure_ends.py",
    "image/test_image_steps.py",
    "verbs/test_clear_words.py",
)
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file, the long ones first; within a file nothing changes."""
    ranks = {_HERE / name: rank for rank, name in enumerate(_LONGEST_FIRST)}
    gone = [str(path) for path in ranks if not path.exists()]
    assert not gone, f"{__file__} names what is not there: {', '.join(gone)}"
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
