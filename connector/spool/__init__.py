"""The spool: what Kafka has not acknowledged, on disk, in order a source.

A source has a folder, and in it segments of two files each: NUMBER.frames, verbatim frames one after the
other as on the wire, and NUMBER.index, a line for each of them with what the wire does not say. A segment
is deleted once Kafka has acknowledged all that is in it; what is left after a kill is sent again.
"""
