"""Maven repositories, through jgo: pure Python, no `mvn` and no Java needed.

The machine's settings hold as they do for jgo: M2_REPO (else ~/.m2/repository) is looked into first, and
jgo's configuration file may name further repositories, or another one as `central`. Proxies and
certificates come from the environment, as for every client of `requests`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trapline.embedded.errors import JarError, MissingExtraError
from trapline.embedded.jar_lock import LockedJar

_TIMEOUT_S = 30
_TRIES = 3
_BACK_OFF_S = 1.0


class Maven:
    """Downloads jars by their coordinates; safe to use from several threads.

    Args:
        repository: a folder of our own in Maven's layout, where jgo puts what it downloads.
        stop: once set, downloads end soon with an error.

    Raises:
        MissingExtraError: jgo is not installed.
    """

    def __init__(self, repository: Path, stop: threading.Event) -> None:
        try:
            from jgo.config import GlobalSettings  # noqa: PLC0415  an extra
            from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
            from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError("jgo") from error
        # jgo warns of a SHA-1 that differs; our SHA-256 refuses it, with a sentence for people.
        logging.getLogger("jgo").setLevel(logging.ERROR)
        settings = GlobalSettings.load()
        self._stop = stop
        self._received_bytes = 0
        self._counting = threading.Lock()
        self._local = Path(settings.repo_cache)
        self.context: Any = MavenContext(
            resolver=PythonResolver(progress_callback=self._progress),
            repo_cache=repository,
            remote_repos={"central": MAVEN_CENTRAL_URL, **settings.repositories},
            timeout=_TIMEOUT_S,
        )

    @property
    def received_bytes(self) -> int:
        """Bytes of jars that came so far."""
        return self._received_bytes

    def count(self, n_bytes: int) -> None:
        """So many bytes of jars came by another way."""
        with self._counting:
            self._received_bytes += n_bytes

    def local_copy(self, jar: LockedJar) -> Path | None:
        """The jar in the machine's own Maven repository, unchecked, if it is there."""
        path = self._local.joinpath(*jar.group_id.split("."), jar.artifact_id, jar.version, jar.filename)
        return path if path.is_file() else None

    def download(self, jar: LockedJar) -> Path:
        """The jar from the first repository that has it; its content is not checked here.

        Raises:
            JarError: no repository has it, or none can be reached.
        """
        from requests import RequestException  # noqa: PLC0415  comes with jgo

        artifact = self.context.project(jar.group_id, jar.artifact_id).at_version(jar.version).artifact()
        for attempt in range(_TRIES):
            # What an earlier try left would be taken for the jar.
            artifact.cached_path.unlink(missing_ok=True)
            try:
                return Path(artifact.resolve())
            except (RequestException, RuntimeError) as error:
                self._raise_if_stopped()
                failure = error
                time.sleep(_BACK_OFF_S * attempt)
        raise JarError(
            f"cannot download {jar.coordinates}: {failure}. The first start fetches Kafka's jars by their "
            "Maven coordinates; connect the machine, set HTTPS_PROXY, or name a mirror as 'central' under "
            "[repositories] in jgo's configuration file. Later starts need no network"
        ) from failure

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise JarError("the download was interrupted")

    @contextmanager
    def _progress(self, _filename: str, _total_bytes: int) -> Iterator[Callable[[int], None]]:
        """The hook of jgo: called for each file, and with each piece of it."""

        def received(n_bytes: int) -> None:
            self._raise_if_stopped()
            self.count(n_bytes)

        yield received
