"""Text on garments: what a reader finds on the product picture and finds again on the result.

The reader is PP-OCRv4: a detector that marks where text is (differentiable binarization), and a recogniser whose
columns are decoded greedily (CTC). Both are ONNX files of one package; onnxruntime runs them.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.evaluate.extra import require
from idmvton.evaluate.shown import Measure, Shown
from idmvton.weights import locate

DETECTOR_FILE: Final = "ch_PP-OCRv4_det_infer.onnx"
RECOGNISER_FILE: Final = "ch_PP-OCRv4_rec_infer.onnx"

_SHORTER_SIDE: Final = 640  # of what the detector sees
_IS_TEXT, _IS_BOX, _IS_WORD = 0.3, 0.5, 0.5
_UNCLIP: Final = 1.6  # the detector marks the core of a text; what it left out is this times area / perimeter
_SMALLEST_CORE, _SMALLEST_BOX = 3, 5
_LINE_HEIGHT, _LINE_WIDTH = 48, 320
_LEAST_CHARACTERS: Final = 3
"""A garment with fewer characters counts as one without text: folds and buttons read as one or two letters."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def load() -> Measure:
    """The share of the product picture's characters that the result shows too; ``None`` for garments without text.

    Raises:
        WeightsError: the reader's files are not on this machine.
        MissingExtraError: onnxruntime is not installed.
    """
    read = TextReader(locate("pp-ocr"))
    known: dict[bytes, str] = {}

    def measure(shown: Shown) -> float | None:
        assert shown.garment is not None
        key = hashlib.sha256(shown.garment.tobytes()).digest()
        wanted = known[key] if key in known else known.setdefault(key, characters(read(shown.garment)))
        return None if len(wanted) < _LEAST_CHARACTERS else share_kept(wanted, characters(read(shown.result)))

    return measure


def characters(words: Sequence[str]) -> str:
    """Letters and digits of words in a row, in lower case."""
    return "".join(letter for word in words for letter in word.lower() if letter.isalnum())


def share_kept(wanted: str, found: str) -> float:
    """The share of ``wanted`` that ``found`` holds in the same order, 0 to 1."""
    blocks = difflib.SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(wanted)


class TextReader:
    """Reads the words of a picture.

    Args:
        folder: holds both ONNX files.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.detector, self.recogniser = _session(folder / DETECTOR_FILE), _session(folder / RECOGNISER_FILE)
        letters = self.recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        self.letters = ["", *letters, " "]  # the first column stands for no letter

    def __call__(self, picture: Bytes) -> list[str]:
        """The words, from the top down.

        Args:
            picture: uint8 (H, W, 3) RGB.
        """
        boxes = sorted(self.find(picture), key=lambda box: (box[:, 1].min(), box[:, 0].min()))
        words = (self.read_line(_cut(picture, box)) for box in boxes)
        return [word for word, sure in words if sure >= _IS_WORD and word.strip()]

    def find(self, picture: Bytes) -> Iterator[Floats]:
        """Where text is: corners, float32 (4, 2) x and y, from the upper left one on clockwise."""
        height, width = picture.shape[:2]
        scale = _SHORTER_SIDE / min(height, width)
        size = [max(32, round(side * scale / 32) * 32) for side in (height, width)]
        pixels = cv2.resize(picture[..., ::-1], (size[1], size[0]))
        score = self.detector.run(None, {self.detector.get_inputs()[0].name: _normalized(pixels)})[0][0, 0]
        marked = cv2.dilate((score > _IS_TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
        contours, _ = cv2.findContours(marked, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            centre, sides, angle = cv2.minAreaRect(contour)
            if min(sides) < _SMALLEST_CORE or _mean_inside(score, cv2.boxPoints((centre, sides, angle))) < _IS_BOX:
                continue
            grown = 2 * _UNCLIP * (sides[0] * sides[1]) / (2 * (sides[0] + sides[1]))
            sides = (sides[0] + grown, sides[1] + grown)
            if min(sides) >= _SMALLEST_BOX:
                corners = cv2.boxPoints((centre, sides, angle)) * (width / size[1], height / size[0])
                yield _clockwise(corners.astype(np.float32))

    def read_line(self, line: Bytes) -> tuple[str, float]:
        """The text of one line and the mean probability of its letters.

        Args:
            line: uint8 (H, W, 3) RGB, upright.
        """
        width = max(_LINE_WIDTH, round(_LINE_HEIGHT * line.shape[1] / line.shape[0]))
        drawn = min(width, max(1, round(_LINE_HEIGHT * line.shape[1] / line.shape[0])))
        pixels = np.zeros((1, 3, _LINE_HEIGHT, width), np.float32)
        pixels[..., :drawn] = _normalized(cv2.resize(line[..., ::-1], (drawn, _LINE_HEIGHT)))
        columns = self.recogniser.run(None, {self.recogniser.get_inputs()[0].name: pixels})[0][0]
        best = columns.argmax(1)
        kept = (best != 0) & (best != np.concatenate([[-1], best[:-1]]))
        if not kept.any():
            return "", 0.0
        return "".join(self.letters[number] for number in best[kept]), float(columns.max(1)[kept].mean())


def _session(file: Path) -> Any:
    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _normalized(pixels: Bytes) -> Floats:
    """uint8 (H, W, 3) as float32 (1, 3, H, W) in [-1, 1]."""
    return (pixels.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]


def _mean_inside(score: Floats, corners: Floats) -> float:
    inside = np.zeros(score.shape, np.uint8)
    cv2.fillPoly(inside, [corners.round().astype(np.int32)], 1)
    return float(score[inside > 0].mean()) if inside.any() else 0.0


def _clockwise(corners: Floats) -> Floats:
    """Corners from the upper left one on."""
    by_x = corners[corners[:, 0].argsort(kind="stable")]
    left, right = by_x[:2][by_x[:2, 1].argsort()], by_x[2:][by_x[2:, 1].argsort()]
    return np.stack([left[0], right[0], right[1], left[1]])


def _cut(picture: Bytes, corners: Floats) -> Bytes:
    """A line of text, straightened; tall ones are turned to lie."""
    width = max(1, round(max(np.linalg.norm(corners[0] - corners[1]), np.linalg.norm(corners[3] - corners[2]))))
    height = max(1, round(max(np.linalg.norm(corners[0] - corners[3]), np.linalg.norm(corners[1] - corners[2]))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    line = cv2.warpPerspective(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.rot90(line).copy() if height > 1.5 * width else line
