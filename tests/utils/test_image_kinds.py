"""Pictures as museums and telephones make them: every kind has the colours that it was made of.

The colours are computed by hand here, or converted by Pillow's LittleCMS where the product uses that of libvips.
"""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from utils import images
from utils.images import ImageProblem

pillow_heif.register_heif_opener()
ROOT = Path(__file__).parents[2]
LIMITS = {"max_pixels": 1_000_000, "min_side": 16}
HEIGHT, WIDTH = 32, 48
CLOSE = 2  # of 255


def picture() -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 RGB, smooth, from black to white, none of its eight orientations like another."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    light = (rows / (HEIGHT - 1) * 0.7 + columns / (WIDTH - 1) * 0.3)[:, :, None]
    warm = np.array([1.0, 0.8, 0.55]) * (1 - light) + light
    return np.rint(255 * light * warm).astype(np.uint8)


def grey() -> np.ndarray:
    return picture()[:, :, 1]


def tiff(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    options = {"photometric": "rgb" if values.ndim == 3 else "minisblack", "metadata": None} | options
    byteorder, bigtiff = options.pop("byteorder", "<"), options.pop("bigtiff", False)
    with tifffile.TiffWriter(file, byteorder=byteorder, bigtiff=bigtiff) as writer:
        writer.write(values, **options)
    return file.getvalue()


def encoded(image: Image.Image | np.ndarray, form: str, **options) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def load(data: bytes | Path, **options) -> np.ndarray:
    """As RGB."""
    return images.load(data, **(LIMITS | options))[:, :, ::-1]


def refused(data: bytes, **limits) -> str:
    with pytest.raises(ImageProblem) as problem:
        load(data, **limits)
    return str(problem.value)


def same(loaded: np.ndarray, expected: np.ndarray, tolerance: float = CLOSE) -> None:
    expected = np.repeat(expected[:, :, None], 3, 2) if expected.ndim == 2 else expected
    assert loaded.shape == expected.shape
    assert np.abs(loaded.astype(int) - expected.astype(int)).max() <= tolerance


def sixteen(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint16) * 257


def curved(profile_gamma: float, primaries: str) -> bytes:
    """An ICC profile, version 2, of a gamma and the primaries of a known space (D50, as profiles hold them)."""
    columns = {
        "adobe": [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)],
        "prophoto": [(0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)],
        "p3": [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)],
    }.get(primaries)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(profile_gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)
    name = b"made here\0"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(80), b"wtpt": white}
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0"
    if columns:
        tags |= {
            key: b"XYZ " + bytes(4) + fixed(*xyz) for key, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        }
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    else:
        tags[b"kTRC"] = curve
    return profile_of(b"mntr", b"RGB " if columns else b"GRAY", b"XYZ ", tags)


