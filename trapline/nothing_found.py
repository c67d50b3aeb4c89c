"""What a verb that reads history says where it found nothing to do."""

from consumer.catalogue import CatalogueRecord
from consumer.group_range import GroupRange
from schemas.timestamp import format_timestamp


def nothing_found(
    verb: str, prefix: str, where: GroupRange, newest: CatalogueRecord | None, gone: str
) -> str:
    """The words for a NothingFoundError.

    Args:
        verb: "export".
        prefix: of the topics.
        where: what was asked for.
        newest: the newest group there is; None: there is none.
        gone: what is to be said of groups whose images are gone; empty where there is none.
    """
    if newest is None:
        return f"{prefix} has no group yet (or is TRAPLINE_TOPIC_PREFIX another one?)"
    if gone:
        return f"nothing to {verb}: {gone}"
    present, _ = newest.presence()
    return (
        f"no group of {prefix} lies in this range ({where.options()}); its newest group is of "
        f"{format_timestamp(newest.timestamp_us)} and has the sources {','.join(present)}"
    )
