"""`trapline serve`: what Kafka holds, or what comes, played by image servers in the image protocol.

survey.py looks which groups are meant and from which sources, playlist.py says in which order they are
played, frames.py has their frames (raw_frames.py verbatim, rebuilt.py where raw has let go of them),
ahead.py reads them in a thread, player.py sends them when they are due, service.py puts all together.
"""
