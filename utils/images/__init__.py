"""Pictures: what a file holds, told by its header, and its pixels as an array in the colours of sRGB.

Pillow decodes what it decodes well; libvips decodes TIFF and 16-bit PNG, in strips, so that a master of hundreds of
megapixels takes little memory; LibRaw decodes camera raw. Nothing of what they raise on damaged or hostile files gets
out of here but `ImageProblem`.
"""

from utils.images.arrays import fit, stretch
from utils.images.problem import ImageInfo, ImageProblem
from utils.images.reading import MAX_BYTES, ORIENTATION, load, probe

__all__ = ["MAX_BYTES", "ORIENTATION", "ImageInfo", "ImageProblem", "fit", "load", "probe", "stretch"]
