"""A reader as a user's program is one: takes groups as they come, in a consumer group, until it is ended.

Writes how many it took, and how many of them were complete, to the file it is given.
"""

import sys
from pathlib import Path

from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.settings import load_settings

GROUP_ID = "soak-reader"


def read(counts: Path) -> None:
    """Read for ever."""
    taken = complete = 0
    with GroupStream(load_settings(ConsumerSettings), group_id=GROUP_ID) as stream:
        for group in stream:
            taken += 1
            complete += group.complete
            _ = [image.array.mean() for image in group.images]  # looks at each, as a user would
            new = counts.with_suffix(".new")
            new.write_text(f"{taken} {complete}\n")
            new.replace(counts)


if __name__ == "__main__":
    read(Path(sys.argv[1]))