def profile_of(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2, of its parts (ICC.1:2001-04, 6)."""
    table, body, offset = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for key, data in tags.items():
        data += bytes(-len(data) % 4)
        table += key + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", offset + len(body), bytes(4), 0x02100000, kind, space, connection)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249) + bytes(48)
    return header[:128] + table + body


def fixed(*numbers: float) -> bytes:
    """Numbers as profiles hold them, s15Fixed16."""
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def darkening() -> bytes:
    """A profile of Lab whose lightness is half of what the numbers say, by a table of 16 bits (mft2)."""
    corners = np.array([(lightness, a, b) for lightness in (0, 0.5) for a in (0, 1) for b in (0, 1)])
    ramps = struct.pack(">6H", 0, 65535, 0, 65535, 0, 65535)
    table = b"mft2" + bytes(4) + bytes([3, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">2H", 2, 2)
    table += ramps + np.rint(corners * 65535).astype(">u2").tobytes() + ramps
    name = b"darker\0"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(80), b"A2B0": table}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249), b"cprt": b"text" + bytes(4) + b"none\0"}
    return profile_of(b"abst", b"Lab ", b"Lab ", tags)


def in_profile(rgb: np.ndarray, profile: bytes) -> np.ndarray:
    """sRGB numbers as the numbers of another profile, by Pillow's own colour management."""
    mode = "RGB" if rgb.ndim == 3 else "L"
    image = ImageCms.profileToProfile(
        Image.fromarray(rgb),
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode=mode,
    )
    return np.asarray(image)


# TIFF

LAYOUTS = {
    "planar": lambda: tiff(np.ascontiguousarray(picture().transpose(2, 0, 1)), planarconfig="separate"),
    "planar, 16 bits": lambda: tiff(sixteen(picture()).transpose(2, 0, 1).copy(), planarconfig="separate"),
    "16 bits": lambda: tiff(sixteen(picture())),
    "big-endian": lambda: tiff(sixteen(picture()), byteorder=">"),
    "BigTIFF": lambda: tiff(picture(), bigtiff=True),
    "BigTIFF, big-endian": lambda: tiff(sixteen(picture()), bigtiff=True, byteorder=">"),
    "tiles": lambda: tiff(sixteen(picture()), tile=(16, 16)),
    "tiles, planar": lambda: tiff(picture().transpose(2, 0, 1).copy(), tile=(16, 16), planarconfig="separate"),
    "strips": lambda: tiff(picture(), rowsperstrip=5),
    "12 bits in 16": lambda: tiff(np.rint(picture() / 255 * 4095).astype(np.uint16)),
    "10 bits in 16": lambda: tiff(np.rint(picture() / 255 * 1023).astype(np.uint16)),
    "32 bits": lambda: tiff((picture().astype(np.uint64) * 16843009).astype(np.uint32)),
    "signed, 16 bits": lambda: tiff(np.rint(picture() / 255 * 32767).astype(np.int16)),
    "signed around 0": lambda: tiff((picture().astype(np.int32) * 257 - 32768).astype(np.int16)),
    "signed, 8 bits": lambda: tiff((picture().astype(np.int16) - 128).astype(np.int8)),
    "float to 1": lambda: tiff((picture() / 255).astype(np.float32)),
    "half to 1": lambda: tiff((picture() / 255).astype(np.float16)),
    "double to 65535": lambda: tiff(picture() * 257.0),
    "float to 255": lambda: tiff(picture().astype(np.float32)),
    "float of a range of its own": lambda: tiff((picture() * 0.013 - 1.7).astype(np.float32)),
    "float, planar": lambda: tiff(
        (picture() / 255).astype(np.float32).transpose(2, 0, 1).copy(), planarconfig="separate"
    ),
    "LZW": lambda: encoded(picture(), "TIFF", compression="tiff_lzw"),
    "deflate": lambda: encoded(picture(), "TIFF", compression="tiff_adobe_deflate"),
    "with a spot colour": lambda: tiff(np.dstack([picture(), np.full_like(grey(), 9)]), extrasamples=["unspecified"]),
    "with three spot colours": lambda: tiff(
        np.dstack([picture(), *[np.full_like(grey(), 9)] * 3]), extrasamples=["unspecified"] * 3
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tiff_of_every_layout(layout):
    same(load(LAYOUTS[layout]()), picture())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_grey_tiffs_have_their_white_where_they_say(bits, order, photometric):
    values = grey() if bits == 8 else sixteen(grey())
    values = values.max() - values if photometric == "miniswhite" else values
    same(load(tiff(values, photometric=photometric, byteorder=order)), grey())


def test_one_bit_and_palette_tiffs():
    marks = np.asarray(Image.fromarray(grey()).convert("1"))
    for compression in (None, "group4", "packbits"):
        same(load(encoded(Image.fromarray(marks), "TIFF", compression=compression)), marks * np.uint8(255), 0)
    palette = Image.fromarray(picture()).quantize(200)
    same(load(encoded(palette, "TIFF")), np.asarray(palette.convert("RGB")), 0)


def test_a_jpeg_inside_a_tiff():
    same(load(encoded(picture(), "TIFF", compression="jpeg", quality=98)), picture(), 12)


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_tiffs_without_a_profile(bits):
    ink = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    ink[:, :, 0], ink[:, :, 3] = grey(), 51
    expected = np.stack([(255 - grey().astype(int)) * 204 / 255, *[np.full((HEIGHT, WIDTH), 204)] * 2], -1)
    ink = ink if bits == 8 else sixteen(ink)
    same(load(tiff(ink, photometric="separated")), expected)
    same(load(tiff(ink.transpose(2, 0, 1).copy(), photometric="separated", planarconfig="separate")), expected)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("space", ["grey", "rgb", "cmyk"])
@pytest.mark.parametrize("associated", [True, False])
def test_transparent_tiffs_lie_on_white(bits, space, associated):
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :24] = 102
    alpha[:, :8] = 0
    colour = {"grey": grey()[:, :, None], "rgb": picture()}.get(space)
    if space == "cmyk":
        colour = np.dstack([255 - picture(), np.zeros_like(grey())])
    share = alpha[:, :, None] / 255
    values = np.rint(colour * share).astype(np.uint8) if associated else colour
    values = np.dstack([values, alpha])
    values = values if bits == 8 else sixteen(values)
    kinds = {"grey": "minisblack", "rgb": "rgb", "cmyk": "separated"}
    data = tiff(values, photometric=kinds[space], extrasamples=["assocalpha" if associated else "unassalpha"])
    seen = grey() if space == "grey" else picture()
    expected = (seen if seen.ndim == 3 else np.repeat(seen[:, :, None], 3, 2)) * share + 255 * (1 - share)
    same(load(data), np.rint(expected), 3)


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """sRGB as CIELAB under D50, (height, width, 3) float: IEC 61966-2-1, Bradford's adaptation, CIE 15."""
    linear = rgb / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    )
    xyz = linear @ to_xyz.T / [0.9642, 1.0, 0.8249]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["cielab", "icclab"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_lab_tiffs(bits, kind, order):
    lab = lab_of(picture().astype(float))
    white = {(8, "cielab"): 255, (8, "icclab"): 255, (16, "cielab"): 65535, (16, "icclab"): 65280}[bits, kind]
    unit = 1 if bits == 8 else 256
    values = np.dstack([lab[:, :, :1] * white / 100, (lab[:, :, 1:] + (128 if kind == "icclab" else 0)) * unit])
    values = np.rint(values).astype(np.int64).astype(np.uint8 if bits == 8 else np.uint16)
    same(load(tiff(values, photometric=kind, byteorder=order)), picture(), 4 if bits == 8 else CLOSE)


def test_lab_tiffs_of_signed_and_of_floating_numbers():
    lab = lab_of(picture().astype(float))
    same(load(tiff(lab.astype(np.float32), photometric="cielab")), picture())
    signed = np.rint(lab * [32767 / 100, 256, 256]).astype(np.int16)
    same(load(tiff(signed, photometric="cielab")), picture())


def test_a_lab_picture_of_pillow():
    image = Image.fromarray(picture())
    space = ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), space, outputMode="LAB")
    same(load(encoded(lab, "TIFF")), picture(), 4)


