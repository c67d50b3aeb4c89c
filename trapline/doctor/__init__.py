"""`trapline doctor`: one check after the other, each with what to do where it finds something.

It is here, and not in a room, because it needs several: sources are read as the connector reads them, and
the probe runs a grouper.
"""
