"""What a part reads, as what travels to whoever trains it: its own inputs, and nothing else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pipeline.cluster.supply import Bundle, Supply, copied
from pipeline.data.manifest import FILE, Manifest
from pipeline.errors import UserError
from pipeline.parts.part import Identity, Part


def inputs_of(identity: Identity) -> tuple[str, ...]:
    """Names of the inputs that a part's recipe opens."""
    if identity.kind == "encoder":
        return ("data",)
    levels: tuple[str, ...] = ()
    if identity.joint is not None and identity.joint.init == "levels":
        levels = tuple(f"level{i}" for i in range(len(identity.config.levels)))
    return ("data", "encoder", "features", *levels)


def bundles(part: Part) -> dict[str, Bundle]:
    """By name, what the part reads where it lies on this machine.

    Of the data a level above 0 gets the manifest alone: it trains on features.
    Raises UserError where a file is missing or damaged.
    """
    upper = part.identity.level not in (None, 0)
    where = part.placement.inputs
    found = {"data": data_bundle(Path(where["data"]), () if upper else ("train",))}
    for name in inputs_of(part.identity)[1:]:
        path = Path(where[name])
        found[name] = Bundle(path, part.identity.inputs.get(name) or file_sha256(path))
    return found


def data_bundle(folder: Path, splits: Sequence[str]) -> Bundle:
    """Prepared data: the manifest and the shards of some splits. Raises UserError."""
    manifest = Manifest.load(folder)
    shards = [shard.shard for split in splits for shard in manifest.shards(split)]
    return Bundle(folder, file_sha256(folder / FILE), (FILE, *shards))


def file_bundle(path: Path) -> Bundle:
    """One file. Raises UserError where it is missing."""
    return Bundle(path, file_sha256(path))


def supplied(part: Part, supply: Supply) -> Part:
    """The part as a worker can open it, wherever it runs. Raises UserError as `Supply.send`."""
    own = bundles(part)
    supply.send(own.values())
    return part.placed(
        inputs={name: supply.address(bundle) for name, bundle in own.items()},
        objects=supply.objects(own.values()),
    )


def at_hand(part: Part, folder: Path) -> Part:
    """In a worker: the part with its weights as files, fetched into `folder` and checked.

    So are features that lie neither at a path nor in Ray's store. Raises UserError where the bytes
    are not those that were sent.
    """
    inputs = dict(part.placement.inputs)
    for name, address in inputs.items():
        away = "://" in address and name != "data"
        if away and not (name == "features" and address.startswith("object://")):
            inputs[name] = str(copied(address, folder))
    return part.placed(inputs=inputs)


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file. Raises UserError where it is missing."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run `dvc repro`, which makes it") from None