@pytest.mark.parametrize("how", ["chain", "sub-directory", "thumbnail last", "two sub-directories", "mask"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_full_picture_is_taken_and_not_its_thumbnail(tmp_path, how, bigtiff):
    small = np.full((16, 24, 3), 90, np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as writer:
        if how == "thumbnail last":
            writer.write(picture(), photometric="rgb", metadata=None)
            writer.write(small, photometric="rgb", subfiletype=1, metadata=None)
        elif how == "mask":
            mask = np.zeros((HEIGHT * 2, WIDTH * 2), bool)
            writer.write(picture(), photometric="rgb", metadata=None)
            writer.write(mask, photometric=4, subfiletype=4, metadata=None)
        else:
            count = {"chain": 0, "sub-directory": 1, "two sub-directories": 2}[how]
            writer.write(small, photometric="rgb", subfiletype=1, metadata=None, subifds=count)
            if how == "two sub-directories":
                writer.write(small[:, :20], photometric="rgb", subfiletype=1, metadata=None)
            writer.write(picture(), photometric="rgb", metadata=None)
    info = images.probe(path, **LIMITS)
    assert (info.format, info.height, info.width) == ("TIFF", HEIGHT, WIDTH)
    same(load(path), picture(), 0)
    same(load(path.read_bytes()), picture(), 0)


def test_the_turn_of_a_picture_below_is_that_of_the_directory_above(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        small = np.full((16, 24, 3), 90, np.uint8)
        turn = [(images.ORIENTATION, "H", 1, 6, True)]
        writer.write(small, photometric="rgb", subfiletype=1, metadata=None, subifds=1, extratags=turn)
        writer.write(np.ascontiguousarray(np.rot90(picture())), photometric="rgb", metadata=None)
    assert images.probe(path, **LIMITS).width == WIDTH
    same(load(path), picture(), 0)


def test_pages_of_one_size_give_the_first():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(picture(), photometric="rgb", metadata=None)
        writer.write(255 - picture(), photometric="rgb", metadata=None)
    same(load(file.getvalue()), picture(), 0)


def test_a_ring_of_directories_ends():
    data = bytearray(tiff(picture()))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    same(load(bytes(data)), picture(), 0)


def test_a_film_of_many_directories_is_read_in_time():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(1500):
            writer.write(picture()[:16, :16], photometric="rgb", metadata=None)
    same(load(file.getvalue()), picture()[:16, :16], 0)


@pytest.mark.parametrize("compression", [6, 32809, 34661, 50000])
def test_a_compression_that_nobody_here_reads_is_named(compression):
    data = bytearray(tiff(picture()))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == 259:
            struct.pack_into("<H", data, entry + 8, compression)
    assert refused(bytes(data)) == f"a TIFF compressed by method {compression}, which cannot be read; save it with LZW"


# Camera raw


def dng(path: Path) -> np.ndarray:
    """Write a DNG with a preview and a sensor's picture; returns what it shows, (200, 300, 3) uint8."""
    shown = np.asarray(Image.fromarray(picture()).resize((300, 200), Image.Resampling.BICUBIC))
    linear = np.where(shown / 255 <= 0.04045, shown / 255 / 12.92, ((shown / 255 + 0.055) / 1.055) ** 2.4)
    sensor = np.zeros(shown.shape[:2], np.uint16)
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):  # red, green; green, blue
        sensor[row::2, column::2] = np.rint(linear[row::2, column::2, colour] * 65535)
    to_camera = (3.2404542, -1.5371385, -0.4985314, -0.969266, 1.8760108, 0.041556, 0.0556434, -0.2040259, 1.0572252)
    matrix = tuple(part for number in to_camera for part in (round(number * 10000), 10000))
    camera = [
        (50706, 1, 4, b"\1\4\0\0", True),  # DNGVersion
        (50708, 2, 5, "made", True),  # UniqueCameraModel
        (50721, 10, 9, matrix, True),  # ColorMatrix1
        (50778, 3, 1, 21, True),  # CalibrationIlluminant1: D65
        (50728, 5, 3, (1, 1) * 3, True),  # AsShotNeutral
    ]
    pattern = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, b"\0\1\1\2", True), (50717, 4, 1, 65535, True)]
    with tifffile.TiffWriter(path) as writer:
        small = np.full((16, 24, 3), 90, np.uint8)
        writer.write(small, photometric="rgb", subfiletype=1, metadata=None, subifds=1, extratags=camera)
        writer.write(sensor, photometric=32803, metadata=None, extratags=pattern)
    return shown


def test_camera_raw_is_developed(tmp_path):
    path = tmp_path / "a.dng"
    shown = dng(path)
    assert images.probe(path, **LIMITS) == images.ImageInfo("camera raw", 200, 300)
    same(load(path)[4:-4, 4:-4], shown[4:-4, 4:-4], 5)
    half = shown.reshape(100, 2, 150, 2, 3).mean((1, 3))
    same(load(path.read_bytes(), at_least=150)[2:-2, 2:-2], half[2:-2, 2:-2], 5)


def test_raw_that_cannot_be_read_says_that_it_is_raw(tmp_path):
    path = tmp_path / "a.dng"
    dng(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageProblem, match="camera raw that cannot be read; export it as TIFF or JPEG"):
        load(path)


@pytest.mark.parametrize("start", [b"IIU\0", b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx ", b"II*\0\x10\0\0\0CR\2\0"])
def test_other_raw_files_say_so_too(start):
    assert refused(start + bytes(5000)) in (
        "camera raw that cannot be read; export it as TIFF or JPEG",
        "damaged or cut off",
    )


# Profiles

ADOBE, PROPHOTO, P3 = curved(2.2, "adobe"), curved(1.8, "prophoto"), curved(2.4, "p3")
DOT_GAIN = curved(1.8, "grey")


@pytest.mark.parametrize("profile", [ADOBE, PROPHOTO, P3], ids=["Adobe RGB", "ProPhoto", "Display P3"])
@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 9),
        ("PNG", {}, CLOSE),
        ("TIFF", {}, CLOSE),
        ("WEBP", {"lossless": True}, CLOSE),
        ("HEIF", {"quality": -1}, 5),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 5),
    ],
)
def test_profiles_are_converted_to_srgb(profile, form, options, tolerance):
    values = in_profile(picture(), profile)
    assert np.abs(values.astype(int) - picture()).max() > 8  # else this would test nothing
    same(load(encoded(values, form, icc_profile=profile, **options)), picture(), tolerance)


