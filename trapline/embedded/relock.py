"""For maintainers: write jars.lock for a version of Kafka.

    python -m trapline.embedded.relock 4.4.0

Resolves Kafka's own dependencies (runtime scope), adds Log4j's binding for SLF4J, which Kafka's
distribution has and its POM leaves out, downloads every jar and writes down what it got. Read the
difference before you commit it.
"""

import sys
import tempfile
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

from trapline.embedded.jar_lock import KAFKA, JarLock, LockedJar
from trapline.embedded.maven import Maven

LOCK_FILE = Path(__file__).with_name("jars.lock")
_LOG4J = "org.apache.logging.log4j"
_REMARK = """\
# The jars of the embedded Kafka in classpath order: SHA-256, bytes, coordinates.
# Written by: python -m trapline.embedded.relock {version}
"""


def relock(version: str) -> JarLock:
    """The lock for that version of Kafka, from the repositories this machine reaches."""
    with tempfile.TemporaryDirectory() as folder:
        maven = Maven(Path(folder), threading.Event())
        context = maven.context
        kafka = context.create_dependency(f"{':'.join(KAFKA)}:{version}")
        # Kafka alone: jgo would take another input's dependency management for Kafka's own and mix versions.
        inputs, transitive = context.resolver.resolve([kafka])
        needed = [*inputs, *(each for each in transitive if each.scope in ("compile", "runtime"))]
        artifacts = [each.artifact for each in needed]
        (log4j,) = {each.version for each in artifacts if each.artifactId == "log4j-core"}
        artifacts.append(context.project(_LOG4J, "log4j-slf4j-impl").at_version(log4j).artifact())
        return JarLock(tuple(_locked(artifact) for artifact in artifacts))


def _locked(artifact: Any) -> LockedJar:
    content = Path(artifact.resolve()).read_bytes()
    return LockedJar(
        artifact.groupId, artifact.artifactId, artifact.version, len(content), sha256(content).hexdigest()
    )


def main() -> None:
    """Write the lock file."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python -m trapline.embedded.relock KAFKA_VERSION")
    lock = relock(sys.argv[1])
    LOCK_FILE.write_text(_REMARK.format(version=sys.argv[1]) + lock.to_text(), encoding="ascii")
    sys.stdout.write(f"{LOCK_FILE}: {len(lock.jars)} jars, {lock.total_bytes / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
