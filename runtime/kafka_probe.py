"""Whether Kafka answers at present, for /readyz."""

import threading
import time

from runtime.errors import KafkaUnavailableError
from runtime.kafka import admin_client, require_kafka
from runtime.settings import TraplineSettings

_MAX_AGE_S = 5.0  # an answer serves every scraper for so long
_TIMEOUT_S = 1.0  # below the time-out of a usual probe, which is answered with the reason then
_TRIES = 6  # of one client, in a row


class KafkaProbe:
    """Asks Kafka for its metadata, at most every few seconds. Safe to use from several threads.

    It asks by a client of its own: the clients of a service that has nothing to do at the moment learn
    neither that Kafka went nor that it is back.
    """

    def __init__(self, settings: TraplineSettings) -> None:
        """Prepare; nothing is asked yet."""
        self._settings = settings
        self._admin = admin_client(settings)
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._problem: str | None = None
        self._failures = 0  # in a row

    def problem(self) -> str | None:
        """Why Kafka can't be used at present; None while it answers."""
        with self._lock:
            if time.monotonic() - self._asked_s > _MAX_AGE_S:
                try:
                    require_kafka(self._admin, _TIMEOUT_S)
                except KafkaUnavailableError as error:
                    self._problem = str(error)
                    self._failures += 1
                    if self._failures % _TRIES == 0:
                        self._admin = admin_client(self._settings)  # it may not find back: runtime/contact.py
                else:
                    self._failures = 0
                    self._problem = None
                self._asked_s = time.monotonic()
            return self._problem
