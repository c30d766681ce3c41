"""Trains the person parser ``studio-net`` on the studio's people.

    idmvton studio make people --pairs 6000 --size 256x192 --seed 7
    python tools/train_parser.py people/train --steps 6000 --processes 2 --output studio-net.safetensors

First the pose backend looks at every picture once; its answers are kept in ``parser-signals`` beside the pictures, so
the network learns from what it will be given in use. Training starts with small pictures and ends with the full size.
A checkpoint is written every so many steps; the same command goes on from it, also with more ``--steps``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
from parser_data import Distorted, Validation, make_signals
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from idmvton.evaluate.label_maps import confusion, mean_iou
from idmvton.images.densepose import COARSE_PARTS
from idmvton.prepare.backends.blazepose import BlazePose
from idmvton.prepare.backends.studio_net.encoding import SIZE
from idmvton.prepare.backends.studio_net.network import NUM_LABELS, NUM_PART_CLASSES, ParserNet

STAGES = ((0.8, (128, 96)), (1.0, SIZE))  # until this share of the steps: height, width
WARM_UP, DECAY = 200, 0.35  # steps; share of the steps at the end in which the rate falls to zero
BATCH, RATE, WEIGHT_DECAY = 8, 1.5e-3, 1e-3  # batch of each process
EMA_DECAY = 0.997
WEIGHTS = (0.5, 8.0)  # least and greatest weight of a class; rare ones weigh more
USUAL = 0.01  # share of the pixels of a class of weight 1


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a split's folder of the studio")
    parser.add_argument("--signals", type=Path, help="folder of the pose backend's answers (DATA/parser-signals)")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--checkpoint", type=Path, default=Path("parser-checkpoint.pt"))
    parser.add_argument("--output", type=Path, default=Path("studio-net.safetensors"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="each has its own batches; gradients are averaged")
    parser.add_argument("--port", type=int, default=29871, help="on this machine, for the processes")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints")
    options = parser.parse_args()
    options.signals = options.signals or options.data / "parser-signals"
    new = make_signals(options.data, options.signals, BlazePose(model="full", num_threads=1))
    print(f"{new} new pictures were shown to the pose backend")
    torch.multiprocessing.spawn(work, (options,), nprocs=options.processes)


def work(rank: int, options: argparse.Namespace) -> None:
    """One of the processes; the first one saves and reports."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(max(1, torch.get_num_threads() // options.processes))
    address = f"tcp://127.0.0.1:{options.port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=options.processes)
    Training(options, rank).run()
    distributed.destroy_process_group()


