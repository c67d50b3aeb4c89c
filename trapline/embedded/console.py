"""A start's progress for people: a bar on a terminal, plain lines elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_PLAIN_STEPS = 4


class ConsoleProgress:
    """Tells of a start on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        """Args: console: where to write; None: standard error."""
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Bar | None = None
        self._told = 0

    def step(self, text: str) -> None:
        """A line."""
        self.close()
        self._console.print(text, markup=False)

    def downloaded(self, done_bytes: int, total_bytes: int) -> None:
        """Move the bar; or a line at each quarter."""
        if self._console.is_terminal:
            self._move_bar(done_bytes, total_bytes)
        elif done_bytes * _PLAIN_STEPS // total_bytes > self._told:
            self._told = done_bytes * _PLAIN_STEPS // total_bytes
            self._console.print(f"  {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB", markup=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _move_bar(self, done_bytes: int, total_bytes: int) -> None:
        if self._bar is None:
            columns = (TextColumn("  "), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=self._console)
            self._bar.add_task("", total=total_bytes)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done_bytes)
