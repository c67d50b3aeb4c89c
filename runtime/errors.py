"""Errors of what every process needs: settings, Kafka, topics."""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.errors import TraplineError


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One wrong setting.

    Attributes:
        key: the key as its user wrote it: an option, an environment variable, a TOML key; empty where
            no single key is to blame.
        text: what is wrong and what would be right. Never holds a secret.
    """

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


class SettingsError(TraplineError):
    """The settings are wrong. Lists every problem, not the first alone.

    Attributes:
        problems: each wrong setting.
        exit_status: what a command ends with.
    """

    exit_status = 2

    def __init__(self, problems: Iterable[SettingProblem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        if len(lines) == 1:
            super().__init__(f"wrong setting: {lines[0]}")
        else:
            super().__init__("\n  ".join([f"{len(lines)} settings are wrong:", *lines]))


class KafkaUnavailableError(TraplineError):
    """Kafka could not be reached, or refused us; the text says which and what helps."""


class AccessDeniedError(TraplineError):
    """Kafka knows us and refuses what we asked for: a right (ACL) is missing, and no waiting mends that."""


class MissingTopicError(TraplineError):
    """A topic does not exist. `trapline topics create` makes it."""


class TopicCheckError(TraplineError):
    """Topics exist but with settings that would lose or refuse records; the text names each."""
