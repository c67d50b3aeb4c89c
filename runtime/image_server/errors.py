"""What can go wrong with ports."""

from schemas.errors import TraplineError


class PortError(TraplineError):
    """A port, or the file that ports are written to, cannot be had."""
