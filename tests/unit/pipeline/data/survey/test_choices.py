"""The settings' protocols are those of the real settings."""

from pipeline.data.survey.choices import Choices, Settings
from pipeline.params.settings import DataConfig


def test_the_settings_of_data_are_choices() -> None:
    given: Settings = DataConfig(name="custom", source="x", classes=["a", "b"])
    choices: Choices = given
    assert (choices.classes, choices.splits) == (["a", "b"], None)
    assert (given.format, given.names_encoding) == ("auto", None)
