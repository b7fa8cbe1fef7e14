"""A look at a source and a few of its images, of every form."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from pipeline.data import inspecting, sources
from pipeline.data.inspecting import EACH, SIDE, look, look_closely
from pipeline.data.survey.tar_files import Sought
from pipeline.errors import UserError
from tests import people


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("wrapped-zip", ("cat", "dog")),
        ("parquet-class-names", ("cat", "dog")),
        ("shard-gz", ("0", "1")),
        ("npz-bytes-names", ("cat", "dog", "eel")),
        ("idx-gz-unpacked", ("0", "1")),
    ],
)
def test_images_of_each_class(tmp_path, settings, name, classes) -> None:
    (override, *_) = people.write(name, tmp_path / "data")
    source = override.removeprefix("data.source=")
    description, contact = look_closely(source, settings(source=source))
    assert contact.classes == classes
    assert contact.images.shape[:3] == (len(classes) * EACH, SIDE, SIDE)
    assert all(image.std() > 10 for image in contact.images)
    assert look(source, settings(source=source)).as_dict() == description.as_dict()


def test_a_class_with_few_images_has_blank_places(grow_class, settings) -> None:
    _, contact = look_closely(str(grow_class), settings(source=str(grow_class)))
    blank = [bool((image == 255).all()) for image in contact.images]
    assert blank == [False] * 6 + [True] * 2 + [False] * 6 + [True] * 2


@pytest.fixture
def grow_class(image_folder):
    return image_folder


def test_objects_of_s3_are_listed_and_not_fetched(monkeypatch, settings, image_folder) -> None:
    files = list(image_folder.rglob("*.png"))
    listed = [
        inspecting.s3.S3Object(f"pre/{p.relative_to(image_folder)}", p.stat().st_size, "x")
        for p in sorted(files)
    ]
    monkeypatch.setattr(inspecting.s3, "list_objects", lambda uri: listed)
    monkeypatch.delattr(inspecting.s3, "open_stream")
    monkeypatch.delattr(inspecting.s3, "client")
    found = look("s3://bucket/pre", settings())
    assert (found.place, found.classes, found.read) == ("s3", ("cat", "dog"), 12)
    assert np.sum(found.splits[0].counts) == 12


def tar(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar with these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pets(folder) -> dict[str, bytes]:
    """The files of a folder, by their paths in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize(
    ("name", "pack", "place"),
    [
        ("pets.zip", zipped, "zip"),
        ("pets.tar", tar, "tar"),
        ("pets.tgz", lambda members: tar(members, "w:gz"), "tar"),
        ("a-zip.tar", zipped, "zip"),
    ],
)
def test_one_archive_below_a_prefix_is_what_prepare_reads(
    objects, settings, image_folder, name, pack, place
) -> None:
    objects.update({f"pre/{name}": pack(pets(image_folder)), "pre/notes.txt": b"text"})
    found = look("s3://b/pre", settings())
    assert (found.form, found.place, found.classes) == ("folder", place, ("cat", "dog"))
    dataset, _ = sources.load(settings(source="s3://b/pre"))
    assert found.read == len(dataset.train_labels) + len(dataset.test_labels) == 12


def test_one_shard_below_a_prefix_is_described_where_it_lies(
    objects, settings, image_folder, own_cache
) -> None:
    members = {}
    for number, (path, content) in enumerate(pets(image_folder).items()):
        label = f'{{"label": "{path[:3]}"}}'
        members |= {f"{number}.png": content, f"{number}.json": label.encode()}
    objects["pre/a.tar.gz"] = tar(members, "w:gz")
    found = look("s3://b/pre", settings())
    assert (found.form, found.place, found.classes) == ("webdataset", "s3", ("cat", "dog"))
    assert list(own_cache.iterdir()) == []


