"""Subcommands that are not stages: each module adds its own to the command line with `add`.

What may not live here: logic of its own that another room could use.
"""
