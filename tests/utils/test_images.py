"""Pictures of every kind and every kind of damage, made here and read back."""

import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils import images
from utils.images import ImageInfo, ImageProblem

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of faults in metadata; pytest shows them all

ROOT = Path(__file__).parents[2]
LIMITS = {"max_pixels": 1_000_000, "min_side": 16}
NOT_A_PICTURE = (
    "not a picture of a kind that can be read "
    "(JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000, JPEG XL or camera raw)"
)
HEIGHT, WIDTH = 32, 48


def upright() -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 RGB; no two of its eight orientations are the same."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 5, columns * 4, rows + columns], axis=-1).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, form: str, **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with_bad_pixels(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"not what zlib wrote") + chunk(b"IEND", b"")


def gif_header(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF whose frame is to be cleared to colour 1: Pillow paints that when it opens the file."""
    clear = b"!\xf9\x04\x08\0\0\0\0"
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *screen, 0x80, 1, 0)
        + bytes(6)
        + clear
        + b","
        + struct.pack("<4HB", 0, 0, *frame, 0)
        + b"\x02\x02\x44\x01\0;"
    )


def webp_bomb(side: int) -> bytes:
    """A WebP animation that claims a square canvas."""
    frame = encoded(upright(), "WEBP")[12:]
    three = [struct.pack("<I", value)[:3] for value in (0, 0, WIDTH - 1, HEIGHT - 1, 0)]
    parts = [
        (b"VP8X", b"\x02\0\0\0" + struct.pack("<I", side - 1)[:3] * 2),
        (b"ANIM", bytes(6)),
        (b"ANMF", b"".join(three) + b"\0" + frame),
    ]
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bgr(rgb: np.ndarray) -> np.ndarray:
    return rgb[:, :, ::-1]


def probe(path: Path) -> ImageInfo:
    return images.probe(path, **LIMITS)


def load(source, **options) -> np.ndarray:
    return images.load(source, **(LIMITS | options))


def refused(source, **limits) -> str:
    """The reason load gives; probe must give the same for the same file."""
    with pytest.raises(ImageProblem) as problem:
        images.load(source, **(LIMITS | limits))
    return str(problem.value)


@pytest.mark.parametrize(
    ("form", "name", "options"),
    [
        ("JPEG", "JPEG", {"quality": 100, "subsampling": 0}),
        ("MPO", "JPEG", {"quality": 100, "subsampling": 0}),
        ("PNG", "PNG", {}),
        ("WEBP", "WebP", {"lossless": True}),
        ("TIFF", "TIFF", {}),
        ("TIFF", "TIFF", {"compression": "tiff_lzw"}),
        ("BMP", "BMP", {}),
    ],
)
def test_every_format_is_told_by_its_content(tmp_path, form, name, options):
    path = tmp_path / "a picture.txt"
    if form == "MPO":
        options = options | {"save_all": True, "append_images": [Image.new("RGB", (WIDTH, HEIGHT))]}
    path.write_bytes(encoded(upright(), form, **options))
    assert probe(path) == ImageInfo(name, HEIGHT, WIDTH)
    loaded = load(path)
    assert loaded.dtype == np.uint8 and loaded.flags.c_contiguous
    assert np.abs(loaded.astype(int) - bgr(upright())).max() <= (3 if name == "JPEG" else 0)
    assert np.array_equal(load(path.read_bytes()), loaded)
    assert np.array_equal(load(str(path)), loaded)


def stored(orientation: int) -> np.ndarray:
    """The upright picture as a camera stores it: where EXIF puts the first row and column (EXIF 2.32, 4.6.4)."""
    rgb = upright()
    turned = rgb.transpose(1, 0, 2)
    return {
        1: rgb,  # first row at the top, first column at the left
        2: rgb[:, ::-1],  # top, right
        3: rgb[::-1, ::-1],  # bottom, right
        4: rgb[::-1],  # bottom, left
        5: turned,  # left, top
        6: turned[::-1],  # right, top
        7: turned[::-1, ::-1],  # right, bottom
        8: turned[:, ::-1],  # left, bottom
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 3),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_exif_orientation_sets_the_picture_upright(tmp_path, orientation, form, options, tolerance):
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    path = tmp_path / "turned"
    path.write_bytes(encoded(np.ascontiguousarray(stored(orientation)), form, exif=exif, **options))
    info = probe(path)
    assert (info.height, info.width) == (HEIGHT, WIDTH)
    loaded = load(path)
    assert loaded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(loaded.astype(int) - bgr(upright())).max() <= tolerance


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0rubbish", b"Exif\0\0"])
def test_damaged_exif_data_leave_the_picture_as_it_is(tmp_path, exif):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(upright(), "JPEG", exif=exif))
    assert probe(path) == ImageInfo("JPEG", HEIGHT, WIDTH)
    assert load(path).shape == (HEIGHT, WIDTH, 3)


def test_an_orientation_that_does_not_exist_is_upright():
    exif = Image.Exif()
    exif[images.ORIENTATION] = 99
    assert np.array_equal(load(encoded(upright(), "PNG", exif=exif)), bgr(upright()))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(form):
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    loaded = load(encoded(grey, form))
    assert np.array_equal(loaded[:, :, 0], loaded[:, :, 2])
    assert np.abs(loaded[:, :, 1] - grey / 257).max() <= 1
    assert (loaded.min(), loaded.max()) == (0, 255)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_of_unknown_range_is_spread(dtype):
    grey = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 1000 - 50_000).astype(dtype)
    loaded = load(encoded(grey, "TIFF"))
    assert (loaded.min(), loaded.max()) == (0, 255)
    assert (np.diff(loaded[:, :, 0].ravel().astype(int)) >= 0).all()


def test_grey_that_is_no_number_is_black():
    assert load(encoded(np.full((HEIGHT, WIDTH), np.nan, np.float32), "TIFF")).max() == 0


@pytest.mark.parametrize(
    ("mode", "colour", "form", "options", "expected"),
    [
        ("1", 1, "PNG", {}, (255, 255, 255)),
        ("L", 90, "PNG", {}, (90, 90, 90)),
        ("L", 90, "GIF", {}, (90, 90, 90)),
        ("CMYK", (255, 0, 0, 0), "TIFF", {}, (255, 255, 0)),
        ("CMYK", (255, 0, 0, 0), "JPEG", {"quality": 100}, (255, 255, 0)),
        ("RGBA", (0, 0, 200, 0), "PNG", {}, (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), "PNG", {}, (0, 0, 255)),
        ("RGBA", (0, 0, 0, 51), "PNG", {}, (204, 204, 204)),
        ("RGBA", (0, 0, 0, 51), "WEBP", {"lossless": True}, (204, 204, 204)),
        ("RGBA", (0, 0, 0, 51), "TIFF", {}, (204, 204, 204)),
        ("LA", (0, 51), "PNG", {}, (204, 204, 204)),
        ("L", 90, "PNG", {"transparency": 90}, (255, 255, 255)),
        ("RGB", (1, 2, 3), "PNG", {"transparency": (1, 2, 3)}, (255, 255, 255)),
        ("RGBA", (0, 0, 200, 0), "GIF", {}, (255, 255, 255)),
    ],
)
def test_every_mode_becomes_bgr_over_white(mode, colour, form, options, expected):
    loaded = load(encoded(Image.new(mode, (WIDTH, HEIGHT), colour), form, **options))
    assert loaded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(loaded.astype(int) - expected).max() <= (2 if form == "JPEG" else 0)


def test_a_palette_with_a_transparent_colour():
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.paste(1, (0, 0, 1, 1))
    assert load(encoded(image, "PNG"))[:1, :2].tolist() == [[[60, 50, 40], [30, 20, 10]]]
    assert load(encoded(image, "PNG", transparency=1))[:1, :2].tolist() == [[[255, 255, 255], [30, 20, 10]]]


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_of_an_animation(tmp_path, form, options):
    first, second = Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0)), Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 255))
    path = tmp_path / "animation"
    path.write_bytes(encoded(first, form, save_all=True, append_images=[second], **options))
    assert probe(path).width == WIDTH
    assert (load(path) == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"\0", NOT_A_PICTURE),
        (bytes(5000), NOT_A_PICTURE),
        (b"Dear all, please find the picture attached.", NOT_A_PICTURE),
        (b"file,title\na.jpg,Allegory\n", NOT_A_PICTURE),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='90'/>", NOT_A_PICTURE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n", NOT_A_PICTURE),
        (b"P6 48 32 255\n" + bytes(48 * 32 * 3), NOT_A_PICTURE),
        (encoded(upright(), "ICO"), NOT_A_PICTURE),
        (b"%PDF-1.7\n%\xe2\xe3\n1 0 obj", NOT_A_PICTURE),
        (b"\x93NUMPY\x01\0v\0{}", NOT_A_PICTURE),
        (b"\xff\xd8\xff", "damaged or cut off"),
        (b"GIF89a", "damaged or cut off"),
        (b"II*\0" + bytes(50), "damaged or cut off"),
        (b"BM" + bytes(50), "damaged or cut off"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "damaged or cut off"),
        (encoded(upright(), "PNG")[:30], "damaged or cut off"),
        (encoded(Image.new("L", (1, 1)), "PNG"), "too small (1 x 1 pixels)"),
        (encoded(Image.new("L", (900, 15)), "BMP"), "too small (900 x 15 pixels)"),
        (
            encoded(Image.new("L", (1001, 1000)), "PNG"),
            "too large (1001 x 1000 pixels; the limit is 1000000 pixels, RETRIEVAL_MAX_PIXELS)",
        ),
        (
            png_with_bad_pixels(100_000, 100_000),
            "too large (100000 x 100000 pixels; the limit is 1000000 pixels, RETRIEVAL_MAX_PIXELS)",
        ),
        (
            gif_header((65535, 65535), (65535, 65535)),
            "too large (65535 x 65535 pixels; the limit is 1000000 pixels, RETRIEVAL_MAX_PIXELS)",
        ),
        (
            gif_header((20, 20), (65535, 60000)),
            "too large (65535 x 60000 pixels; the limit is 1000000 pixels, RETRIEVAL_MAX_PIXELS)",
        ),
        (webp_bomb(30_000), "too large (30000 x 30000 pixels; the limit is 1000000 pixels, RETRIEVAL_MAX_PIXELS)"),
    ],
)
def test_what_cannot_be_used_and_why(tmp_path, data, reason):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    assert refused(path) == reason
    assert refused(data) == reason
    with pytest.raises(ImageProblem) as problem:
        probe(path)
    assert str(problem.value) == reason


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("GIF", {}),
    ],
)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_truncated_file_is_refused(form, options, share):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    data = encoded(noise, form, **options)
    assert refused(data[: int(len(data) * share)]) == "damaged or cut off"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_bytes_changed_at_random_raise_nothing_else(tmp_path, form):
    data = encoded(upright(), form)
    random = np.random.default_rng(0)
    path = tmp_path / "changed"
    for _ in range(150):
        changed = np.frombuffer(data, np.uint8).copy()
        where = random.integers(0, min(len(data), 400), random.integers(1, 6))
        changed[where] = random.integers(0, 256, len(where))
        path.write_bytes(changed.tobytes())
        try:
            loaded = load(path)
        except ImageProblem:
            continue
        info = probe(path)
        assert loaded.shape == (info.height, info.width, 3)


def test_probe_does_not_decode(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_with_bad_pixels(40, 30))
    assert probe(path) == ImageInfo("PNG", 30, 40)
    assert refused(path) == "damaged or cut off"


def test_thirty_thousand_pixels_wide(tmp_path):
    path = tmp_path / "panorama.png"
    path.write_bytes(encoded(Image.new("L", (30_000, 20), 9), "PNG"))
    assert probe(path) == ImageInfo("PNG", 20, 30_000)
    loaded = load(path)
    assert (loaded == 9).all()
    assert images.fit(loaded, 800).shape == (1, 800, 3)
    assert images.stretch(loaded, 384, 512).shape == (384, 512, 3)


BOMBS = """
import resource, sys
from pathlib import Path
from utils import images

start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    for use in (images.probe, images.load):
        try:
            use(name, max_pixels=200_000_000, min_side=16)
        except images.ImageProblem as problem:
            print(problem)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) // 1024)
