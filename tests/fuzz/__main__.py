"""`python -m tests.fuzz`: fuzz targets under coverage, until a time is over or nothing new is found."""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from tests.fuzz.campaign import Run, fuzz
from tests.fuzz.targets import TARGETS

_NO_ENGINE = 2


def main(arguments: list[str] | None = None) -> int:
    """Fuzz; 0 where nothing was found, 1 where something was, 2 where there is no engine."""
    options = _parser().parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        print(
            "atheris is not installed: pip install 'trapline[fuzz]'. It has wheels for Linux on x86_64; "
            "the short run in tests/fuzz needs none",
            file=sys.stderr,
        )
        return _NO_ENGINE
    begin_s = time.monotonic()
    runs = fuzz(
        options.targets or list(TARGETS),
        options.folder,
        seconds=options.seconds,
        quiet_s=None if options.quiet_minutes is None else 60 * options.quiet_minutes,
        runs=options.runs,
        seed=options.seed,
    )
    _show(runs, time.monotonic() - begin_s)
    findings = [run for run in runs if run.found]
    for run in findings:
        print(f"\n{run.target}:\n" + "".join(run.lines[-40:]))
        print(
            f"The input is in {options.folder}/{run.target}-*; put it into tests/fuzz/corpus/{run.target}/."
        )
    return 1 if findings else 0


def _show(runs: list[Run], seconds: float) -> None:
    now_s = time.monotonic()
    print(f"{'target':<10} {'inputs':>12} {'coverage':>9} {'features':>9} {'last new':>9}  result")
    for run in runs:
        result = "finding" if run.found else "nothing found"
        print(
            f"{run.target:<10} {run.executions:>12,} {run.coverage:>9} {run.features:>9} "
            f"{now_s - run.grown_s:>7.0f} s  {result}"
        )
    print(f"{seconds:.0f} s of wall time, {len(runs)} targets side by side")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all")
    parser.add_argument("--seconds", type=float, help="end after this time")
    parser.add_argument("--quiet-minutes", type=float, help="end once no target has reached new code so long")
    parser.add_argument("--runs", type=int, help="inputs a target, at most")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the engine's randomness; 0 is another each time"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("build/fuzz"), help="for what was found on the way (build/fuzz)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
