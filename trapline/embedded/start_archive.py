"""Java's archive of loaded classes (AOT cache): made once, each later start takes a third of the time.

Java 25 writes it when a run ends. That run is one of its own, on a folder that is thrown away: written
by the user's broker it would come only with its clean stop, and make that take seven seconds.
Without an archive everything works as before, so trouble with it is told and not raised.
"""

import fcntl
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from trapline.embedded.errors import EmbeddedKafkaError
from trapline.embedded.jvm import Jvm
from trapline.embedded.progress import Progress

_TIMEOUT_S = 120.0


def archive_options(jvm: Jvm, cache: Path, progress: Progress) -> tuple[str, ...]:
    """Options of the JVM that use the archive; makes it if it is not there.

    Args:
        jvm: with the jars; an archive fits this Java, these jars and these options alone.
        cache: folder that archives are kept in.
        progress: is told.
    """
    if not jvm.has_start_archive:
        return ()
    archive = cache / f"{jvm.jars[0].parent.name}-{_digest(jvm)}.aot"
    if not archive.exists():
        try:
            with (cache / "archive.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not archive.exists():
                    progress.step("Preparing faster starts, once (some 10 s)")
                    _make(jvm, archive, cache)
        except (EmbeddedKafkaError, OSError) as error:
            progress.step(f"Going on without the archive for faster starts: {error}")
            return ()
    return (f"-XX:AOTCache={archive}",)


def _make(jvm: Jvm, archive: Path, cache: Path) -> None:
    from trapline.embedded.kafka import EmbeddedKafka  # noqa: PLC0415  it uses this module

    folder = Path(tempfile.mkdtemp(prefix="archive-", dir=cache))
    try:
        made = folder / archive.name
        EmbeddedKafka(folder / "data").run_once(jvm, (f"-XX:AOTCacheOutput={made}",), _TIMEOUT_S)
        if not made.exists():
            raise EmbeddedKafkaError("Java did not write it")
        made.replace(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _digest(jvm: Jvm) -> str:
    """Of the very JVM and its options. The JVM's time of installation tells builds of one version apart."""
    library = jvm.java.stat()
    text = f"{jvm.java} {library.st_size} {library.st_mtime_ns} {jvm.java_version} {jvm.options}"
    return sha256(text.encode()).hexdigest()[:12]
