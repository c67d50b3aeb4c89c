"""The order of the files: the long ones first, so that no worker is left with one of them at the end."""

from pathlib import Path

import pytest

_LONGEST_FIRST = (
    "grouper/test_exactly_once.py",
    "chaos/test_short_form.py",
    "connector/test_spool.py",
    "chaos/test_judge.py",
    "grouper/test_regroup.py",
    "security/test_end_to_end.py",
    "consumer/test_serve.py",
    "demo/test_demo.py",
    "connector/test_outages.py",
    "grouper/test_faults.py",
    "consumer/test_faults.py",
    "consumer/test_replay_ends.py",
    "audit/test_planted_defects.py",
    "pipeline/test_main_job.py",
    "grouper/test_unsure_ends.py",
    "consumer/test_replay.py",
    "audit/test_verify.py",
    "grouper/test_late_windows.py",
    "verbs/test_clear_words.py",
    "consumer/test_export.py",
    "consumer/test_tail.py",
    "verbs/test_dying_broker.py",
    "security/test_rights.py",
    "runtime/test_security.py",
    "consumer/test_history.py",
    "looking/test_stats_and_show.py",
)
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file, the long ones first; within a file nothing changes."""
    ranks = {_HERE / name: rank for rank, name in enumerate(_LONGEST_FIRST)}
    gone = [str(path) for path in ranks if not path.exists()]
    assert not gone, f"{__file__} names what is not there: {', '.join(gone)}"
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
