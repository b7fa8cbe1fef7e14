"""Subcommands that are not stages: each module adds its own to the command line with `add`."""
