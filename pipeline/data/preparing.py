"""What `prepare` does, without its tracking: survey, check against the nets, decode, write."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data import shard_writer, sources
from pipeline.data.dataset import Dataset, Provenance
from pipeline.data.images import ANY_SIDE
from pipeline.data.manifest import Manifest
from pipeline.data.survey.damage import brief_errors
from pipeline.data.survey.description import TEST, TRAIN, Description
from pipeline.errors import UserError
from pipeline.params.named_sets import NAMED
from sgan.config import ConfigError, ImageConfig

if TYPE_CHECKING:
    from pipeline.params.loading import Params
    from pipeline.params.settings import DataConfig

_SPLITS = 10  # pipeline.scores.labels.SPLITS


@dataclass(frozen=True)
class Prepared:
    """What was written, what it was made of, and where that came from."""

    manifest: Manifest
    dataset: Dataset
    description: Description
    provenance: Provenance


def prepare(
    params: "Params", folder: Path, source: str | None = None, told: Callable[[str], None] = print
) -> Prepared:
    """Write the shards and the manifest of the data that `params` name into `folder`.

    source: instead of data.source.
    told: hears what was found, a line at a time, before anything is decoded.
    Raises UserError; then nothing is written. What a later stage would refuse is refused here.
    """
    settings = replace(params.data, source=source) if source else params.data
    found: list[Description] = []

    def heard(description: Description) -> None:
        if found:  # another place of a named set
            found.clear()
        found.append(description)
        if settings.name not in NAMED:
            for line in description.lines():
                told(line)
        if description.classes is not None:
            require_samples(params, len(description.classes))
            for line in costs_of_few(description, settings.test_fraction, params):
                told(line)
            told_batches(params, _trained(description, settings), told)

    with brief_errors():
        dataset, provenance = sources.load(settings, heard, sides_taken(params))
        height, width, channels = dataset.train_images.shape[1:]
        require_samples(params, len(dataset.classes))
        image = params.image_config((channels, height, width), len(dataset.classes))
        params.stack_config(image)
    manifest = shard_writer.write(dataset, folder, settings, provenance)
    return Prepared(manifest, dataset, found[0], provenance)


def sides_taken(params: "Params") -> list[int]:
    """The sides, in pixels, of the images that the encoder's architecture takes; any where it takes
    none, of which the parameters' own check tells."""
    return [side for side in ANY_SIDE if _takes(params, side)] or list(ANY_SIDE)


def _takes(params: "Params", side: int) -> bool:
    for channels in (3, 1):
        try:
            params.encoder.check_image(ImageConfig(channels, side, side, 2, params.data.centre))
        except ConfigError:
            continue
        return True
    return False


def require_samples(params: "Params", classes: int) -> None:
    """Raise UserError where `evaluate` would draw fewer than two samples a class. A rare class may
    still get one alone, and is then left out of the diversity."""
    if params.evaluate.num_samples < 2 * classes:
        raise UserError(
            f"{params.shown}: evaluate.num_samples = {params.evaluate.num_samples}: must be >= "
            f"{2 * classes}, two of each of the {classes} classes"
        )


def told_batches(params: "Params", trained: int, told: Callable[[str], None]) -> None:
    """Tell of batches of more images than there are to train on, at which their stages stop; what
    is prepared stays right when they are lowered."""
    parts: dict[str, Any] = {"encoder": params.encoder}
    parts |= {f"levels.{i}": level for i, level in params.levels.items()}
    parts |= {"joint": params.joint} if params.joint.enabled else {}
    large = [
        f"{name}.batch_size = {part.batch_size}"
        for name, part in parts.items()
        if 0 < trained < part.batch_size
    ]
    if large:
        told(
            f"{', '.join(large)}: must be at most the {trained:,} training images, or training "
            "stops at once; lower it before you go on, or give more images"
        )


def _trained(description: Description, settings: "DataConfig") -> int:
    """Images that are trained on; 0 where only decoding tells."""
    counts = [split.counts for split in description.splits if split.role == TRAIN]
    if not counts or not all(counts):
        return 0
    trained = sum(map(sum, counts))
    if not description.held_out:
        trained -= sum(_held_out(description, settings.test_fraction))
    return min(trained, settings.max_train or trained)


def costs_of_few(description: Description, fraction: float, params: "Params") -> list[str]:
    """Which scores the held-out images are too few for, a line at most."""
    held = _held_out(description, fraction)
    if not held:
        return []
    lost = []
    if max(held) < 2:
        lost.append("the floors of FID within classes and of diversity")
    if sum(held) <= params.evaluate.neighbours:
        lost.append("the floors of precision, recall, density and coverage")
    if sum(held) < _SPLITS:
        lost.append("the ceiling of the inception-style score")
    if not lost and min(held) > 1:
        return []
    cost = f"evaluate cannot measure {', '.join(lost)}" if lost else "some classes have no floor"
    more = (
        "a test split of more images mends it"
        if description.held_out
        else "a larger data.test_fraction mends it, and later trains all anew"
    )
    return [
        f"few images are held out, {min(held)} to {max(held)} of each class, {sum(held):,} in all: "
        f"{cost}; {more}"
    ]


def _held_out(description: Description, fraction: float) -> list[int]:
    """Held-out images of each class, as `cut_test` cuts them; [] where only decoding tells."""
    role = TEST if description.held_out else TRAIN
    found = [split.counts for split in description.splits if split.role == role]
    if not found or not all(found):
        return []
    counts = [sum(one) for one in zip(*found, strict=True)]
    if role == TEST:
        return counts
    return [min(max(1, round(fraction * count)), max(0, count - 1)) for count in counts]
