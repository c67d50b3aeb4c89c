"""Jars that only the tests need, by Maven coordinates; used only with the SHA-256 of their lock file."""

import shutil
import threading
from hashlib import sha256
from pathlib import Path

from trapline.embedded.jar_lock import JarLock, LockedJar
from trapline.embedded.maven import Maven
from trapline.embedded.places import default_cache_dir


def locked_jars(lock_file: Path) -> list[Path]:
    """The jars of a lock file; from the cache, the machine's Maven repository, or Maven Central."""
    cache = default_cache_dir() / "interop"
    cache.mkdir(parents=True, exist_ok=True)
    maven = Maven(cache / "repository", threading.Event())
    return [_locked_jar(jar, cache, maven) for jar in JarLock.parse(lock_file.read_text("ascii")).jars]


def _locked_jar(jar: LockedJar, cache: Path, maven: Maven) -> Path:
    path = cache / f"{jar.sha256[:12]}-{jar.filename}"
    if not path.exists():
        partial = path.with_suffix(".tmp")
        shutil.copyfile(maven.local_copy(jar) or maven.download(jar), partial)
        _check(jar, partial)
        partial.replace(path)
    _check(jar, path)
    return path


def _check(jar: LockedJar, path: Path) -> None:
    found = sha256(path.read_bytes()).hexdigest()
    assert found == jar.sha256, f"{path} is not {jar.coordinates}: its SHA-256 is {found}"
