"""Sheets, zips and JSON of images."""

import base64
import io
import zipfile

import numpy as np
from PIL import Image

from pipeline.serving import answers
from pipeline.serving.questions import Samples, order

COLOUR = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_sheet_has_the_columns_and_the_scale_asked_for():
    question = Samples(label=0, count=3, columns=2, scale=2, gap=1)
    sheet = pixels(answers.sheet(COLOUR, question))
    assert sheet.shape == (33, 33, 4)
    assert np.array_equal(sheet[:16:2, :16:2, :3], COLOUR[0])
    assert sheet[20, 20, 3] == 0, "no fourth image"


def test_a_zip_is_the_same_bytes_for_a_seed(model):
    asked = order(Samples(label=4, seed=2**31 - 1), model, 2)
    images = model.drawer.images(asked.y, asked.z).numpy()
    first = answers.zipped(images, asked)
    assert first == answers.zipped(images, asked)
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert names == ["000-class4-seed2147483647.png", "001-class4-seed0.png"]


def test_json_tells_what_draws_each_again(model):
    asked = order(Samples(label=4, seed=9), model, 2)
    images = model.drawer.images(asked.y, asked.z).numpy()
    told = answers.told(images, asked)
    assert [(i["label"], i["class"], i["seed"]) for i in told["images"]] == [
        (4, "4", 9),
        (4, "4", 10),
    ]
    assert told["images"][1]["z"]["1"] == asked.z[1][1].tolist()
    assert np.array_equal(pixels(base64.b64decode(told["images"][1]["png"])), images[1][..., 0])
