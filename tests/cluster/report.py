"""What was done and what came of it, as text."""

from collections.abc import Sequence
from typing import Final

from tests.cluster.kubelet import Life
from tests.cluster.scenario import Carried
from tests.cluster.variants import STEPS, Outcome

NO_CONTAINER: Final = (
    "No container ran: etcd, API server, controllers and scheduler are Kubernetes' own; pods of the variants "
    "are only said to be ready by kwok; pods that carry images are processes of this machine."
)


def variants_text(outcomes: Sequence[Outcome]) -> str:
    """A line a variant."""
    widths = [max(len(step), 6) for step in STEPS]
    first = max(len("variant"), *(len(each.variant) for each in outcomes))
    head = "  ".join(step.ljust(width) for step, width in zip(STEPS, widths, strict=True))
    lines = [f"{'variant':<{first}}  {head}  seconds"]
    lines.append("-" * len(lines[0]))
    for each in outcomes:
        cells = [each.steps.get(step) or ("FAILED" if _failed(each, step) else "") for step in STEPS]
        row = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{each.variant:<{first}}  {row}  {each.took_s:7.1f}")
    return "\n".join(lines)


def _failed(outcome: Outcome, step: str) -> bool:
    return outcome.problem is not None and outcome.problem.startswith(step + ":")


def carried_text(carried: Carried) -> str:
    """The lives of the processes, the pauses, and what was counted."""
    lines = [f"{carried.scenario.name}: {carried.scenario.words}"]
    lines.append(f"  {'process':<26} {'ready after':>11} {'ran':>8} {'stop took':>10} {'status':>6}")
    lines += [_life(each) for each in carried.lives]
    for pause in carried.pauses:
        lines.append(f"  {pause.change}: {pause.took_s:.1f} s")
        lines += [
            f"    partition {partition}: longest time without a group {seconds:.1f} s "
            f"({pause.usual_s[partition]:.1f} s before)"
            for partition, seconds in pause.longest_s.items()
        ]
    lines += [f"  {what}: {count}" for what, count in carried.counts.items()]
    return "\n".join(lines)


def _life(life: Life) -> str:
    ready = f"{life.ready_s - life.started_s:.1f} s" if life.ready_s is not None else ""
    ran = f"{life.ended_s - life.started_s:.1f} s" if life.ended_s is not None else ""
    stop = (
        f"{life.ended_s - life.stop_s:.1f} s" if life.ended_s is not None and life.stop_s is not None else ""
    )
    return f"  {life.pod:<26} {ready:>11} {ran:>8} {stop:>10} {life.status!s:>6}"
