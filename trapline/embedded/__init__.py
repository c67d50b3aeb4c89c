"""The embedded Kafka: `trapline broker`, the demo and the tests run on it.

Read kafka.py first. A start goes: data_folder (ours alone, which ports) -> jars (jar_lock, maven) -> jvm
-> start_archive -> node_process (format, then process under supervisor.py), one a node -> readiness.
"""

from trapline.embedded.errors import EmbeddedKafkaError
from trapline.embedded.kafka import EmbeddedKafka

__all__ = ["EmbeddedKafka", "EmbeddedKafkaError"]
