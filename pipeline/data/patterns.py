"""Sources that name several files: brace ranges and globs, `train-{000..009}.tar`, `data/*.tar`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.paths import found_in_project

_SPECIAL = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 1_000_000


@dataclass(frozen=True)
class Pattern:
    """base: the folder or prefix before the first special character. expression: of the rest, with
    a group for each range; ranges: (first, last, digits where zeros lead). count: how many names
    the braces make, 0 where a glob is among them."""

    base: str
    expression: re.Pattern[str]
    ranges: tuple[tuple[int, int, int], ...]
    count: int

    def matches(self, path: str) -> bool:
        """Whether a path below `base` is meant."""
        match = self.expression.fullmatch(path)
        if match is None:
            return False
        for text, (first, last, digits) in zip(match.groups(), self.ranges, strict=True):
            if not first <= int(text) <= last or (
                len(text) != digits if digits else text != str(int(text))
            ):
                return False
        return True


def is_pattern(source: str | None) -> bool:
    """Whether a source names several files: it has braces or wildcards, and is no path itself."""
    if not source or source.startswith(("http://", "https://", "file://")):
        return False
    if _SPECIAL.search(source) is None:
        return False
    return source.startswith("s3://") or not local(source).exists()


def local(source: str) -> Path:
    """A path as it lies here, relative to the project."""
    return found_in_project(source)


def wanted(source: str | None) -> Callable[[str], bool] | None:
    """Which files below the base a local source means; None where it names one path. What a
    pattern names in S3 is fetched, and nothing else."""
    if source is None or source.startswith("s3://") or not is_pattern(source):
        return None
    return parse(source).matches


def parse(source: str) -> Pattern:
    """A source with braces or wildcards. Raises UserError for a range that makes no sense."""
    found = _SPECIAL.search(source)
    assert found is not None
    base = source[: found.start()].rpartition("/")[0]
    rest = source[len(base) + 1 :] if base or source.startswith("/") else source
    ranges: list[tuple[int, int, int]] = []
    count, at, made = 1, 0, ""
    for braces in _BRACES.finditer(rest):
        made += _glob(rest[at : braces.start()])
        at = braces.end()
        span = _RANGE.fullmatch(braces[1])
        if span:
            first, last = int(span[1]), int(span[2])
            if first > last:
                raise UserError(f"data.source: {source}: the range {braces[0]} is empty")
            leads = span[1].startswith("0") and len(span[1]) > 1
            ranges.append((first, last, len(span[1]) if leads else 0))
            made += r"(\d+)"
            count *= last - first + 1
        else:
            choices = braces[1].split(",")
            made += f"(?:{'|'.join(map(_glob, choices))})"
            count *= len(choices)
    made += _glob(rest[at:])
    plain = re.search(r"[*?\[]", rest) is None
    return Pattern(
        base or ("/" if source.startswith("/") else ""),
        re.compile(made),
        tuple(ranges),
        count if plain else 0,
    )


def _glob(text: str) -> str:
    """A glob as a regular expression: * within a name, ** over folders, ?, [abc]."""
    made, at = "", 0
    while at < len(text):
        if text.startswith("**/", at):
            made, at = made + "(?:.*/)?", at + 3
        elif text.startswith("**", at):
            made, at = made + ".*", at + 2
        elif text[at] == "[" and "]" in text[at + 2 :]:
            end = text.index("]", at + 2)
            inside = text[at + 1 : end].replace("\\", "\\\\")
            made += f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
            at = end + 1
        else:
            made += {"*": "[^/]*", "?": "[^/]"}.get(text[at], re.escape(text[at]))
            at += 1
    return made


def require_all(pattern: Pattern, found: Iterable[str], source: str) -> None:
    """Raise UserError where nothing matches, or fewer files than the braces name."""
    there = sum(1 for path in found if pattern.matches(path))
    if not there:
        raise UserError(
            f"data.source: nothing matches {source}; correct data.source in params.yaml"
        )
    if pattern.count and there < pattern.count <= _MOST:
        raise UserError(
            f"data.source: {source} names {pattern.count:,} files, of which {there:,} are there. "
            "Fetch the others, or name those that are there"
        )
