"""A run's folder: its schedule, what happened, and which rounds are done, so that it can go on later.

FOLDER/run.json             what the schedule is a function of, and the commit that it was run at
FOLDER/events.jsonl         everything that happened, with times
FOLDER/round-0007/          plan.json, truth, logs of each life, the auditor's report, result.json at the end
FOLDER/failed-0007-1/       the same, of an attempt that failed before it was done again
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.plan import Round
from tests.chaos.round import Outcome, Recovery

_RESULT = "result.json"


class OtherRunError(Exception):
    """The folder holds a run with another schedule, or of other code."""


class Journal:
    """The folder of one run.

    Args:
        folder: made if it does not exist.
        run: what the schedule is a function of, and the code; must be the same when a run goes on.

    Raises:
        OtherRunError: it is not.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / "run.json"
        if known.exists() and json.loads(known.read_text()) != run:
            raise OtherRunError(
                f"{folder} holds the run {known.read_text()}, not {json.dumps(run)}; name another folder"
            )
        known.write_text(json.dumps(run))
        self._events = (folder / "events.jsonl").open("a", encoding="utf-8", buffering=1)

    def tell(self, event: str, facts: dict[str, Any]) -> None:
        self._events.write(
            json.dumps({"at_s": round(time.time(), 3), "event": event, **facts}, default=sorted) + "\n"
        )

    def begin(self, plan: Round) -> Path:
        """A folder for this round; what an attempt that was cut off, or passed, left is thrown away."""
        folder = self._round(plan.number)
        outcome = self.outcome(plan.number)
        if outcome is not None and not outcome.passed:
            before = len(list(self.folder.glob(f"failed-{plan.number:04}-*")))
            folder.rename(self.folder / f"failed-{plan.number:04}-{before + 1}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "plan.json").write_text(json.dumps(asdict(plan), indent=1))
        self.tell("round", asdict(plan))
        return folder

    def end(self, outcome: Outcome) -> None:
        partial = self._round(outcome.number) / "result.part"
        partial.write_text(json.dumps(asdict(outcome), indent=1))
        partial.rename(partial.with_name(_RESULT))

    def outcome(self, number: int) -> Outcome | None:
        """Of a round that was completed."""
        path = self._round(number) / _RESULT
        return _outcome(path) if path.exists() else None

    def has_passed(self, number: int) -> bool:
        """Whether a round need not be done again."""
        outcome = self.outcome(number)
        return outcome is not None and outcome.passed

    @property
    def kept(self) -> list[Path]:
        """Folders of failures that were done again, in order."""
        return sorted(self.folder.glob("failed-*"))

    def outcomes(self) -> Iterator[Outcome]:
        yield from outcomes_in(self.folder)

    def close(self) -> None:
        self._events.close()

    def _round(self, number: int) -> Path:
        return self.folder / f"round-{number:04}"


def outcomes_in(folder: Path) -> list[Outcome]:
    """Of all rounds of a run that were completed, in order."""
    return [_outcome(path) for path in sorted(folder.glob(f"round-*/{_RESULT}"))]


def _outcome(path: Path) -> Outcome:
    facts = json.loads(path.read_text())
    return Outcome(**{**facts, "recoveries": [Recovery(**each) for each in facts["recoveries"]]})
