"""The workflow around the method, in rooms.

A room imports only those above it in this list, and sgan: code, errors, paths; storage; params;
data; tracking; parts; scores; report; experiments; execution; stages; commands and cli. Each room's
docstring says what lives there and what may not.
"""
