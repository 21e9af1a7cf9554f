"""Strict stand-ins for the platforms, on real sockets; each also runs by itself (`python -m tests.servers.telegram`)."""
