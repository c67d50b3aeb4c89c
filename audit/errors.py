"""What keeps an audit from being finished; what it finds is no error but a Finding."""

from schemas.errors import TraplineError


class AuditError(TraplineError):
    """The topics could not be read to their end; the text says where, and what helps."""


class HangingTransactionError(AuditError):
    """A transaction stays open, and hides what lies behind its begin; somebody has to end it."""
