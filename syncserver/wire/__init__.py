"""Wire codecs: bytes to values and back.

No I/O and no decisions. What a peer got wrong comes back as a value, never as an exception.
"""
