"""What a check is, what it may find, and the order in which checks are made."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from confluent_kafka import KafkaException

from runtime.kafka import as_trapline_error
from schemas.errors import TraplineError


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # works, until something else goes wrong; or may be meant so
    FAIL = "fail"  # images are lost, refused or not published, or nothing works at all
    NOT_DONE = "not done"


BROKERS_LOGS: Final = "look into the logs of the brokers: what Kafka says is theirs"
_MEND: Final = "mend what this says, and run `trapline doctor` again"
_ORDER = (Verdict.OK, Verdict.NOT_DONE, Verdict.WARNING, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        verdict: WARNING or FAIL.
        text: what, and why it matters.
        todo: what helps.
    """

    verdict: Verdict
    text: str
    todo: str

    def __post_init__(self) -> None:
        """A finding that leaves people alone with it is none."""
        if not self.todo:
            raise ValueError(f"what to do about this? {self.text}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found.

    Attributes:
        summary: what was looked at, with figures.
        problems: what is wrong with it.
        done: False where it could not be looked at; the summary says why.
    """

    summary: str
    problems: tuple[Problem, ...] = ()
    done: bool = True

    @property
    def verdict(self) -> Verdict:
        """The worst of the problems."""
        own = Verdict.OK if self.done else Verdict.NOT_DONE
        return max((own, *(problem.verdict for problem in self.problems)), key=_ORDER.index)


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: in a word or two.
        look: does it. What it raises of ours, or of Kafka's, is a failure, and ends no other check.
        needs: names of checks without whose success this one says nothing.
    """

    name: str
    look: Callable[[], Outcome]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A check that was made, or passed over.

    Attributes:
        name: of the check.
        outcome: what it found.
        seconds: how long it took.
    """

    name: str
    outcome: Outcome
    seconds: float


def warning(text: str, todo: str) -> Problem:
    """A problem that stops nothing."""
    return Problem(Verdict.WARNING, text, todo)


def failure(text: str, todo: str) -> Problem:
    """A problem that has to be mended."""
    return Problem(Verdict.FAIL, text, todo)


def of_error(error: TraplineError | str, otherwise: str, verdict: Verdict = Verdict.FAIL) -> Problem:
    """A problem in an error's words: what, and behind '; ' what helps.

    Args:
        error: our error, or its words.
        otherwise: what helps where it does not say so.
        verdict: WARNING or FAIL.
    """
    what, _, todo = str(error).partition("; ")
    return Problem(verdict, what, todo or otherwise)


def not_done(why: str) -> Outcome:
    """A check that could not be made, without that being wrong."""
    return Outcome(why, done=False)


def examine(
    checks: Iterable[Check], still: Mapping[str, Callable[[], bool]] | None = None
) -> Iterator[Result]:
    """Make the checks in their order; those that need one that failed are named, and not made.

    Args:
        checks: in their order.
        still: by the name of a check that succeeded, whether that holds still; asked when one that needs
            it has failed. Else each of the others would wait in vain for a broker that died meanwhile.
    """
    useless: set[str] = set()
    for check in checks:
        began_s = time.monotonic()
        missing = [name for name in check.needs if name in useless]
        outcome = not_done(f"needs: {', '.join(missing)}") if missing else _look(check)
        if missing or outcome.verdict is Verdict.FAIL:
            useless.add(check.name)
        if not missing and outcome.verdict is Verdict.FAIL and still is not None:
            useless |= {name for name in check.needs if name in still and not still[name]()}
        yield Result(check.name, outcome, time.monotonic() - began_s)


def _look(check: Check) -> Outcome:
    try:
        return check.look()
    except KafkaException as error:
        return Outcome("Kafka refused, or went away", (of_error(as_trapline_error(error), BROKERS_LOGS),))
    except TraplineError as error:
        return Outcome("it could not be looked at", (of_error(error, _MEND),))
