"""A run goes on where it was cut off: what has passed is done, what has failed is done again, and kept."""

import json
import subprocess

import pytest

from tests.chaos.commit import commit_of
from tests.chaos.journal import Journal, OtherRunError
from tests.chaos.plan import Layout, Round
from tests.chaos.round import Outcome

RUN = {"seed": 1, "only": [], "nodes": None, "commit": "0123456789ab"}


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "run", RUN)
    yield journal
    journal.close()


def do(journal, number, *problems):
    folder = journal.begin(Round(number, Layout("plain"), ()))
    (folder / "trace").write_text(", ".join(problems))
    journal.end(Outcome(number, list(problems), {}, [], 1.0))


def test_what_has_passed_is_done(journal):
    assert not journal.has_passed(0)
    do(journal, 0)
    assert journal.has_passed(0)


def test_what_has_failed_is_done_again_and_kept(journal):
    do(journal, 3, "lost: 1")
    assert not journal.has_passed(3)
    do(journal, 3, "lost: 2")
    do(journal, 3)
    assert journal.has_passed(3)
    assert [folder.name for folder in journal.kept] == ["failed-0003-1", "failed-0003-2"]
    assert [(folder / "trace").read_text() for folder in journal.kept] == ["lost: 1", "lost: 2"]
    assert [outcome.problems for outcome in journal.outcomes()] == [[]]


def test_an_attempt_that_was_cut_off_is_thrown_away(journal):
    folder = journal.begin(Round(0, Layout("plain"), ()))
    (folder / "trace").touch()
    assert list(journal.begin(Round(0, Layout("plain"), ())).iterdir()) == [folder / "plan.json"]
    assert journal.kept == []


def test_what_other_code_did_is_not_counted(journal):
    assert json.loads((journal.folder / "run.json").read_text())["commit"] == RUN["commit"]
    with pytest.raises(OtherRunError, match="name another folder"):
        Journal(journal.folder, {**RUN, "commit": "ba9876543210"})
    Journal(journal.folder, RUN).close()


def test_the_commit_and_what_was_changed_since(tmp_path):
    assert commit_of(tmp_path) == "unknown"

    def git(*arguments):
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init")
    code = tmp_path / "code.py"
    code.write_text("1")
    git("add", ".")
    git("commit", "-m", "x")
    clean = commit_of(tmp_path)
    assert len(clean) == 12
    code.write_text("2")
    changed = commit_of(tmp_path)
    assert changed.startswith(f"{clean}-")
    code.write_text("3")
    assert commit_of(tmp_path) != changed
