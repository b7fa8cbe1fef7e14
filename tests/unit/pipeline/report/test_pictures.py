"""Pictures inside a page: files go in as they are, drawings keep their pixels."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.report.contents import ReportData
from pipeline.report.pictures import data_uri, png


def test_a_file_s_bytes_are_not_touched(data: ReportData) -> None:
    figure = data.figures[1]
    assert isinstance(figure.image, Path)
    assert png(figure) == figure.image.read_bytes()


def test_a_drawing_keeps_its_pixels(data: ReportData) -> None:
    figure = data.figures[0]
    kind, _, content = data_uri(figure).partition(",")
    assert kind == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(figure.image))
