"""One rule for splits in all forms: a name is a split's only where its siblings make it one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.data.survey.description import LEFT, TEST, TRAIN
from pipeline.data.survey.names import listed
from pipeline.errors import UserError

SplitsSetting = Mapping[str, Sequence[str]] | None
EXAMPLE = "'data.splits={train: [train], test: [test]}'"


@dataclass(frozen=True)
class Group:
    """Files that lie together. name: of the folder, or what the files are called for; word: train,
    val, test, unlabelled or None; labelled: whether their classes are known."""

    name: str
    word: str | None
    labelled: bool
    images: int


Role = tuple[str, str]  # train, test or left out; and why


def decide(groups: Sequence[Group], setting: SplitsSetting, where: str) -> list[Role]:
    """What becomes of each group.

    setting: data.splits: the names that are trained on and held out; {} for none, so that all is
        trained on but what is cut off.
    Raises UserError where names contradict one another, naming the setting.
    """
    if setting:
        return _as_set(groups, setting, where)
    labelled = [group for group in groups if group.labelled]
    words = {group.word for group in labelled}
    lacking = [g for g in groups if g.word == "train" and not g.labelled]
    if not labelled or (lacking and "train" not in words):
        raise UserError(
            f"{where}: {listed(g.name or 'images' for g in lacking or groups)}: no labels, so no "
            "classes; docs/DATA.md says where labels are read from"
        )
    if setting is not None or len(words) == 1:
        return [_alone(group) for group in groups]
    train = [g for g in labelled if g.word == ("train" if "train" in words else None)]
    if not train:
        raise UserError(
            f"{where}: {listed(g.name for g in groups)} are names of splits, and none is that of a "
            f"training split. Say what each is: {EXAMPLE}"
        )
    test = next((word for word in ("test", "val") if word in words), None)
    if test is None:
        train = [g for g in labelled if g.word in ("train", None)]
    return [_role(group, train, test) for group in groups]


def _alone(group: Group) -> Role:
    if not group.labelled:
        return LEFT, "it has no labels"
    return TRAIN, "the only split" if group.word else "no name of a split"


def _role(group: Group, train: list[Group], test: str | None) -> Role:
    if group in train:
        return TRAIN, f"its name, beside {test}" if test else "no other split has labels"
    if not group.labelled or group.word == "unlabelled":
        return LEFT, "it has no labels"
    if group.word == test:
        return TEST, "its name"
    more = f"'data.splits={{train: [{train[0].name}, {group.name}], test: [{test}]}}' trains on it"
    return LEFT, f"{test} is held out; {more}"


def _as_set(
    groups: Sequence[Group], setting: Mapping[str, Sequence[str]], where: str
) -> list[Role]:
    roles: dict[str, str] = {}
    for role, names in setting.items():
        for name in names:
            found = matching(name, groups)
            if not found:
                there = listed(group.name for group in groups)
                raise UserError(f"{where}: data.splits names {name!r}; there are {there}")
            for group in found:
                if not group.labelled:
                    raise UserError(
                        f"{where}: data.splits names {name!r}, which has no labels; leave it out"
                    )
                roles[group.name] = role
    if TRAIN not in roles.values():
        raise UserError(f"{where}: data.splits names no split to train on: {EXAMPLE}")
    return [
        (roles[g.name], "data.splits") if g.name in roles else (LEFT, "data.splits leaves it out")
        for g in groups
    ]


def matching(name: str, groups: Sequence[Group]) -> list[Group]:
    """The groups that a name of data.splits means: by their own name, else by their word."""
    exact = [group for group in groups if group.name == name]
    return exact or [group for group in groups if group.word == name]
