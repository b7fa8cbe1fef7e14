"""The settings of the workflow: their defaults, what cannot be, and what follows from them."""

from typing import get_args, get_type_hints

import pytest

from pipeline.data.formats import FORMATS
from pipeline.params.named_sets import NAMED
from pipeline.params.settings import DataConfig, EvaluateConfig, RuntimeConfig
from sgan.config import ConfigError


def test_storage_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RuntimeConfig().storage_uri() == ".runs"
    monkeypatch.setenv("SGAN_STORAGE", "s3://bucket/runs")
    assert RuntimeConfig().storage_uri() == "s3://bucket/runs"
    assert RuntimeConfig(storage="/elsewhere").storage_uri() == "/elsewhere"


def test_threads_that_are_not_named_have_the_default_of_their_kind() -> None:
    some = RuntimeConfig(threads={"level": 4})
    kinds = ("encoder", "level", "joint", "judge", "reference")
    assert [some.threads_of(kind) for kind in kinds] == [2, 4, 1, 2, 1]
    assert [RuntimeConfig().threads_of(kind) for kind in kinds] == [2, 1, 1, 2, 1]


def test_the_choices_are_those_of_the_data_layer() -> None:
    hints = get_type_hints(DataConfig)
    assert [DataConfig(name, source="/images").name for name in NAMED] == list(NAMED)
    assert get_args(hints["format"]) == tuple(FORMATS)


def test_a_published_set_has_its_shape_and_classes_and_a_custom_one_none_yet() -> None:
    assert (DataConfig("cifar10").shape, DataConfig("cifar10").num_classes) == ((3, 32, 32), 10)
    custom = DataConfig("custom", source="/images")
    assert (custom.shape, custom.num_classes) == (None, None)


@pytest.mark.parametrize(
    ("cls", "settings", "field"),
    [
        (DataConfig, {"name": "custom"}, "source"),
        (DataConfig, {"image_size": 32}, "image_size"),
        (DataConfig, {"test_fraction": 0.0}, "test_fraction"),
        (DataConfig, {"sha256": {"train_images": "g" * 64}}, "sha256.train_images"),
        (EvaluateConfig, {"seeds": ()}, "seeds"),
        (EvaluateConfig, {"seeds": (1, 2**31)}, "seeds"),
        (EvaluateConfig, {"num_samples": 100, "neighbours": 100}, "neighbours"),
        (EvaluateConfig, {"cas_epochs": 0.0}, "cas_epochs"),
        (RuntimeConfig, {"cpus_per_worker": 0.0}, "cpus_per_worker"),
        (RuntimeConfig, {"threads": {"level": 0}}, "threads"),
        (RuntimeConfig, {"threads": {"level0": 1}}, "threads"),
        (RuntimeConfig, {"object_limit": -1}, "object_limit"),
    ],
)
def test_what_cannot_be_names_its_field(cls: type, settings: dict, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cls(**settings)
    assert caught.value.field_name == field
