"""The end of a node's logs: what to show when Kafka did not start."""

from pathlib import Path

_LINES = 12
_TAIL_BYTES = 64 * 1024


def last_words(node_folder: Path, since: float = 0.0) -> str:
    """The last lines of the JVM's output, and of Kafka's log those that tell of trouble, if any do.

    Args:
        node_folder: with jvm.log and kafka.log.
        since: seconds since 1970; a kafka.log that was not written since then is of an earlier run.
    """
    lines = _tail(node_folder / "jvm.log")[-_LINES:]
    log = node_folder / "kafka.log"
    if log.exists() and log.stat().st_mtime >= since:
        tail = _tail(log)
        trouble = [at for at, line in enumerate(tail) if " ERROR " in line or " FATAL " in line]
        # The first error is the cause, with a few lines of its trace; without one, simply the end.
        lines += tail[trouble[0] : trouble[0] + _LINES] if trouble else tail[-_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (nothing)"


def _tail(path: Path) -> list[str]:
    try:
        content = path.read_bytes()[-_TAIL_BYTES:]
    except OSError:
        return []
    return [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
