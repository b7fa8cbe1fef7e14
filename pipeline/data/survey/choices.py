"""The settings that decide what a survey reads."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.data.survey.splits import SplitsSetting


class Choices(Protocol):
    """The settings that decide what is read."""

    @property
    def splits(self) -> SplitsSetting: ...
    @property
    def classes(self) -> Sequence[str] | None: ...


class Settings(Choices, Protocol):
    """What decides how a source is read."""

    @property
    def format(self) -> str: ...
    @property
    def names_encoding(self) -> str | None: ...