def test_a_profile_of_sixteen_bits_is_converted_without_steps():
    values = sixteen(in_profile(picture(), ADOBE))
    same(load(tiff(values, iccprofile=ADOBE)), picture())


@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 100}), ("PNG", {}), ("TIFF", {})])
def test_a_grey_profile_is_converted(form, options):
    gamma = 255 * (grey() / 255) ** (1 / 1.8)
    linear = np.where(grey() / 255 <= 0.04045, grey() / 255 / 12.92, ((grey() / 255 + 0.055) / 1.055) ** 2.4)
    values = np.rint(255 * linear ** (1 / 1.8)).astype(np.uint8)
    assert np.abs(gamma - grey()).max() > 8
    same(load(encoded(values, form, icc_profile=DOT_GAIN, **options)), grey(), 3)


def test_transparency_and_a_profile():
    values = np.dstack([in_profile(picture(), PROPHOTO), np.full((HEIGHT, WIDTH), 51, np.uint8)])
    expected = np.rint(picture() * 0.2 + 255 * 0.8)
    same(load(encoded(values, "PNG", icc_profile=PROPHOTO)), expected)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_srgb_by_its_profile_is_exactly_what_it_is_without(form):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = load(encoded(picture(), form))
    assert np.array_equal(load(encoded(picture(), form, icc_profile=profile)), plain)


