"""`make test-cluster`: the chart on a real control plane; exit status 0 where all is as it must be."""

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from schemas.errors import TraplineError
from tests.cluster.api import ApiError
from tests.cluster.carrying import carry
from tests.cluster.control_plane import ControlPlane, ControlPlaneError
from tests.cluster.release import HelmError
from tests.cluster.report import NO_CONTAINER, carried_text, variants_text
from tests.cluster.scenario import SCENARIOS
from tests.cluster.tools import ToolError, Tools, tools
from tests.cluster.variants import Outcome, run_variant, variants
from tests.cluster.volumes import make_classes, make_volumes

_VOLUMES = 24  # of each class: those of one variant are not used again by another


def main() -> int:
    """Run what was asked for, and show it."""
    options = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left then either
    try:
        found = tools(_say)
        shutil.rmtree(options.folder, ignore_errors=True)
        with ControlPlane(options.folder / "plane", found) as plane:
            ready = ", ".join(f"{name} in {seconds:.1f} s" for name, seconds in plane.ready_s.items())
            _say(f"the control plane is ready: {ready}. {NO_CONTAINER}")
            texts, problems = _run(plane, found, options)
    except (ToolError, ControlPlaneError, HelmError, ApiError, TraplineError, AssertionError) as error:
        print(f"the test did not come to its end: {error}", file=sys.stderr)
        return 1
    text = "\n\n".join((NO_CONTAINER, *texts, *problems, "FAILED" if problems else "passed"))
    (options.folder / "table.txt").write_text(text + "\n")
    _say("\n" + text)
    return 1 if problems else 0


def _run(plane: ControlPlane, found: Tools, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Tables, and what went wrong."""
    texts, problems = [], []
    make_classes(plane.api)
    if "variants" in options.only:
        outcomes = _variants(plane, found, options)
        texts.append(variants_text(outcomes))
        problems += [f"{each.variant}: {each.problem}" for each in outcomes if each.problem]
    wanted = tuple(each for each in SCENARIOS if each.name in options.only)
    if wanted:
        for each in carry(wanted, plane, found.helm, options.folder / "carrying", _say):
            texts.append(carried_text(each))
            problems += [f"{each.scenario.name}: {problem}" for problem in each.problems]
    return texts, problems


def _variants(plane: ControlPlane, found: Tools, options: argparse.Namespace) -> list[Outcome]:
    make_volumes(plane.api, options.folder / "volumes", _VOLUMES)
    for definition in found.definitions:
        plane.define(definition)
    outcomes = []
    for values in variants():
        if not options.variant or values.name.removesuffix("-values.yaml") in options.variant:
            outcomes.append(run_variant(values, plane, found.helm))
            _say(f"{outcomes[-1].variant}: {outcomes[-1].problem or 'passed'} in {outcomes[-1].took_s:.0f} s")
    return outcomes


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _arguments() -> argparse.Namespace:
    parts = ["variants", *(each.name for each in SCENARIOS)]
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--only", action="append", choices=parts, help="a part; without it, all")
    parser.add_argument("--variant", action="append", default=[], help="one of helm/trapline/ci; else all")
    parser.add_argument("--folder", type=Path, default=Path("build/cluster"), help="emptied first")
    options = parser.parse_args()
    options.only = options.only or parts
    options.folder = options.folder.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
