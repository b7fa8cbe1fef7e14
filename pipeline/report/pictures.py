"""Pictures as they stand inside a page."""

import base64
import io
from pathlib import Path

from pipeline.report.contents import Figure


def png(figure: Figure) -> bytes:
    """A figure's picture as the content of a PNG file."""
    if isinstance(figure.image, Path):
        return figure.image.read_bytes()
    buffer = io.BytesIO()
    figure.image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(figure: Figure) -> str:
    """The picture as an address that holds it: data:image/png;base64,…"""
    return f"data:image/png;base64,{base64.b64encode(png(figure)).decode()}"
