"""A grouper process that stops dead, or stops breathing, at a named step of a chosen transaction.

    python -m tests.support.crashing_grouper STEP NTH ACTION [IMAGE]

Settings come from TRAPLINE_* as for `trapline grouper`. STEP is a `grouper.steps.Step`, NTH the
transaction with images to do it in (from 1), ACTION `kill` (SIGKILL), `stop` (SIGSTOP: a process that
hangs, a virtual machine that is paused) or `never`. IMAGE says after which image, for after_image.

For `committing`, a thread does it while the commit is under way.
"""

import os
import signal
import sys
import threading
import time

from grouper.service import GrouperService
from grouper.settings import GrouperSettings
from grouper.steps import Step
from runtime.health import Heartbeat
from runtime.logs import configure_logs
from runtime.settings import load_settings
from runtime.shutdown import Shutdown

_DELIVERY_S = 0.3  # long enough for images handed to the producer to reach the broker
_COMMIT_S = 0.001  # into a commit of about 10 ms


class Saboteur:
    """Counts transactions with images, and acts at the step it was told."""

    def __init__(self, step: Step, nth: int, action: str, image: int) -> None:
        self._step, self._nth, self._action, self._image = step, nth, action, image
        self._transactions = 0
        self._images = 0

    def __call__(self, step: Step, images: int) -> None:
        if step is Step.BEFORE_BEGIN:
            self._transactions += 1
        if step is Step.COMMITTED and self._transactions == self._nth:
            sys.stdout.write("the commit returned\n")
            sys.stdout.flush()
        if step is not self._step or self._transactions != self._nth or self._action == "never":
            return
        if step is Step.AFTER_IMAGE and images != self._image:
            return
        # The line is the proof that the fault took effect, and where.
        sys.stdout.write(
            f"acting: {self._action} at {step.value} of transaction {self._nth}, image {images}\n"
        )
        sys.stdout.flush()
        if step is Step.COMMITTING:
            threading.Timer(_COMMIT_S, self._act).start()
            return
        if step is Step.AFTER_IMAGE:
            time.sleep(_DELIVERY_S)
        self._act()

    def _act(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL if self._action == "kill" else signal.SIGSTOP)


def main() -> None:
    """Run the grouper until told to stop, or until it is sabotaged."""
    step, nth, action, *image = sys.argv[1:]
    settings = load_settings(GrouperSettings, overrides={}, config_file=None, known=[GrouperSettings])
    configure_logs(settings.log_level, settings.log_format)
    saboteur = Saboteur(Step(step), int(nth), action, int(image[0]) if image else 0)
    with Shutdown() as shutdown:
        GrouperService(settings, Heartbeat(60.0), on_step=saboteur).run(shutdown)


if __name__ == "__main__":
    main()
