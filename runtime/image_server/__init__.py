"""The serving side of the image protocol: ports, their clients, and what is sent to each of them.

script.py says what can be done to a client, client.py does it, switchboard.py serves all clients of all
ports in one thread, servers.py has one port a source. What is sent, and when, is the business of whoever
uses it: the emulator, or `trapline serve`.
"""
