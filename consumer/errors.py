"""What can go wrong between Kafka and a reader of groups.

    TraplineError                  (schemas.errors)
    ├── RangeError                 where to look was said wrongly, or in contradiction (also ValueError)
    ├── NothingFoundError          there is no group in the range asked for
    ├── ExportError                a file of an export cannot be written, or is somebody else's
    ├── DestinationError           a replay cannot go where it was told to (also ValueError)
    ├── PublishError               a topic did not take the groups of a replay
    │   └── UnsureError            ... or whether it did is not known
    └── StreamError                the stream of groups cannot go on
        ├── BrokerUnreachableError no broker answered in `broker_wait_s`
        ├── AuthenticationError    the broker refused who we are (SASL, TLS)
        ├── AccessError            the broker refused what we asked for (ACLs)
        ├── TopicMissingError      a topic is not there
        ├── StartError             the asked start position cannot be found
        ├── GapError               retention deleted records before they were read
        ├── ImagesGoneError        retention has deleted the images of a group asked for (also LookupError)
        └── FencedError            another process with the same static member id took over

The first two are also KafkaUnavailableError, AccessError is also AccessDeniedError, TopicMissingError is
also MissingTopicError, all of runtime.errors. A broker that goes away while a stream is read raises
nothing: the stream waits until it is back.
"""

from runtime.errors import AccessDeniedError, KafkaUnavailableError, MissingTopicError
from schemas.errors import TraplineError


class RangeError(TraplineError, ValueError):
    """Options, or arguments, that say where to look are wrong, or contradict each other.

    Attributes:
        exit_status: what a command ends with.
    """

    exit_status = 2


class NothingFoundError(TraplineError):
    """There is no group in the range asked for, or none whose images are still there.

    Attributes:
        exit_status: what a command ends with.
    """

    exit_status = 3


class ExportError(TraplineError):
    """A folder or a file of an export is not what an export can use; the text names it."""


class DestinationError(TraplineError, ValueError):
    """A replay was told to go where it cannot, or where it would do harm.

    Attributes:
        exit_status: what a command ends with.
    """

    exit_status = 2


class PublishError(TraplineError):
    """A topic did not take the groups of a replay; none of the last transaction's are in it."""


class UnsureError(PublishError):
    """Kafka did not say whether the last transaction of a replay was committed."""


class StreamError(TraplineError):
    """The stream of groups cannot go on; the message says why and what helps."""


class BrokerUnreachableError(StreamError, KafkaUnavailableError):
    """No Kafka broker answered within `broker_wait_s` of the stream's start."""


class AuthenticationError(StreamError, KafkaUnavailableError):
    """The broker refused our credentials, or its certificate did not convince us."""


class AccessError(StreamError, AccessDeniedError):
    """The broker knows us and does not let us read this topic or use this consumer group."""


class TopicMissingError(StreamError, MissingTopicError):
    """A topic of this prefix does not exist."""


class StartError(StreamError, ValueError):
    """The start position is not one this topic has."""


class ImagesGoneError(StreamError, LookupError):
    """The catalogue names this group; its images are not in Kafka any more."""


class FencedError(StreamError):
    """Another process took over this static member id (`group.instance.id`)."""


class GapError(StreamError):
    """Records were deleted by retention before they were read.

    The lost range is `first_lost` to `next_available - 1`, offsets of `topic` in `partition`. A stream
    with `on_gap="skip"` counts them and goes on at `next_available` instead of raising this.

    Attributes:
        topic: the groups topic.
        partition: its partition.
        first_lost: the first offset that was wanted and is gone.
        next_available: the oldest offset that is still there.
    """

    def __init__(self, topic: str, partition: int, first_lost: int, next_available: int) -> None:
        self.topic = topic
        self.partition = partition
        self.first_lost = first_lost
        self.next_available = next_available
        if next_available > first_lost:
            what = (
                f"offsets {first_lost} to {next_available - 1} of {topic} partition {partition} were deleted "
                f"by retention before they were read"
            )
        else:
            what = (
                f"offset {first_lost} of {topic} partition {partition} is past the end of the log: "
                f"the topic was made anew, or its newest records were lost with a broker"
            )
        super().__init__(
            f"{what}. To go on at the oldest record there is ({next_available}) and count what is lost, "
            f'say on_gap="skip" (TRAPLINE_ON_GAP=skip); to lose less, raise the retention of {topic}'
        )

    def __reduce__(self) -> tuple[type["GapError"], tuple[str, int, int, int]]:
        """Pickle by the facts, not by the sentence."""
        return GapError, (self.topic, self.partition, self.first_lost, self.next_available)
