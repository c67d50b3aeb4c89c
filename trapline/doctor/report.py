"""What the checks found, for people and for programs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from trapline.doctor.outcome import Result, Verdict


def lines(result: Result) -> Iterator[str]:
    """A line for the check, and two for each thing that is wrong with it."""
    outcome = result.outcome
    yield f"{outcome.verdict.value:<8}  {result.name:<16}  {outcome.summary}"
    for problem in outcome.problems:
        yield f"{'':<8}  {problem.verdict.value}: {problem.text}"
        yield f"{'':<8}    what to do: {problem.todo}"


def conclusion(results: Iterable[Result]) -> str:
    """The last line."""
    counts = Counter(result.outcome.verdict for result in results)
    words = {
        Verdict.OK: "ok",
        Verdict.WARNING: "with a warning",
        Verdict.FAIL: "failed",
        Verdict.NOT_DONE: "not done",
    }
    told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict])
    return f"{sum(counts.values())} checks: {told}"


def failed(results: Iterable[Result]) -> bool:
    """Whether anything has to be mended."""
    return any(result.outcome.verdict is Verdict.FAIL for result in results)


def as_json(results: Iterable[Result]) -> dict[str, Any]:
    """One object."""
    results = tuple(results)
    return {
        "ok": not failed(results),
        "checks": [
            {
                "check": result.name,
                "verdict": result.outcome.verdict.value,
                "found": result.outcome.summary,
                "problems": [
                    {"verdict": problem.verdict.value, "text": problem.text, "todo": problem.todo}
                    for problem in result.outcome.problems
                ],
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }
