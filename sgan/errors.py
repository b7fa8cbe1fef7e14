"""Errors that a caller may want to tell apart; light, so that a command line can name them."""


class WeightsError(ValueError):
    """A weights file that is missing, damaged, or of another kind."""


class DeviceError(ValueError):
    """A device that this machine does not have."""
