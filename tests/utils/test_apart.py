"""Decoding in a process of its own, within a limit of processor time."""

import io
import os
import signal

import numpy as np
import pytest
from PIL import Image

from utils import images
from utils.images import ImageProblem
from utils.images.apart import Decoder

LIMITS = {"max_pixels": 20_000_000, "min_side": 16, "setting": "RETRIEVAL_UPLOAD_PIXELS"}
TIME = {"seconds": 20, "setting": "RETRIEVAL_UPLOAD_SECONDS", "limits": LIMITS}


@pytest.fixture(scope="module")
def decoder():
    return Decoder()


def jpeg(side: int = 64, **options) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).save(file, "JPEG", **options)
    return file.getvalue()


def slow() -> bytes:
    """A progressive JPEG of 200 kB with the last of its scans 4,000 times: each goes over all of its 16 megapixels."""
    file = io.BytesIO()
    Image.new("L", (4000, 4000), 99).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 4000 + data[-2:]


def test_it_is_read_as_it_would_be_here(decoder):
    notes: list[str] = []
    assert np.array_equal(decoder.load(jpeg(), **TIME, notes=notes), images.load(jpeg(), **LIMITS))
    assert notes == []
    decoder.load(jpeg(400)[:-2], **TIME, notes=notes)
    assert notes and notes[0].startswith("its end is missing")


@pytest.mark.parametrize("content", [b"", b"not a picture", jpeg(8), jpeg()[:200]])
def test_what_cannot_be_used_is_refused_in_the_same_words(decoder, content):
    with pytest.raises(ImageProblem) as here:
        images.load(content, **LIMITS)
    with pytest.raises(ImageProblem) as there:
        decoder.load(content, **TIME)
    assert str(there.value) == str(here.value)


def test_a_picture_that_takes_too_long_is_refused_and_the_next_one_read(decoder):
    said = r"^takes longer to decode than is allowed \(1 seconds, RETRIEVAL_UPLOAD_SECONDS\)$"
    with pytest.raises(ImageProblem, match=said):
        decoder.load(slow(), **(TIME | {"seconds": 1}))
    assert decoder.load(jpeg(), **TIME).shape == (64, 64, 3)


def test_the_time_of_earlier_pictures_does_not_count(decoder):
    plain = jpeg(3000)
    for _ in range(12):  # together more than a second of processor time
        decoder.load(plain, **(TIME | {"seconds": 1}))


def test_a_decoder_that_crashes_does_no_harm(decoder):
    decoder.load(jpeg(), **TIME)
    os.kill(decoder._process.pid, signal.SIGSTOP)  # so that it ends in the midst of the next picture
    os.kill(decoder._process.pid, signal.SIGSEGV)
    os.kill(decoder._process.pid, signal.SIGCONT)
    with pytest.raises(ImageProblem, match=r"^damaged or cut off$"):
        decoder.load(jpeg(), **TIME)
    assert decoder.load(jpeg(), **TIME).shape == (64, 64, 3)
