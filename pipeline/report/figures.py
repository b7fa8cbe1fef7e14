"""The sheets that lie in a folder, each with what to look for in it."""

from __future__ import annotations

from pathlib import Path

from pipeline.report.contents import Figure

# By file name: section, title, what is to be seen (for those who cannot), what to look for.
_TOLD = {
    "samples": (
        "Samples",
        "Samples",
        "Grid of samples, a row per class (fifty at most); every picture has its own noise.",
        "Is every row its class, and are no two pictures of a row alike?",
    ),
    "real": (
        "Samples",
        "Real images",
        "Grid of real test images, a row per class.",
        "What the samples should be as varied and as clean as.",
    ),
    "vary": (
        "What the noise does",
        "z_{i} varied",
        "Grid, a row per class. In a row only z_{i} differs; label and other noise are fixed.",
        "How much changes along a row is what z_{i} decides: if nothing does, z_{i} is ignored.",
    ),
    "interpolate": (
        "What the noise does",
        "z_{i} interpolated",
        "Grid, a row per class. Along a row z_{i} goes straight from one draw to another.",
        "The change should be gradual: a jump, or a blur half-way, is a gap in what was learned.",
    ),
    "reconstructions": (
        "Reconstructions",
        "Reconstructions from h_1",
        "Top row: real test images. Below: images from their h_1 with three draws of z_0.",
        "What stays the same in a column is what h_1 holds; what differs is left to z_0.",
    ),
    "nearest": (
        "Memorisation",
        "Nearest training images",
        "Top row: samples. Bottom row: the training image nearest to each in pixels.",
        "Alike is fine, equal is not: a pair without a difference is a training image learned by "
        "heart.",
    ),
}


def figures_in(folder: Path) -> list[Figure]:
    """The sheets that lie in a folder, in the order of the report, with what to look for."""
    names = {path.stem for path in folder.glob("*.png")}
    found = []
    for name in sorted(names, key=_place):
        study, noise = _study(name)
        if study in _TOLD:
            section, *texts = _TOLD[study]
            title, alt, caption = (text.format(i=noise) for text in texts)
            found.append(Figure(title, folder / f"{name}.png", alt, caption, section))
    return found


def _study(name: str) -> tuple[str, str]:
    """Study and level of the noise: ("vary", "1") of vary_z1, ("nearest", "") of nearest."""
    study, _, noise = name.partition("_z")
    return study, noise


def _place(name: str) -> tuple[int, int, int, str]:
    """Sections in order; in one of them the top level's noise first, its two studies together."""
    study, noise = _study(name)
    order = list(_TOLD)
    known = order.index(study) if study in order else len(order)
    sections = [section for section, *_ in _TOLD.values()]
    section = sections.index(_TOLD[study][0]) if study in _TOLD else len(order)
    return section, -int(noise) if noise.isdecimal() else 0, known, name