class Training:
    """The network, its average, the optimizer and the step they are at; the same in every process."""

    def __init__(self, options: argparse.Namespace, rank: int) -> None:
        self.options, self.rank, self.step = options, rank, 0
        self.network = ParserNet().to(memory_format=torch.channels_last)
        self.average = torch.optim.swa_utils.AveragedModel(self.network, multi_avg_fn=follow, use_buffers=True)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
        self.weights = class_weights(Validation(options.data, options.signals, STAGES[0][1]))
        if options.checkpoint.exists():
            state = torch.load(options.checkpoint, weights_only=True)
            self.step = state["step"]
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])

    def run(self) -> None:
        """Trains to the last step, with a checkpoint and a validation every so often."""
        for share, size in STAGES:
            last = round(share * self.options.steps)
            if self.step >= last:
                continue
            seed = [self.options.seed, self.step, self.rank]
            data = Distorted(self.options.data, self.options.signals, size, seed)
            batches = iter(DataLoader(data, BATCH, num_workers=1, prefetch_factor=4))
            while self.step < last:
                self._train(batches, min(self.step + self.options.every, last))
                if self.rank == 0:
                    self._save()
                    print(f"step {self.step} {size}: {self._validate(size)}", flush=True)

    def _train(self, batches, last: int) -> None:
        start, first, total = time.perf_counter(), self.step, 0.0
        self.network.train()
        while self.step < last:
            total += self._update(next(batches))
        done, seconds = self.step - first, time.perf_counter() - start
        if self.rank == 0:
            speed = done * BATCH * self.options.processes / seconds
            print(f"loss {total / done:.4f}, {speed:.1f} pictures/s", flush=True)

    def _update(self, batch: list[Tensor]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * rate(self.step, self.options.steps)
        picture, pose, labels, parts = batch
        picture, pose = (values.contiguous(memory_format=torch.channels_last) for values in (picture, pose))
        found_labels, found_parts = self.network(picture, pose)
        corner = np.random.default_rng([self.options.seed, self.step]).integers(0, 2, 2)
        loss = class_loss(found_labels, labels, self.weights[0], corner)
        loss = loss + class_loss(found_parts, parts, self.weights[1], corner)
        self.optimizer.zero_grad()
        loss.backward()
        self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return float(loss.detach())

    def _share_gradients(self) -> None:
        """Every process goes on with the mean of all."""
        gradients = [parameter.grad for parameter in self.network.parameters()]
        flat = torch.cat([gradient.flatten() for gradient in gradients]) / self.options.processes
        distributed.all_reduce(flat)
        for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        temporary = self.options.checkpoint.with_suffix(".part")
        torch.save({"step": self.step, **state}, temporary)
        temporary.replace(self.options.checkpoint)
        weights = self.average.module.state_dict()
        save_file({name: half(value) for name, value in weights.items()}, self.options.output)

    def _validate(self, size: tuple[int, int]) -> str:
        network = self.average.module.eval()
        labels = np.zeros((NUM_LABELS, NUM_LABELS), np.int64)
        parts = np.zeros((NUM_PART_CLASSES, NUM_PART_CLASSES), np.int64)
        coarse = np.zeros((15, 15), np.int64)
        data = Validation(self.options.data, self.options.signals, size)
        for picture, pose, true_labels, true_parts in DataLoader(data, 8):
            with torch.inference_mode():
                scores = network(picture.contiguous(memory_format=torch.channels_last), pose)
            found = [
                F.interpolate(values, size, mode="bilinear").argmax(1).numpy().astype(np.uint8) for values in scores
            ]
            truth = [values.numpy().astype(np.uint8) for values in (true_labels, true_parts)]
            labels += confusion(truth[0], found[0], NUM_LABELS)
            parts += confusion(truth[1], found[1], NUM_PART_CLASSES)
            coarse += confusion(COARSE_PARTS[truth[1]], COARSE_PARTS[found[1]], 15)
        return (
            f"labels {mean_iou(labels):.3f}, 24 parts {mean_iou(parts):.3f}, 14 parts {mean_iou(coarse):.3f} mean IoU"
        )


def follow(averages: list[Tensor], values: list[Tensor], count: Tensor) -> None:
    """Moves averages toward values: fast while they are young, slowly later."""
    share = max(1 - EMA_DECAY, 1 / (1 + 0.1 * float(count)))
    for average, value in zip(averages, values, strict=True):
        average.lerp_(value, share) if average.is_floating_point() else average.copy_(value)


def rate(step: int, steps: int) -> float:
    """Share of the full learning rate: up, constant, down to zero."""
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / (DECAY * steps))


def class_weights(data: Validation) -> tuple[Tensor, Tensor]:
    """Weights of the labels and of the parts, from how many pixels they have."""
    counts = np.zeros(NUM_LABELS), np.zeros(NUM_PART_CLASSES)
    for index in range(len(data)):
        for count, truth in zip(counts, data[index][2:], strict=True):
            count += np.bincount(truth.flatten(), minlength=len(count))
    return tuple(
        torch.from_numpy(np.clip(np.sqrt(USUAL * count.sum() / np.maximum(count, 1)), *WEIGHTS)).float()
        for count in counts
    )


def class_loss(scores_BCHW: Tensor, truth_BHW: Tensor, weights: Tensor, corner: np.ndarray) -> Tensor:
    """Cross-entropy, and overlap so that small classes count, at the scores' half resolution.

    Of each 2 x 2 true pixels the one at ``corner`` is compared; over the steps this is unbiased.
    """
    truth = truth_BHW[:, corner[0] :: 2, corner[1] :: 2]
    classes = scores_BCHW.shape[1]
    entropy = F.cross_entropy(scores_BCHW, truth, weights)
    shares = scores_BCHW.softmax(1)
    wanted = F.one_hot(truth, classes).permute(0, 3, 1, 2)
    hits, found, true = (values.sum((0, 2, 3))[1:] for values in (shares * wanted, shares, wanted))
    overlap = (2 * hits + 50) / (found + true + 50)
    return entropy + 0.5 * (1 - overlap[true > 0]).mean()


def half(value: Tensor) -> Tensor:
    """Float16 for weights; counters stay whole numbers."""
    return value.half().contiguous() if value.is_floating_point() else value


if __name__ == "__main__":
    main()
