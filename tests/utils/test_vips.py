"""What libvips may read: a hostile file must reach no other loader."""

import numpy as np
import pytest
import pyvips

from utils import images  # noqa: F401  (importing it blocks the loaders)

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
PIXELS = pyvips.Image.new_from_array(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("ending", [".gif", ".webp", ".jpg", ".v"])
def test_other_loaders_than_those_that_are_needed_are_blocked(tmp_path, ending):
    PIXELS.write_to_file(str(tmp_path / f"picture{ending}"))
    with pytest.raises(pyvips.Error, match=r"not a known file format|blocked"):
        pyvips.Image.new_from_file(str(tmp_path / f"picture{ending}"))


def test_svg_is_blocked():
    with pytest.raises(pyvips.Error, match="blocked"):
        pyvips.Image.svgload_buffer(SVG)


@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_those_that_are_needed_are_not(ending):
    content = PIXELS.write_to_buffer(ending)
    assert pyvips.Image.new_from_buffer(content, "").numpy().shape == (4, 4, 3)
