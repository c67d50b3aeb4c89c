"""Image servers that speak the AARTFAAC image protocol, for tests and demos.

service.py holds `Emulator`, to be started inside a process; frame_server.py holds `FrameServer`, a server
that follows a script. The way of a frame: sky.py and camera.py make an image, images.py (or fits_images.py)
an exposure of it, read_ahead.py fetches that in time, frame.py puts a timestamp on it, misbehaviour.py may
spoil it, broadcast.py queues it for the clients of the servers (runtime/image_server/), and ledger.py with
truth.py writes down what became of it.
"""