@pytest.mark.parametrize("profile", [b"rubbish", ADOBE[:200], DOT_GAIN, bytes(3000)])
def test_a_profile_that_is_damaged_or_of_another_space_spoils_nothing(profile):
    assert np.array_equal(load(encoded(picture(), "PNG", icc_profile=profile)), picture())


def test_a_profile_is_applied_to_the_reduced_picture():
    large = np.asarray(Image.fromarray(in_profile(picture(), PROPHOTO)).resize((480, 320), Image.Resampling.BOX))
    loaded = load(encoded(large, "PNG", icc_profile=PROPHOTO), at_least=48)
    same(loaded, picture())


# JPEG of printers


def adobe(data: bytes, transform: int) -> bytes:
    """A JPEG with Adobe's marker set to this transform (0: CMYK, 2: YCCK)."""
    place = data.index(b"Adobe")
    return data[: place + 11] + bytes([transform]) + data[place + 12 :]


def test_a_cmyk_jpeg_is_inverted_as_adobe_does():
    ink = Image.fromarray(np.dstack([255 - picture(), np.zeros_like(grey())]), "CMYK")
    data = encoded(ink, "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in data
    same(load(data), picture(), 5)


def test_a_ycck_jpeg():
    """Its first three components are the YCbCr of 255 less what is stored as CMY, which Adobe stores inverted."""
    inverted = np.dstack([np.asarray(Image.fromarray(255 - picture()).convert("YCbCr")), np.full_like(grey(), 255)])
    # Pillow stores CMYK inverted: so what is to lie in the file is handed over inverted.
    data = adobe(encoded(Image.fromarray(255 - inverted, "CMYK"), "JPEG", quality=100, subsampling=0), 2)
    same(load(data), picture(), 6)


@pytest.fixture(scope="module")
def printed() -> tuple[np.ndarray, bytes, np.ndarray]:
    """The picture as ink, (HEIGHT, WIDTH, 4) uint8, the profile of the ink, and LittleCMS's sRGB of both."""
    image = pyvips.Image.new_from_array(picture()).copy(interpretation="srgb")
    image = image.icc_transform("cmyk", intent="relative", black_point_compensation=True, depth=8)
    ink, profile = image.numpy(), image.get("icc-profile-data")
    colours = ImageCms.profileToProfile(
        Image.fromarray(ink, "CMYK"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return ink, profile, np.asarray(colours)


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "TIFF of 16 bits", "TIFF in planar tiles"])
def test_ink_has_the_colours_of_its_profile(printed, form):
    ink, profile, colours = printed
    ways = {
        "JPEG": lambda: encoded(Image.fromarray(ink, "CMYK"), "JPEG", icc_profile=profile, quality=100, subsampling=0),
        "TIFF": lambda: encoded(Image.fromarray(ink, "CMYK"), "TIFF", icc_profile=profile),
        "TIFF of 16 bits": lambda: tiff(sixteen(ink), photometric="separated", iccprofile=profile),
        "TIFF in planar tiles": lambda: tiff(
            ink.transpose(2, 0, 1).copy(),
            photometric="separated",
            tile=(16, 16),
            planarconfig="separate",
            iccprofile=profile,
        ),
    }
    loaded = load(ways[form]())
    same(loaded, colours, 3)
    same(loaded, picture(), 12)  # what printing inks can show of it
    assert np.abs(load(encoded(Image.fromarray(ink, "CMYK"), "TIFF")).astype(int) - colours).max() > 15


def test_the_profile_of_a_tiff_that_libvips_cannot_read_is_converted():
    planes = in_profile(picture(), ADOBE).transpose(2, 0, 1).copy()
    same(load(tiff(planes, tile=(16, 16), planarconfig="separate", iccprofile=ADOBE)), picture())


def test_a_profile_of_lab_is_converted():
    lab = lab_of(picture().astype(float)).astype(np.float32)
    plain = load(tiff(lab, photometric="cielab"))
    standard = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    same(load(tiff(lab, photometric="cielab", iccprofile=standard)), plain, 1)
    same(load(tiff(lab, photometric="cielab", iccprofile=ADOBE)), plain, 0)  # of another space
    half = load(tiff(lab * np.float32([0.5, 1, 1]), photometric="cielab"))
    same(load(tiff(lab, photometric="cielab", iccprofile=darkening())), half)


@pytest.mark.parametrize("gamma", [1, 1.8, 2.2])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_darks_of_a_grey_profile_are_exact(gamma, bits):
    numbers = np.tile(np.linspace(0, 1, 256) ** 2, (16, 1))
    numbers = np.rint(numbers * (2**bits - 1)).astype(np.uint16 if bits == 16 else np.uint8)
    light = (numbers / (2**bits - 1)) ** gamma
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    same(load(tiff(numbers, iccprofile=curved(gamma, "grey"))), np.rint(255 * shown).astype(np.uint8), 1)


# Formats of telephones and archives


def test_a_grey_jpeg_xl_of_sixteen_bits():
    """The plug-in writes one in linear light, and a profile that says so."""
    light = np.where(grey() / 255 <= 0.04045, grey() / 255 / 12.92, ((grey() / 255 + 0.055) / 1.055) ** 2.4)
    linear = Image.fromarray(np.rint(light * 65535).astype(np.uint16))
    same(load(encoded(linear, "JXL", lossless=True)), grey(), 1)


@pytest.mark.parametrize(
    ("form", "name", "options", "tolerance"),
    [
        ("HEIF", "HEIC", {"quality": -1}, CLOSE + 1),
        ("AVIF", "AVIF", {"quality": 100, "subsampling": "4:4:4"}, 4),
        ("JPEG2000", "JPEG 2000", {}, 0),
        ("JPEG2000", "JPEG 2000", {"no_jp2": True}, 0),
        ("JXL", "JPEG XL", {"lossless": True}, 0),
    ],
)
def test_newer_formats(tmp_path, form, name, options, tolerance):
    path = tmp_path / "a"
    path.write_bytes(encoded(picture(), form, **options))
    assert images.probe(path, **LIMITS) == images.ImageInfo(name, HEIGHT, WIDTH)
    same(load(path), picture(), tolerance)
    same(load(path.read_bytes()), picture(), tolerance)
    for share in (0.1, 0.5):
        assert refused(path.read_bytes()[: int(path.stat().st_size * share)]) == "damaged or cut off"


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "JPEG2000", "JXL"])
def test_newer_formats_with_transparency(form):
    values = np.dstack([picture(), np.full((HEIGHT, WIDTH), 51, np.uint8)])
    options = {"HEIF": {"quality": -1}, "AVIF": {"quality": 100}, "JXL": {"lossless": True}}.get(form, {})
    same(load(encoded(values, form, **options)), np.rint(picture() * 0.2 + 255 * 0.8), 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["HEIF", "AVIF", "JXL"])
