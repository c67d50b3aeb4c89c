"""Errors of the connector. Those of settings, Kafka and topics are the runtime's."""

from schemas.errors import TraplineError


class ConnectorError(TraplineError):
    """The connector can't go on, or could not end as it should; the text says why and what helps."""


class FileSourceError(ConnectorError):
    """A file:// source has no file that can be read, or some of its files could not be read."""


class CaptureError(ConnectorError):
    """What came could not be recorded, or nothing came."""


class DeliveryError(ConnectorError):
    """Kafka refuses frames for a reason that no waiting mends."""


class SpoolError(ConnectorError):
    """The folder of the spool can't be used, or is another's."""


class UndeliveredError(ConnectorError):
    """The process ends while Kafka has not acknowledged all that was read."""
