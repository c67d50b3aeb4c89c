"""One target under libFuzzer, through atheris: `python -m tests.fuzz.engine TARGET [libFuzzer's options]`.

A process of its own: libFuzzer takes over its signals, and ends it.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Fuzz one target until libFuzzer's options end it, or a finding does."""
    import atheris  # noqa: PLC0415  only here: it is not there for every platform

    target, *options = arguments
    with atheris.instrument_imports(include=["schemas"], enable_loader_override=False):
        # Imported so that libFuzzer sees which way each input takes through them.
        import schemas.time_systems  # noqa: F401, PLC0415  else imported by the first input that needs it
        from tests.fuzz.targets import run  # noqa: PLC0415

    atheris.Setup([sys.argv[0], *options], lambda data: run(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
