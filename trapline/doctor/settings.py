"""The settings that `trapline doctor` looks at: those of the topics, of the connector and of readers."""

from collections.abc import Iterator

from connector.settings import ConnectorSettings
from consumer.settings import ConsumerSettings
from runtime.settings import CrossProblem
from runtime.topic_settings import TopicsSettings


class DoctorSettings(ConnectorSettings, TopicsSettings, ConsumerSettings):
    """What all of them can be told, so that one environment is judged as a whole."""

    def cross_problems(self) -> Iterator[CrossProblem]:
        """As the connector's; but a machine without sources can be examined, too, or one that is told of all.

        Where connectors share the sources out, each has memory for its own. Who examines all of them reads
        one frame of a few at a time.
        """
        for problem in super().cross_problems():
            if problem.fields != ("sources",) and problem.fields[0] != "reading_max_bytes":
                yield problem
