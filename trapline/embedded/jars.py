"""The jars of Kafka: from the cache, from the machine's Maven repository, or from Maven Central.

A jar is used only if its SHA-256 is the one in jars.lock, checked at every start. Downloads go to a
folder beside the final one, which gets its name by one rename once it is whole: an interrupted download
goes on where it stopped, and a reader never sees half a set. A file lock lets one process download
while others wait for it.
"""

import fcntl
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

from trapline.embedded.errors import JarError
from trapline.embedded.jar_lock import JarLock, LockedJar
from trapline.embedded.maven import Maven
from trapline.embedded.progress import Progress

_DOWNLOADS_AT_ONCE = 4
_REPORT_INTERVAL_S = 0.2


def installed_jars(lock: JarLock, cache: Path, progress: Progress) -> tuple[Path, ...]:
    """The jars' paths in classpath order, each checked; downloads them the first time.

    Raises:
        JarError: a jar cannot be had, or is not the one of jars.lock.
    """
    folder = cache / lock.name
    if ":" in str(folder):
        raise JarError(
            f"Java takes the colon in {cache} for a separator; set TRAPLINE_CACHE_DIR to another folder"
        )
    if not folder.is_dir():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with _one_process(cache / "install.lock", progress):
                if not folder.is_dir():
                    _install(lock, folder, progress)
        except OSError as error:
            raise JarError(
                f"cannot keep Kafka's jars in {cache} ({error}); "
                "name a folder that can be written with TRAPLINE_CACHE_DIR"
            ) from error
    for jar in lock.jars:
        problem = _problem(jar, folder / jar.filename)
        if problem:
            raise JarError(f"{problem}; remove the folder {folder} and start again to download it anew")
    return tuple(folder / jar.filename for jar in lock.jars)


@contextmanager
def _one_process(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("Waiting for another process that is downloading Kafka's jars")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(lock: JarLock, folder: Path, progress: Progress) -> None:
    """Collect the jars beside `folder`, then give them its name."""
    partial = folder.with_name(folder.name + ".partial")
    whole = partial / "jars"
    whole.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in lock.jars if _problem(jar, whole / jar.filename)]
    progress.step(
        f"Downloading Apache Kafka {lock.kafka_version}: {len(missing)} jars, "
        f"{sum(jar.size_bytes for jar in missing) / 1e6:.0f} MB, once"
    )
    _collect(lock, missing, partial, progress)
    whole.replace(folder)
    shutil.rmtree(partial, ignore_errors=True)


def _collect(lock: JarLock, missing: list[LockedJar], partial: Path, progress: Progress) -> None:
    stop = threading.Event()
    maven = Maven(partial / "repository", stop)
    at_start = lock.total_bytes - sum(jar.size_bytes for jar in missing)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, "jars") as threads:
        pending: set[Future[None]] = {
            threads.submit(_fetch, jar, maven, partial / "jars" / jar.filename) for jar in missing
        }
        try:
            while pending:
                done, pending = wait(pending, _REPORT_INTERVAL_S, FIRST_COMPLETED)
                for future in done:
                    future.result()
                progress.downloaded(min(lock.total_bytes, at_start + maven.received_bytes), lock.total_bytes)
        finally:
            # On an error or Ctrl-C: nobody waits for what is left.
            stop.set()
            threads.shutdown(wait=True, cancel_futures=True)


def _fetch(jar: LockedJar, maven: Maven, target: Path) -> None:
    """One jar to `target`: a copy of the machine's own if that is the right one, else a download."""
    partial = target.with_suffix(".tmp")
    local = maven.local_copy(jar)
    if local is not None and _problem(jar, local) is None:
        shutil.copyfile(local, partial)
        maven.count(jar.size_bytes)
    else:
        downloaded = maven.download(jar)
        problem = _problem(jar, downloaded)
        if problem:
            downloaded.unlink(missing_ok=True)
            raise JarError(
                f"refused a download: {problem}. A proxy or mirror has changed it, or it was cut short; "
                "start again, and if it stays so, use another network"
            )
        downloaded.replace(partial)
    partial.replace(target)


def _problem(jar: LockedJar, path: Path) -> str | None:
    """What is wrong with the file, if anything."""
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    if found != jar.sha256:
        return f"{path} is not {jar.coordinates}: its SHA-256 is {found}, jars.lock says {jar.sha256}"
    return None
