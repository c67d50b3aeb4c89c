"""`python -m tests.soak`: does anything grow while images go through? A table, and exit status 1 if so."""

import argparse
import sys
from pathlib import Path

from schemas.errors import TraplineError
from tests.soak.errors import SoakError
from tests.soak.flatness import Course, course, table
from tests.soak.run import Outcome, Plan, soak
from tests.soak.sampling import ALLOWED, UNITS, Sample

_WARM_UP = 0.25  # of the samples: imports, caches, and pools that fill
_BROKER_WARM_UP = 0.5  # a JVM takes of its heap what it may, and compiles what runs often


def main(arguments: list[str] | None = None) -> int:
    """Soak, and judge."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        minutes=options.minutes,
        sources=options.sources,
        size=options.size,
        rate=options.rate,
        spool=options.spool,
        sample_s=options.sample_s,
    )
    print(
        f"{plan.sources} x {plan.size} x {plan.size} float32, {plan.rate:g}/s, {plan.minutes:g} minutes, "
        f"spool {plan.spool}; logs and samples in {options.folder}",
        flush=True,
    )
    try:
        outcome = soak(plan, options.folder, lambda line: print(line, flush=True))
    except (SoakError, TraplineError) as error:
        print(f"the soak did not come to its end: {error}", file=sys.stderr)
        return 1
    courses = judged(outcome.samples)
    problems = [f"{each.name} grows" for each in courses if not each.flat] + problems_of(outcome)
    text = "\n".join((table(courses, UNITS), *_shown(outcome), *problems, "not flat" if problems else "flat"))
    (options.folder / "table.txt").write_text(text + "\n")
    print(text)
    return 1 if problems else 0


def judged(samples: tuple[Sample, ...]) -> list[Course]:
    """Every figure that has an allowance, in the order of the samples' figures."""
    courses = []
    for name in samples[0].figures:
        process, _, kind = name.rpartition(" ")
        allowance = ALLOWED.get(name) or ALLOWED.get(kind)
        if allowance is not None:
            warm_up = _BROKER_WARM_UP if process == "broker" else _WARM_UP
            rest = samples[int(len(samples) * warm_up) :]
            times, values = [each.at_s for each in rest], [each.figures[name] for each in rest]
            courses.append(course(name, times, values, allowance))
    return courses


def _shown(outcome: Outcome) -> list[str]:
    last = outcome.samples[-1].figures
    return [
        f"{outcome.sent} timestamps sent, {outcome.read} groups read, {outcome.complete} of them complete",
        f"Kafka's data at the end: {last['kafka data']:.1f} GiB; disk free: {last['disk free']:.0f} GiB",
        f"audit: {outcome.audited}",
    ]


def problems_of(outcome: Outcome) -> list[str]:
    """What is amiss beside growth: findings of the auditor, groups that were not read or lack something."""
    found = [f"finding: {line}" for line in outcome.findings]
    if not outcome.sent == outcome.read == outcome.complete:
        found.append("not every timestamp that was sent was read as a complete group")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sources", type=int, default=6)
    parser.add_argument("--size", type=int, default=1024, help="pixels of an image's side")
    parser.add_argument("--rate", type=float, default=1.0, help="timestamps a second")
    parser.add_argument("--spool", choices=("off", "overflow", "through"), default="through")
    parser.add_argument("--sample-s", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--folder", type=Path, default=Path("build/soak"), help="build/soak")
    return parser


if __name__ == "__main__":
    sys.exit(main())
