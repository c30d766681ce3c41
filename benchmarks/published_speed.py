"""Seconds and memory of the published networks on one photo: ``python -m benchmarks.published_speed``.

The weights are given by the golden formulas, so nothing needs to be downloaded; they are written to a file and loaded
as the published ones are. Each network runs in a process of its own. Processor seconds of one thread do not depend on
what else the machine does; wall-clock seconds do. ``DIR`` holds SCHP's files, or what ``tools/schp_size.py`` writes:
random weights in networks of the same size.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.memory import peak_memory
from idmvton.prepare.self_test import golden_folder

PHOTO: Final = Path(__file__).parents[1] / "examples" / "person.jpg"
SIZE: Final = (768, 1024)  # width, height
REPEATS: Final = 3
_MEGABYTE: Final = 10**6


def _load_densepose(folder: Path) -> Callable[[NDArray[np.uint8]], Any]:
    from idmvton.prepare.backends.densepose.reader import DensePoseReader
    from idmvton.prepare.self_test.densepose import formula_weights

    file = folder / "model_final_162be9.pkl"
    tensors = formula_weights(golden_folder() / "densepose")
    file.write_bytes(pickle.dumps({"model": {name: tensor.numpy() for name, tensor in tensors.items()}}, protocol=3))
    del tensors
    # formula weights are not sure of anybody: without a limit the best box is read, as with a person in the photo
    return DensePoseReader(file, device="cpu", min_score=0.0).read


def _load_openpose(folder: Path) -> Callable[[NDArray[np.uint8]], Any]:
    from idmvton.prepare.backends.openpose.estimator import OpenPose
    from idmvton.prepare.self_test.openpose import formula_weights

    file = folder / "body_pose_model.pth"
    torch.save(formula_weights(golden_folder() / "openpose", "dev"), file)
    return OpenPose(file, device="cpu")


def _load_schp(folder: Path) -> Callable[[NDArray[np.uint8]], Any]:
    from idmvton.prepare import demo
    from idmvton.prepare.backends.schp.parser import ATR_FILE, LIP_FILE, Schp

    networks = Schp(folder / ATR_FILE, folder / LIP_FILE, torch.get_num_threads())
    return lambda photo: networks(photo, (demo.DEMO_SIZE.height, demo.DEMO_SIZE.width))


NETWORKS: Final = {"densepose": _load_densepose, "openpose": _load_openpose, "schp": _load_schp}


def measure(name: str, num_threads: int, given: Path | None) -> str:
    """One network, of files that are given or written here: a line of figures."""
    torch.set_num_threads(num_threads)
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize(SIZE))
    with tempfile.TemporaryDirectory() as folder:
        read = NETWORKS[name](given or Path(folder))
    wall, processor = [], []
    with peak_memory(torch.device("cpu")) as peak:
        for _ in range(REPEATS):
            started, started_processor = time.perf_counter(), time.process_time()
            read(photo)
            wall.append(time.perf_counter() - started)
            processor.append(time.process_time() - started_processor)
    return (
        f"{name}: {min(wall):.2f} s, {min(processor):.2f} s of processors (best of {REPEATS}), {num_threads} threads; "
        f"{peak.num_bytes / _MEGABYTE:.0f} MB beyond the loaded network"
    )


def main() -> None:
    """Prints a line a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--schp", type=Path, help="the folder of SCHP's files; without it SCHP is left out")
    arguments = parser.parse_args()
    print(f"{PHOTO.name} at {SIZE[0]}x{SIZE[1]}")
    for name in NETWORKS if arguments.schp else ("densepose", "openpose"):
        given = arguments.schp if name == "schp" else None
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(measure, (name, arguments.threads, given)), flush=True)


if __name__ == "__main__":
    main()
