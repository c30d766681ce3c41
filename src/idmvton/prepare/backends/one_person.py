"""One person out of a map that shows everybody."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import MIN_VISIBILITY, Labels, Pose


def labels_of_person(labels: Labels, pose: Pose) -> NDArray[np.uint8]:
    """The pieces of a label map that joints of a person lie on; all of it where there are none.

    People who touch are one piece.

    Args:
        labels: uint8 (H, W), 0 is background.
        pose: the person, in pixels of the map.
    """
    height, width = labels.shape
    _, pieces = cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=8)
    points = pose.points[pose.visibility >= MIN_VISIBILITY].astype(int)
    points = points[(points >= 0).all(1) & (points < [width, height]).all(1)]
    own = np.unique(pieces[points[:, 1], points[:, 0]])
    own = own[own > 0]
    return np.where(np.isin(pieces, own), labels, np.uint8(0)) if len(own) else labels