def test_newer_formats_are_set_upright(tmp_path, form, orientation):
    transposed = picture().transpose(1, 0, 2)
    stored = {
        1: picture(),
        2: picture()[:, ::-1],
        3: picture()[::-1, ::-1],
        4: picture()[::-1],
        5: transposed,
        6: transposed[::-1],
        7: transposed[::-1, ::-1],
        8: transposed[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    options = {"HEIF": {"quality": -1}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}, "JXL": {"lossless": True}}
    path = tmp_path / "a"
    path.write_bytes(encoded(np.ascontiguousarray(stored), form, exif=exif.tobytes(), **options[form]))
    info = images.probe(path, **LIMITS)
    assert (info.height, info.width) == (HEIGHT, WIDTH)
    same(load(path), picture(), 4)


# PNG


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_sixteen_bits(values: np.ndarray, kind: int, *more: bytes) -> bytes:
    """kind: PNG's colour type. values: (height, width) or (height, width, channels) uint16."""
    rows = values.astype(">u2").reshape(len(values), -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_pngs_of_sixteen_bits():
    opaque = np.full((HEIGHT, WIDTH), 65535 // 5, np.uint16)
    same(load(png_of_sixteen_bits(sixteen(picture()), 2)), picture(), 1)
    same(load(png_of_sixteen_bits(sixteen(grey()), 0)), grey(), 1)
    same(load(png_of_sixteen_bits(np.rint(picture() / 255 * 4095).astype(np.uint16), 2)), picture(), 1)
    same(load(png_of_sixteen_bits(np.dstack([sixteen(picture()), opaque]), 6)), np.rint(picture() * 0.2 + 204), 1)
    same(load(png_of_sixteen_bits(np.dstack([sixteen(grey()), opaque]), 4)), np.rint(grey() * 0.2 + 204), 1)
    values = sixteen(in_profile(picture(), ADOBE))
    profile = chunk(b"iCCP", b"Adobe\0\0" + zlib.compress(ADOBE))
    same(load(png_of_sixteen_bits(values, 2, profile)), picture())
    exif = Image.Exif()
    exif[images.ORIENTATION] = 3
    turned = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    same(load(png_of_sixteen_bits(sixteen(picture()[::-1, ::-1]), 2, turned)), picture(), 1)


@pytest.mark.parametrize("megabytes", [2, 40, 300])
@pytest.mark.parametrize("place", ["before the pixels", "after them"])
def test_a_png_with_much_text_is_read(megabytes, place):
    data = encoded(picture(), "PNG")
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"history " * (megabytes << 17), 1)
    at = 33 if place == "before the pixels" else len(data) - 12
    same(load(data[:at] + chunk(b"iTXt", text) + data[at:]), picture(), 0)


def test_a_palette_of_many_transparencies():
    image = Image.fromarray(grey()).convert("P")
    image.putpalette([value for level in range(256) for value in (level, level // 2, 10)])
    levels = np.asarray(image)
    data = encoded(image, "PNG", transparency=bytes(range(256)))
    share = levels[:, :, None] / 255
    colours = np.stack([levels, levels // 2, np.full_like(levels, 10)], -1)
    same(load(data), np.rint(colours * share + 255 * (1 - share)), 1)


# JPEGs that break off


def photograph() -> np.ndarray:
    """(300, 400, 3) uint8 with detail everywhere."""
    random = np.random.default_rng(0).integers(0, 256, (75, 100, 3), np.uint8)
    return np.asarray(Image.fromarray(random).resize((400, 300), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("at_least", [None, 100])
@pytest.mark.parametrize(("progressive", "cut"), [(False, 1), (False, 2), (False, 300), (True, 2), (True, 900)])
def test_a_jpeg_without_its_end_is_read_and_noted(progressive, cut, at_least):
    data = encoded(photograph(), "JPEG", quality=90, progressive=progressive)
    notes = []
    loaded = load(data[:-cut], at_least=at_least, notes=notes)
    whole = load(data, at_least=at_least)
    assert np.abs(loaded.astype(int) - whole).mean() < 1
    assert len(notes) == 1 and notes[0].startswith("its end is missing")
    notes.clear()
    load(data, notes=notes)
    assert notes == []


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_jpeg_without_much_of_it_is_refused(share):
    data = encoded(photograph(), "JPEG", quality=90)
    assert refused(data[: int(len(data) * share)]) == "damaged or cut off"


# What a file may cost

PEAK = """
import sys
from pathlib import Path
from utils import images
print(images.load(sys.argv[1], max_pixels=300_000_000, min_side=16, at_least=1024).shape)
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_a_tiff_of_two_hundred_megapixels_takes_little_memory(tmp_path):
    path = tmp_path / "master.tif"
    tifffile.memmap(path, shape=(12_000, 18_000, 3), dtype=np.uint8, photometric="rgb").flush()  # 648 MB, sparse
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    shape, megabytes = done.stdout.splitlines()
    assert shape == "(706, 1059, 3)"
    assert int(megabytes) < 400


def jxl_bomb() -> bytes:
    """A codestream whose header claims 2^30 by 2^30 pixels."""
    bits, number = 0, 0
    for value, count in ((0, 1), (3, 2), (2**30 - 1, 30), (1, 3)):
        number |= value << bits
        bits += count
    return b"\xff\x0a" + number.to_bytes(8, "little") + bytes(40)


def test_bombs_of_the_newer_formats_are_refused_by_their_header():
    limit = "the limit is 1000000 pixels, RETRIEVAL_MAX_PIXELS"
    assert refused(jxl_bomb()) == f"too large (1073741824 x 1073741824 pixels; {limit})"
    header = tiff(picture())
    (first,) = struct.unpack_from("<I", header, 4)
    data = bytearray(header)
    (count,) = struct.unpack_from("<H", data, first)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, entry)
        if tag in (256, 257):
            struct.pack_into("<HHII", data, entry, tag, 4, 1, 2_000_000)
    assert refused(bytes(data)) == f"too large (2000000 x 2000000 pixels; {limit})"


def test_the_limit_is_named_by_the_setting_of_whoever_set_it():
    assert refused(encoded(picture(), "PNG"), max_pixels=100, setting="RETRIEVAL_UPLOAD_PIXELS").endswith(
        "the limit is 100 pixels, RETRIEVAL_UPLOAD_PIXELS)"
    )


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "JPEG2000", "JXL", "TIFF planar", "PNG 16"])
def test_changed_bytes_raise_nothing_else(tmp_path, form):
    data = {
        "TIFF planar": lambda: tiff(picture().transpose(2, 0, 1).copy(), planarconfig="separate"),
        "PNG 16": lambda: png_of_sixteen_bits(sixteen(picture()), 2),
    }.get(form, lambda: encoded(picture(), form))()
    random = np.random.default_rng(0)
    path = tmp_path / "changed"
    for _ in range(60):
        changed = np.frombuffer(data, np.uint8).copy()
        where = random.integers(0, min(len(data), 400), random.integers(1, 6))
        changed[where] = random.integers(0, 256, len(where))
        path.write_bytes(changed.tobytes())
        try:
            loaded = images.load(path, **LIMITS)
        except ImageProblem:
            continue
        info = images.probe(path, **LIMITS)
        assert loaded.shape == (info.height, info.width, 3)