"""


def test_bombs_take_no_memory(tmp_path):
    bombs = [
        png_with_bad_pixels(30_000, 30_000),
        gif_header((20, 20), (40_000, 40_000)),
        webp_bomb(40_000),
        encoded(upright(), "BMP").replace(struct.pack("<ii", WIDTH, HEIGHT), struct.pack("<ii", 40_000, 40_000)),
    ]
    for number, data in enumerate(bombs):
        (tmp_path / str(number)).write_bytes(data)
    names = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([sys.executable, "-c", BOMBS, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    *reasons, megabytes = done.stdout.splitlines()
    assert len(reasons) == 2 * len(bombs)
    assert all(reason.startswith("too large") for reason in reasons)
    assert int(megabytes) < 100


def test_a_file_of_many_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "sparse.gif"
    with path.open("wb") as file:
        file.write(b"GIF89a")
        file.truncate(images.MAX_BYTES + 1)
    assert refused(path).startswith("too large (a file of 4294967297 bytes")


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == "not a regular file"
    assert refused(tmp_path) == "not a regular file"
    assert refused("/dev/zero") == "not a regular file"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))  # relative: the name of a socket must be short
        assert refused(tmp_path / "socket") == "not a regular file"


def test_a_missing_file_and_a_broken_link(tmp_path):
    assert refused(tmp_path / "none.jpg") == "cannot be read (No such file or directory)"
    (tmp_path / "link").symlink_to(tmp_path / "none.jpg")
    assert refused(tmp_path / "link") == "cannot be read (No such file or directory)"


@pytest.mark.parametrize("name", [b"two words.png", b"new\nline.png", b'"quoted"\'.png', b"caf\xe9 \xff.png"])
def test_names_of_any_bytes(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(encoded(upright(), "PNG"))
    assert probe(path) == ImageInfo("PNG", HEIGHT, WIDTH)
    assert np.array_equal(load(path), bgr(upright()))


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [(1, 100), (100, 100), (101, 200), (200, 200), (201, 400), (400, 400), (401, 800), (800, 800), (5000, 800)],
)
@pytest.mark.parametrize("lying", [True, False])
def test_a_jpeg_is_decoded_smaller_but_not_too_small(at_least, expected, lying):
    rows, columns = np.mgrid[:400, :800]
    picture = np.stack([rows // 2, columns // 4, rows * 0], axis=-1).astype(np.uint8)
    if not lying:
        picture = picture.transpose(1, 0, 2)
    loaded = load(encoded(np.ascontiguousarray(picture), "JPEG", quality=95), at_least=at_least)
    short = expected // 2
    assert loaded.shape == ((short, expected, 3) if lying else (expected, short, 3))
    whole = bgr(picture.reshape(loaded.shape[0], 800 // expected, loaded.shape[1], 800 // expected, 3).mean((1, 3)))
    assert np.abs(loaded - whole).mean() < 3


def test_reduced_decoding_keeps_the_orientation():
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    data = encoded(Image.new("RGB", (800, 400)), "JPEG", exif=exif)
    assert load(data, at_least=200).shape == (200, 100, 3)


def test_the_limit_holds_for_the_header_whatever_the_reduction():
    data = encoded(Image.new("RGB", (800, 400)), "JPEG")
    assert refused(data, max_pixels=319_999, at_least=100).startswith("too large (800 x 400 pixels")
    assert load(data, max_pixels=320_000, at_least=100).shape == (50, 100, 3)


def test_a_side_has_a_limit_of_its_own():
    data = encoded(Image.new("L", (100_001, 16)), "PNG")
    limits = {"max_pixels": 10_000_000}
    said = "too long (100001 x 16 pixels; the limit of a side is 100000 pixels, RETRIEVAL_MAX_SIDE)"
    assert refused(data, **limits) == said
    assert load(data, **limits, max_side=100_001).shape == (16, 100_001, 3)


def test_threads_see_the_same_pictures():
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, (40, 30 + number, 3), np.uint8) for number in range(60)]
    data = [encoded(picture, ("PNG", "BMP", "TIFF")[number % 3]) for number, picture in enumerate(pictures)]
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load, data))
    assert all(np.array_equal(image, bgr(picture)) for image, picture in zip(loaded, pictures, strict=True))


def test_fit_scales_down_and_never_up():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 200
    assert images.fit(image, 80) is image
    assert images.fit(image, 1000) is image
    half = images.fit(image, 40)
    assert half.shape == (20, 40, 3)
    assert (half[:, :20] == 0).all() and (half[:, 20:] == 200).all()
    assert images.fit(image.transpose(1, 0, 2), 40).shape == (40, 20, 3)
    assert images.fit(np.zeros((2000, 1, 3), np.uint8), 100).shape == (100, 1, 3)


def test_fit_averages():
    board = np.indices((40, 40)).sum(0) % 2 * 200
    assert (images.fit(np.repeat(board[:, :, None], 3, 2).astype(np.uint8), 20) == 100).all()


def test_stretch_gives_exactly_the_size_asked_for():
    board = np.repeat((np.indices((40, 40)).sum(0) % 2 * 200)[:, :, None], 3, 2).astype(np.uint8)
    assert (images.stretch(board, 20, 10) == 100).all()
    assert images.stretch(board, 7, 90).shape == (7, 90, 3)
    # One side shrinks and is averaged although the other one grows.
    assert (images.stretch(board, 80, 20) == 100).all()
    # Growing interpolates: between black and white lies grey.
    pair = np.zeros((1, 2, 3), np.uint8)
    pair[0, 1] = 200
    assert images.stretch(pair, 1, 4)[0, :, 0].tolist() == [0, 50, 150, 200]
