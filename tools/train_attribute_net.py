"""Trains the network that reads garments, from random weights, while worker processes render product pictures.

    python tools/train_attribute_net.py src/idmvton/prepare/assets/attribute-net.safetensors --minutes 20 --workers 1

Pictures are rendered for the first part of the time and used from the start. At the end it is measured on product
pictures of the test stream, which share nothing with those. Two CPU cores are enough.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from idmvton.captions.templates import ITEMS
from idmvton.prepare.attribute_net import WORDS, AttributeNet, to_input
from idmvton.training.ema import MovingAverage
from idmvton.training.mini.attributes import Products, cosine, loss_of, render_product
from idmvton.training.mini.pool import Pool

RENDERING = 0.6  # of the time


def train(net: AttributeNet, pool: Pool, arguments: argparse.Namespace) -> int:
    """Trains until the time is over; returns the number of steps."""
    device = pool.device
    parameters = list(net.parameters())
    optimizer = torch.optim.AdamW(parameters, arguments.rate, betas=(0.9, 0.99), weight_decay=0.01)
    average = MovingAverage(parameters, 0.99)
    generator = torch.Generator(device).manual_seed(arguments.seed)
    start, step = time.monotonic(), 0
    while (passed := (time.monotonic() - start) / (60 * arguments.minutes)) < 1:
        if passed > RENDERING:
            pool.close()
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * min(1, (step + 1) / 30) * cosine(passed)
        rows = torch.randint(len(pool), (arguments.batch,), generator=generator, device=device)
        loss = loss_of(net, pool["picture"][rows], pool["words"][rows], generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.update()
        if step % 20 == 0:
            print(f"{passed:4.0%}  step {step}, {len(pool)} pictures, loss {loss.item():.3f}", flush=True)
        step += 1
    context = average.in_place()
    context.__enter__()  # the averages stay
    return step


@torch.inference_mode()
def accuracies(net: AttributeNet, seed: int, count: int) -> dict[str, float]:
    """Shares of right answers on rendered product pictures of the test stream, where the garment has the attribute."""
    net.eval()
    made = [render_product(seed, index, "test") for index in range(count)]
    pictures, words = (np.stack(each) for each in zip(*made, strict=True))
    scores = net(to_input(torch.from_numpy(pictures)))
    parts = list(ITEMS.values())
    found = {}
    for column, name in enumerate(WORDS):
        has = words[:, column] >= 0
        found[name] = float((scores[name].argmax(1).numpy() == words[:, column])[has].mean())
    guessed = scores["item"].softmax(1).numpy()
    by_part = {part: guessed[:, [each == part for each in parts]].sum(1) for part in dict.fromkeys(parts)}
    best = np.array(list(by_part))[np.stack(list(by_part.values())).argmax(0)]
    found["category"] = float((best == np.array([parts[number] for number in words[:, 0]])).mean())
    return found


def main() -> None:
    """Reads the arguments, trains, measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the safetensors file to write, half precision")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=12000, help="the most that are rendered")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--init", type=Path, help="weights to go on from")
    parser.add_argument("--measured", type=int, default=300, help="test pictures")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    net = AttributeNet().to(device).train()
    if arguments.init:
        net.load_state_dict({name: value.float() for name, value in load_file(arguments.init).items()})
    pool = Pool(arguments.pictures, device, partial(Products, arguments.seed), arguments.workers)
    while len(pool) < arguments.batch:
        if pool.errors:
            raise SystemExit(pool.errors[0])
        time.sleep(0.5)
    steps = train(net, pool, arguments)
    save_file(
        {name: value.detach().half().cpu().contiguous() for name, value in net.state_dict().items()}, arguments.output
    )
    print(f"{steps} steps x {arguments.batch} on {len(pool)} pictures; {arguments.output}")
    print(json.dumps(accuracies(net.cpu(), arguments.seed, arguments.measured), indent=2))


if __name__ == "__main__":
    main()
