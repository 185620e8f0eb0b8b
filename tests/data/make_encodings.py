"""Makes encodings.bin: one small picture in every raw encoding that OpenCV decodes, and what OpenCV makes of it.

    pip install numpy opencv-python-headless && python tests/data/make_encodings.py

The file holds records, each a line of JSON {"encoding", "width", "height", "step", "big_endian"}, then its bytes, then
OpenCV's RGB.
"""

import json
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, PADDING = 24, 18, 4


def picture() -> np.ndarray:
    """Slopes and edges of strong colours, uint8 RGB [H, W, 3]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 10, y * 14, (x + y) * 6], -1)
    rgb[4:9, 5:12] = (230, 20, 30)
    rgb[10:15, 13:20] = (15, 60, 240)
    return rgb.astype(np.uint8)


def packed(yuv: np.ndarray, first: str) -> np.ndarray:
    """YUV 4:4:4 [H, W, 3] as yuyv or uyvy bytes [H, 2 W]."""
    out = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    luma, chroma = (0, 1) if first == "y" else (1, 0)
    out[..., luma] = yuv[..., 0]
    out[:, 0::2, chroma], out[:, 1::2, chroma] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    return out.reshape(HEIGHT, -1)


def planar(yuv: np.ndarray, order: tuple[int, int]) -> np.ndarray:
    """YUV 4:4:4 as a plane of brightness and one of colours, [1.5 H, W]."""
    return np.vstack([yuv[..., 0], yuv[0::2, 0::2, order].reshape(HEIGHT // 2, WIDTH)])


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        out[row::2, column::2] = rgb[row::2, column::2, "rgb".index(colour)]
    return out


def cases():
    """Encoding, rows of bytes, big-endian, OpenCV's RGB."""
    rgb = picture()
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)
    yuv[..., 0] = np.rint(yuv[..., 0] * (219 / 255) + 16)  # video's range
    yuv[..., 1:] = np.rint((yuv[..., 1:].astype(float) - 128) * (224 / 255) + 128)
    packings = [("yuv422", "u", "UYVY"), ("uyvy", "u", "UYVY"), ("yuyv", "y", "YUY2"), ("yuv422_yuy2", "y", "YUY2")]
    for encoding, first, code in packings:
        rows = packed(yuv, first)
        yield encoding, rows, False, cv2.cvtColor(rows.reshape(HEIGHT, WIDTH, 2), getattr(cv2, f"COLOR_YUV2RGB_{code}"))
    for encoding, order in [("nv12", (1, 2)), ("nv21", (2, 1))]:
        rows = planar(yuv, order)
        yield encoding, rows, False, cv2.cvtColor(rows, getattr(cv2, f"COLOR_YUV2RGB_{encoding.upper()}"))
    # OpenCV names a mosaic by its second row's second and third pixel.
    for pattern, code in [("rggb", "BG"), ("bggr", "RG"), ("gbrg", "GR"), ("grbg", "GB")]:
        rows = mosaic(rgb, pattern)
        yield f"bayer_{pattern}8", rows, False, cv2.cvtColor(rows, getattr(cv2, f"COLOR_Bayer{code}2RGB"))
    wide = (rgb.astype(np.uint16) << 8) + 77
    narrow = cv2.convertScaleAbs(wide, alpha=255 / 65535)
    for big in (False, True):
        order = ">u2" if big else "<u2"
        yield "rgb16", wide.astype(order).view(np.uint8).reshape(HEIGHT, -1), big, narrow
        yield "bgr16", wide[..., ::-1].astype(order).view(np.uint8).reshape(HEIGHT, -1), big, narrow
        grey = wide[..., 1].astype(order).view(np.uint8).reshape(HEIGHT, -1)
        yield "mono16", grey, big, cv2.cvtColor(np.ascontiguousarray(narrow[..., 1]), cv2.COLOR_GRAY2RGB)


def main() -> None:
    with open(Path(__file__).with_name("encodings.bin"), "wb") as out:
        for encoding, rows, big, rgb in cases():
            padded = np.pad(rows, ((0, 0), (0, PADDING)), constant_values=0xEE)
            head = {"encoding": encoding, "width": WIDTH, "height": HEIGHT, "step": padded.shape[1], "big_endian": big}
            out.write(json.dumps(head | {"bytes": padded.size}).encode() + b"\n" + padded.tobytes() + rgb.tobytes())


if __name__ == "__main__":
    main()
