"""A regrouping process that is killed at a named step of a chosen transaction.

    python -m tests.support.crashing_regroup STEP NTH

Settings come from TRAPLINE_* as for `trapline regroup`; STEP and NTH as in tests.support.crashing_grouper.
The claims on the partitions are transactions, too.
"""

import sys

from grouper.regroup import Regrouping
from grouper.regroup_settings import RegroupSettings
from grouper.steps import Step
from runtime.logs import configure_logs
from runtime.settings import load_settings
from runtime.shutdown import Shutdown
from tests.support.crashing_grouper import Saboteur


def main() -> None:
    """Regroup until it is done, or sabotaged."""
    step, nth = sys.argv[1:]
    settings = load_settings(RegroupSettings, overrides={}, config_file=None, known=[RegroupSettings])
    configure_logs(settings.log_level, settings.log_format)
    saboteur = Saboteur(Step(step), int(nth), "kill", 0)
    with Shutdown() as shutdown:
        Regrouping(settings, on_step=saboteur).run(shutdown)


if __name__ == "__main__":
    main()
