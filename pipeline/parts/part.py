"""A trained part of the stack (encoder, a level, joint) and the key of what it is made from."""

import ast
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["encoder", "level", "joint"]

_NETS = (
    "encoder.py",
    "architectures/__init__.py",
    "architectures/blocks.py",
    "architectures/mnist.py",
    "architectures/cifar10.py",
    "architectures/pyramid.py",
)
_LOOP = tuple(
    f"training/{name}.py"
    for name in ("loop", "batches", "order", "seeds", "schedule", "precision", "augment", "comm")
)
_GAN = ("level.py", "stack.py", "losses.py", "training/step.py", "training/adversarial.py")
TRAINING_CODE: dict[str, tuple[str, ...]] = {
    "encoder": (*_NETS, *_LOOP, "training/classifier.py"),
    "level": (*_NETS, *_LOOP, *_GAN, "training/ema.py"),
    "joint": (*_NETS, *_LOOP, *_GAN, "training/ema.py"),
}


@dataclass(frozen=True)
class Part:
    """One training: what fixes its result, and where its files lie.

    Attributes:
        name: `encoder`, `level0` …, `joint`.
        kind: which task trains it.
        stack: the StackConfig (`sgan.config.to_dict`) of the nets.
        settings: the part's own EncoderConfig, LevelConfig or JointConfig as a dict.
        level: i, for a level.
        inputs: SHA-256 by name of everything it is trained from.
        paths: absolute paths or URIs by name: `data` (shards), `encoder`, `features`, `levelI`.
        storage: URI of checkpoints and results.
        workers, cpus, gpus: data-parallel workers, and what Ray sets aside for each; gpus None
            shares what the cluster has among the parts.
        device: auto, cpu or cuda.
        checkpoint_seconds: between checkpoints.
        resident_bytes: image sets up to this size are held on the training device.
    """

    name: str
    kind: Kind
    stack: dict[str, Any]
    settings: dict[str, Any]
    inputs: dict[str, str]
    paths: dict[str, str]
    storage: str
    level: int | None = None
    workers: int = 1
    cpus: float = 1.0
    gpus: float | None = None
    device: str = "auto"
    checkpoint_seconds: float = 20.0
    resident_bytes: int = 2**31
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self._key())

    @property
    def folder(self) -> str:
        """Storage key prefix of this part's files: `<name>/<key>`."""
        return f"{self.name}/{self.key}"

    @property
    def total_images(self) -> int:
        """Images seen by the end of the training."""
        return int(self.settings["total_images"])

    def _key(self) -> str:
        """What decides the result: settings, inputs, code. Not where or on how much it runs.

        The settings of other levels do not count, so that a change to one level leaves the rest.
        """
        stack = dict(self.stack)
        if self.kind == "level":
            stack.pop("levels", None)
        stack["encoder"] = {k: stack["encoder"][k] for k in ("architecture", "cut", "width")}
        meaning = {
            "kind": self.kind,
            "level": self.level,
            "stack": stack,
            "settings": self.settings,
            "inputs": self.inputs,
            "code": code_version(self.kind),
        }
        text = json.dumps(meaning, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def code_version(kind: Kind) -> str:
    """SHA-256 (hex) of the training code of a kind of part: its syntax, without docstrings and
    comments, so that wording does not throw a trained part away."""
    digest = hashlib.sha256()
    for name in TRAINING_CODE[kind]:
        tree = ast.parse(files("sgan").joinpath(name).read_text(encoding="utf-8"))
        digest.update(ast.dump(_without_docstrings(tree)).encode())
    return digest.hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree
