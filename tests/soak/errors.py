"""What ends a soak before its time."""


class SoakError(Exception):
    """The run could not be made, or went to its end no more; says what happened."""
