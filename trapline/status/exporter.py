"""Asks Kafka, has /metrics say what it answered, and outlives a Kafka that does not answer."""

from typing import Final

from confluent_kafka import KafkaException

from runtime.kafka import as_trapline_error
from runtime.logs import get_logger
from schemas.errors import TraplineError
from trapline.status import metrics
from trapline.status.settings import StatusSettings
from trapline.status.survey import Survey, survey

log = get_logger(__name__)

STUCK_AFTER_S: Final = 900.0
"""A survey of a hundred consumer groups, of which some have no coordinator, takes minutes."""


class Exporter:
    """Surveys one topic prefix, as often as it is told to."""

    def __init__(self, settings: StatusSettings, groups: int) -> None:
        """Prepare; nothing is asked yet.

        Args:
            settings: where Kafka is.
            groups: how many of the last groups, of each partition, to look at.
        """
        self._settings = settings
        self._groups = groups
        self._problem: str | None = "Kafka was not asked yet"
        self._told: frozenset[str] = frozenset()

    def not_ready(self) -> str | None:
        """Why the figures are not those of now; None where they are."""
        return self._problem

    def ask(self) -> Survey | None:
        """Ask once; None where Kafka did not answer, which is counted and no end.

        The figures of before then stay as they are, and `trapline_status_survey_time_seconds` tells their
        age.
        """
        try:
            found = survey(self._settings, self._groups)
        except (TraplineError, KafkaException) as error:
            cause = as_trapline_error(error) if isinstance(error, KafkaException) else error
            self._problem = str(cause)
            metrics.SURVEYS.labels("failed").inc()
            log.warning("Kafka could not be asked", cause=str(cause))
            return None
        self._problem = None
        metrics.show(found)
        for problem in sorted(set(found.problems) - self._told):
            log.warning("not looked at", cause=problem)
        self._told = frozenset(found.problems)
        return found
