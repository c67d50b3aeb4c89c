"""What the bytes mean: frames, windows, FITS, record headers, catalogue entries, topic layout.

Pure: no socket, no Kafka, no clock.
"""
