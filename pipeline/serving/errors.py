"""What a request is refused with."""


class Refused(Exception):
    """A request that cannot be answered, with its status and one sentence that says why.

    Attributes:
        status: of HTTP, 4xx or 503.
        sentence: for a person: what, the value, what is allowed.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def shown(value: object, longest: int = 60) -> str:
    """A value of a request as it may stand in a sentence: ASCII, and not long."""
    text = ascii(value)
    return text if len(text) <= longest else f"{text[:longest]}…"