def test_what_systems_left_in_a_prefix_is_no_image_and_no_class(
    objects, settings, image_folder
) -> None:
    objects.update({f"pre/{path}": content for path, content in pets(image_folder).items()})
    more = ("cat/._0.png", ".ipynb_checkpoints/0.png", ".ipynb_checkpoints/1.png")
    objects.update({f"pre/{path}": b"left" for path in more})
    found = look("s3://b/pre", settings())
    assert (found.classes, found.read, found.not_read) == (("cat", "dog"), 12, 3)
    with inspecting._opened("s3://b/pre", settings()) as fetched:
        prepared = fetched.description
    assert [(o.kind, o.count) for o in found.left_out] == [
        (o.kind, o.count) for o in prepared.left_out
    ]


def test_of_a_large_object_pieces_are_fetched_and_each_once(objects, settings) -> None:
    large = bytes(4 << 20)
    for shard in ("a", "b"):
        samples = {f"{n}.{e}": c for n in range(3) for e, c in (("png", large), ("cls", b"%d" % n))}
        objects[f"pre/{shard}.tar"] = tar(samples)
    found = look("s3://b/pre", settings())
    assert (found.read, found.classes) == (6, ("0", "1", "2"))
    for key, content in objects.items():
        pieces = [size for asked, size in objects.asked if asked == key]
        assert sum(pieces) <= len(content) / 2 and len(pieces) <= 7


def test_an_object_is_the_stream_that_it_would_be_here(objects) -> None:
    objects["a"] = content = np.random.default_rng(0).bytes((2 << 20) + 17)
    (entry,) = objects.list_objects("s3://b/a")
    pieces = inspecting._Pieces("b", entry)
    with io.BufferedReader(Sought(pieces.size, pieces.read)) as stream:
        assert stream.seek(-30, io.SEEK_END) == len(content) - 30
        assert stream.read() == content[-30:] and stream.read(1) == b""
        stream.seek((1 << 20) - 5)
        assert stream.read(10) == content[(1 << 20) - 5 : (1 << 20) + 5]
        assert stream.seek(0) == 0 and stream.read() == content
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)
    with io.BufferedReader(Sought(pieces.size, pieces.read)) as stream:  # opened again
        assert stream.read() == content
    assert sum(size for _, size in objects.asked) == len(content)


def test_an_object_that_is_read_through_is_asked_for_in_growing_pieces(objects) -> None:
    objects["a"] = content = bytes(20 << 20)
    (entry,) = objects.list_objects("s3://b/a")
    with io.BufferedReader(Sought(entry.size, inspecting._Pieces("b", entry).read)) as stream:
        assert stream.read() == content
    assert [size >> 20 for _, size in objects.asked] == [2, 4, 8, 6]


def unusable(kind: str, folder) -> str:
    """Make the folder one that `prepare` refuses; a word of how it says so."""
    cats = sorted((folder / "cat").iterdir())
    if kind == "one class":
        (folder / "cat").rename(folder.parent / "gone")
        return "only one class"
    for path in cats[1:]:
        path.unlink()
    return "class 'cat' has one image"


@pytest.mark.parametrize("kind", ["one class", "one image"])
def test_what_prepare_would_refuse_is_refused(objects, settings, image_folder, kind) -> None:
    said = unusable(kind, image_folder)
    objects.update({f"pre/{path}": content for path, content in pets(image_folder).items()})
    for source in (str(image_folder), "s3://b/pre"):
        for looked in (look, look_closely, lambda _, one: sources.load(one)):
            with pytest.raises(UserError, match=said):
                looked(source, settings(source=source))


def test_images_that_are_skipped_give_their_places_to_others(settings, image_folder) -> None:
    for number in range(6, 10):
        (image_folder / "cat" / f"{number}.png").write_bytes(
            (image_folder / "cat" / "5.png").read_bytes()
        )
    for name in ("cat/0.png", "dog/0.png"):
        (image_folder / name).write_bytes(b"broken")
    source = str(image_folder)
    with pytest.raises(UserError, match=r"cat/0\.png: cannot use this image"):
        look_closely(source, settings(source=source))
    _, contact = look_closely(source, settings(source=source, on_bad_image="skip"))
    blank = [bool((image == 255).all()) for image in contact.images]
    assert blank == [False] * 8 + [False] * 5 + [True] * 3
