"""The running server: wire protocols, connections, rooms, fan-out, and the process that holds them.

Start reading at `transport.py` for one edit's way in (`upgrade.py` for the connection below it), at `app.py` for how the parts are joined.
"""
