"""What was written to a module's log, however this process's logs are set up by then."""

from typing import Any


class Told:
    """In place of a logger.

    Attributes:
        warnings: topic and setting of each warning, in their order.
    """

    def __init__(self) -> None:
        self.warnings: list[tuple[Any, Any]] = []

    def warning(self, _event: str, **facts: Any) -> None:
        self.warnings.append((facts.get("topic"), facts.get("setting")))

    def info(self, _event: str, **_facts: Any) -> None:
        pass
