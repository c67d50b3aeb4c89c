"""The lock file: which jars make the embedded Kafka, and what each must contain.

One line a jar, in classpath order: SHA-256, size in bytes, group:artifact:version. `relock` writes it.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files

from trapline.embedded.errors import JarError

KAFKA = ("org.apache.kafka", "kafka_2.13")
_LINE = re.compile(r"([0-9a-f]{64}) +([0-9]+) +([\w.-]+):([\w.-]+):([\w.-]+)")


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar: its Maven coordinates and what it must contain."""

    group_id: str
    artifact_id: str
    version: str
    size_bytes: int
    sha256: str

    @property
    def coordinates(self) -> str:
        """group:artifact:version, as Maven writes them."""
        return f"{self.group_id}:{self.artifact_id}:{self.version}"

    @property
    def filename(self) -> str:
        """The name that Maven gives the file."""
        return f"{self.artifact_id}-{self.version}.jar"


@dataclass(frozen=True)
class JarLock:
    """All jars, in classpath order."""

    jars: tuple[LockedJar, ...]

    @cached_property
    def kafka_version(self) -> str:
        """Of Apache Kafka."""
        for jar in self.jars:
            if (jar.group_id, jar.artifact_id) == KAFKA:
                return jar.version
        raise JarError(f"jars.lock has no line for {':'.join(KAFKA)}")

    @cached_property
    def total_bytes(self) -> int:
        """The size of all jars together."""
        return sum(jar.size_bytes for jar in self.jars)

    @cached_property
    def name(self) -> str:
        """A folder name that differs whenever a jar differs."""
        digest = sha256("".join(jar.sha256 for jar in self.jars).encode()).hexdigest()
        return f"kafka-{self.kafka_version}-{digest[:12]}"

    @classmethod
    def parse(cls, text: str) -> "JarLock":
        """The lock file's content; lines that begin with '#' are remarks.

        Raises:
            JarError: a line is not of the form above.
        """
        jars = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise JarError(
                    f"jars.lock line {number} is not 'SHA-256 SIZE group:artifact:version': {line}"
                )
            digest, size, group_id, artifact_id, version = match.groups()
            jars.append(LockedJar(group_id, artifact_id, version, int(size), digest))
        return cls(tuple(jars))

    def to_text(self) -> str:
        """The lock file's content, without remarks."""
        return "".join(f"{jar.sha256} {jar.size_bytes:>9} {jar.coordinates}\n" for jar in self.jars)


def packaged_lock() -> JarLock:
    """The lock file that came with this installation."""
    return JarLock.parse(files("trapline.embedded").joinpath("jars.lock").read_text(encoding="ascii"))
