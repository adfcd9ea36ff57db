"""Decides what names resolve to."""

import socket

real = socket.getaddrinfo


def resolve_all_names_to(addresses):
    """Makes all names resolve to these addresses. An address stays what it is."""
    entries = [(None, None, None, "", (address, 0)) for address in addresses]
    socket.getaddrinfo = lambda name, *rest, **more: real(name, *rest, **more) if name in addresses else entries
