"""Which class a person means."""

from collections.abc import Sequence

from pipeline.data.survey.names import normal
from pipeline.errors import UserError


def class_of(text: str, classes: Sequence[str]) -> int | None:
    """The label of a class by its name, or else by its number; None for neither.

    A name is compared in Unicode's composed form. The very name goes first, then the one name that
    differs in case only.

    Raises UserError where several names differ from `text` in case only.
    """
    for same in (normal, _caseless):
        found = [label for label, name in enumerate(classes) if same(name) == same(text)]
        if len(found) > 1:
            names = ", ".join(classes[label] for label in found)
            raise UserError(f"{text}: may be {names}; write it as one of them")
        if found:
            return found[0]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    return number if 0 <= number < len(classes) else None


def _caseless(text: str) -> str:
    return normal(normal(text).casefold())
