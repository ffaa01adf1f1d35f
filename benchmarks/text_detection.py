"""How much burnt-in text ``pixels.detect`` finds, and how often it sees text where there is none.

Images are made from the real pixel data of pydicom's own files: a part of a frame, mirrored, stretched and windowed
anew for each. Half of them get a line of text of a drawn size, contrast, font and place. Needs the extra ``ocr``:

    .venv/bin/python -m pip install rapidocr-onnxruntime
    .venv/bin/python -m benchmarks.text_detection --count 200 --seed 1
"""

from __future__ import annotations

import argparse
import importlib
import random
import time
import warnings
from collections import defaultdict
from typing import Any, Final, NamedTuple

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.local.viewing.rendering import pictures
from deidflow.tasks.local.viewing.text_detector import TextDetector

Picture = np.ndarray[Any, np.dtype[np.uint8]]

SOURCES: Final[tuple[tuple[str, tuple[int, int, int, int] | None], ...]] = (
    ("693_J2KI.dcm", None),
    ("CT_small.dcm", None),
    ("J2K_pixelrep_mismatch.dcm", None),
    ("JPEG2000.dcm", None),
    ("JPGExtended.dcm", None),
    ("examples_overlay.dcm", None),
    ("MR_small.dcm", None),
    ("rtdose.dcm", None),
    ("examples_jpeg2k.dcm", (10, 180, 440, 300)),
    ("examples_ybr_color.dcm", (50, 20, 260, 215)),
)
"""Files, and the part of the frame without text, as left, upper, right and lower edge."""

WORDS: Final = (
    *("DOE JANE", "SMITH", "MUELLER ANNA", "GARCIA", "1970-01-31", "12/03/1958", "MRN 4471982", "ID 00123", "045Y F"),
    *("HOSPITAL", "RADIOLOGY", "Dr Brown", "10:42:13"),
)
SIDES: Final = (256, 384, 512, 640, 768, 1024)
SIZES: Final = (14, 16, 18, 24, 32)
CONTRASTS: Final = (60, 80, 120, 200)


class Line(NamedTuple):
    """A line of text that was planted: where, how large in pixels, how many grey levels from what is behind it."""

    box: Region
    size: int
    contrast: int


def load() -> list[np.ndarray[Any, Any]]:
    """Return the frames that images are made from."""
    frames = []
    for name, part in SOURCES:
        dataset = dcmread(str(get_testdata_file(name)))
        frame = dataset.pixel_array
        frame = frame[0] if int(dataset.get("NumberOfFrames") or 1) > 1 else frame
        grey = frame.astype(float).mean(axis=2) if frame.ndim == 3 else frame.astype(float)  # noqa: PLR2004
        left, upper, right, lower = part or (0, 0, grey.shape[1], grey.shape[0])
        frames.append(grey[upper:lower, left:right])
    return frames


def background(rng: random.Random, frames: list[np.ndarray[Any, Any]]) -> Picture:
    """Return an image without text."""
    frame = rng.choice(frames)
    height, width = (max(40, int(length * rng.uniform(0.5, 1))) for length in frame.shape)
    height, width = min(height, frame.shape[0]), min(width, frame.shape[1])
    y, x = rng.randrange(frame.shape[0] - height + 1), rng.randrange(frame.shape[1] - width + 1)
    part = frame[y : y + height, x : x + width][:: rng.choice((1, -1)), :: rng.choice((1, -1))]
    low, high = np.percentile(part, [rng.uniform(0, 2), rng.uniform(97.5, 100)])
    grey = np.clip((part - low) / max(high - low, 1e-9), 0, 1) ** rng.uniform(0.6, 1.6) * 255
    scale = rng.choice(SIDES) / max(part.shape)
    size = (max(64, round(width * scale)), max(64, round(height * scale)))
    image = importlib.import_module("PIL.Image")
    return np.asarray(image.fromarray(grey.astype(np.uint8)).resize(size, rng.choice((0, 2, 3))))


def plant(rng: random.Random, grey: Picture, size: int, contrast: int) -> tuple[Picture, Line] | None:
    """Return an image with a line of text, None where it has no room or the contrast cannot be had."""
    image, draw, font = (importlib.import_module(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont"))
    text = " ".join(rng.sample(WORDS, rng.randint(1, 2)))
    letters = font.load_default(size)
    left, upper, right, lower = (int(edge) for edge in letters.getbbox(text))
    height, width = grey.shape
    if right > width - 4 or lower > height - 4:
        return None
    x, y = rng.randrange(width - right - 2) + 1, rng.randrange(height - lower - 2) + 1
    mask = image.new("L", (width, height))
    draw.Draw(mask).text((x, y), text, fill=255, font=letters)
    share = np.asarray(mask) / 255
    box = Region(x + left, y + upper, right - left, lower - upper)
    behind = float(grey[box.y : box.y + box.height, box.x : box.x + box.width].mean())
    levels = [level for level in (behind + contrast, behind - contrast) if 0 <= level <= 255]  # noqa: PLR2004 (grey)
    if not levels:
        return None
    return (grey * (1 - share) + rng.choice(levels) * share).astype(np.uint8), Line(box, size, contrast)


def is_found(line: Line, found: list[Region]) -> bool:
    """Tell whether some box lies on the line."""
    box = line.box
    for one in found:
        width = min(box.x + box.width, one.x + one.width) - max(box.x, one.x)
        height = min(box.y + box.height, one.y + one.height) - max(box.y, one.y)
        if width > 0 and height > 0.4 * min(box.height, one.height):
            return True
    return False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="images with text, and as many without")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = random.Random(arguments.seed)
    frames, detector = load(), TextDetector()
    alarms, seconds = 0, []
    results: dict[str, list[bool]] = defaultdict(list)
    for _ in range(arguments.count):
        grey = background(rng, frames)
        start = time.process_time()
        alarms += any(detector.find(picture) for picture in pictures(grey))
        seconds.append(time.process_time() - start)
    while len(results["all"]) < arguments.count:
        planted = plant(rng, background(rng, frames), rng.choice(SIZES), rng.choice(CONTRASTS))
        if planted is None:
            continue
        image, line = planted
        found = is_found(line, [box for picture in pictures(image) for box in detector.find(picture)])
        for kind in ("all", f"size {line.size}", f"contrast {line.contrast}"):
            results[kind].append(found)
    for kind in sorted(results):
        print(f"{kind:<14} {sum(results[kind]):>4} of {len(results[kind]):>4} lines found")
    print(f"false alarms   {alarms:>4} of {arguments.count:>4} images without text")
    print(f"CPU            {np.mean(seconds):.2f} s an image on average, {max(seconds):.2f} s at most")


if __name__ == "__main__":
    main()
