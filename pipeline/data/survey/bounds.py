"""What a source may cost at most, whoever made it: members, nesting, ratio, rows, pixels, bytes."""

from pipeline.data.survey.names import shortened, shown
from pipeline.errors import UserError

MOST_IMAGES = 20_000_000  # of an archive or a table; labels of an array
MOST_FOLDERS = 100  # in one another
MOST_RATIO, RATIO_FROM = 200, 4 << 30  # bytes unpacked for each packed one, above so many
MOST_PIXELS = 120_000_000  # of one image, which may take four bytes each while it is read
MOST_IMAGE_BYTES = 1 << 30  # of an image's file
MOST_XZ_BYTES = 1 << 27  # of memory to unpack an .xz; `xz -9` asks for half of that
MOST_PADDING = 1 << 26  # of zeros behind a tar: it ends at the end of a record
MOST_LABEL_BYTES = 1 << 24  # of a label beside one image
MOST_SIDECAR_BYTES = 1 << 28  # of a table of labels beside the images


def require_shallow(path: str, where: str) -> None:
    """Raise UserError for a path of more than `MOST_FOLDERS` folders in one another."""
    depth = path.count("/")
    if depth > MOST_FOLDERS:
        raise UserError(
            f"{shown(where)}: {depth:,} folders in one another ({shortened(path)}); at most "
            f"{MOST_FOLDERS} are entered. Let data.source name the one that holds the data"
        )


def require_count(count: int, what: str, where: str) -> None:
    """Raise UserError for more than `MOST_IMAGES` of something."""
    if count > MOST_IMAGES:
        raise UserError(
            f"{where}: {count:,} {what}; at most {MOST_IMAGES:,} are read from one file. Split it"
        )


def most_unpacked(packed: int) -> int:
    """Bytes that so many packed ones may unpack to."""
    return max(RATIO_FROM, MOST_RATIO * packed)


def require_ratio(packed: int, unpacked: int, where: str) -> None:
    """Raise UserError where a packed file would unpack to more than it may."""
    if unpacked > most_unpacked(packed):
        raise UserError(
            f"{where}: {packed:,} bytes that unpack to {unpacked:,}, "
            f"{unpacked // max(1, packed):,} times as many (at most {MOST_RATIO} are unpacked): "
            "hostile or damaged. Unpack it yourself, and let data.source name the folder"
        )


def require_bytes(count: int, most: int, where: str) -> None:
    """Raise UserError for something of too many bytes."""
    if count > most:
        raise UserError(f"{where}: {count:,} bytes; at most {most:,} are read")
