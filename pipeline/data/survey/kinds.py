"""What a file is, by its name and, where that does not tell, by its first bytes."""

# .heic and .heif are not read: named here, they are told of like any other unreadable image.
IMAGE_SUFFIXES = tuple(
    ".png .jpg .jpeg .jfif .bmp .gif .webp .avif .tif .tiff .ppm .pgm .heic .heif .jpe .jif .pjpeg "
    ".pjp .jp2 .j2k .jpx .apng .dib .pbm .pnm .tga .pcx .sgi .ico .dds".split()
)
# Pictures that nothing here reads: they count as images that are left out.
OTHER_PICTURES = tuple(
    ".svg .psd .xcf .raw .cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .jxl .exr .hdr .dcm .nii .ai .eps "
    ".mp4 .avi .mov .mkv .webm".split()
)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_SUFFIXES = (".zip",)
UNREAD_ARCHIVES = (".7z", ".rar", ".tar.zst", ".tzst", ".tar.lz4", ".tar.z", ".zst", ".lz4")
_TEXT = frozenset(
    ".txt .md .rst .csv .tsv .json .jsonl .xml .yaml .yml .html .htm .pdf .doc .docx .py .ipynb "
    ".sh "
    ".npy .npz .mat .h5 .hdf5 .pkl .pickle .parquet .arrow .tar .gz .tgz .zip .bz2 .xz .7z .rar "
    ".zst "
    ".log .toml .ini .cfg .db .sqlite .lock .bib .tex .js .css .m .c .cpp .h .cls .names .data .pt "
    ".pth .onnx .safetensors .bin .idx .rec .lst .lmdb .mdb .tfrecord .svg .mp4 .avi .mov .bak "
    ".tmp "
    ".sha256 .md5 .sha1 .crc .part .crdownload .url .lnk .exe .dll .so".split()
)
_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  ",
)
LFS = b"version https://git-lfs.github.com/spec"
LFS_BYTES = 400  # a pointer is smaller
HEAD = 64
TAR_HEAD = 512


def suffix(name: str) -> str:
    """The last suffix of a path, in lower case, with its dot; "" where there is none."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def is_image_name(name: str) -> bool:
    """Whether the suffix is an image's."""
    return suffix(name) in IMAGE_SUFFIXES


def is_picture_name(name: str) -> bool:
    """Whether the suffix is that of a picture or film that nothing here reads."""
    return suffix(name) in OTHER_PICTURES


def is_any_picture_name(name: str) -> bool:
    """Whether the suffix is that of a picture, whether it is read here or not."""
    return is_image_name(name) or is_picture_name(name)


def may_be_image(name: str) -> bool:
    """Whether the suffix tells nothing, so that the content has to be asked."""
    return suffix(name) not in IMAGE_SUFFIXES + OTHER_PICTURES and suffix(name) not in _TEXT


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes are an image's."""
    riff = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    avif = head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis")
    return head.startswith(_MAGIC) or riff or avif


def is_zip(head: bytes) -> bool:
    """Whether the first bytes are a zip's."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"))


def is_tar(head: bytes) -> bool:
    """Whether the first `TAR_HEAD` bytes are a tar's, or those of a packed file."""
    packed = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
    return head[257:262] == b"ustar" or head.startswith(packed)


def is_page(head: bytes) -> bool:
    """Whether the first bytes are those of a page of the web."""
    return head.lstrip().lower().startswith((b"<!doctype html", b"<html"))


def is_archive_name(name: str) -> bool:
    """Whether the name is that of a tar or zip archive."""
    return name.lower().endswith(TAR_SUFFIXES + ZIP_SUFFIXES)
