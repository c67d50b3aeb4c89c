"""What can go wrong in the emulator on purpose.

TraplineError
└── EmulatorError
    ├── FitsFolderError     the user's FITS files cannot be served
    └── MisbehaviourError   a fault that does not exist or makes no sense
"""

from schemas.errors import TraplineError


class EmulatorError(TraplineError):
    """The emulator cannot do what it was asked for."""


class FitsFolderError(EmulatorError):
    """The user's FITS files cannot be served."""


class MisbehaviourError(EmulatorError, ValueError):
    """A fault that does not exist or makes no sense."""
