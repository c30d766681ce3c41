"""Trains mini's WarpNet and TryonNet further on one accelerator, within a given time.

    python tools/train_mini_on_gpu.py OUT --minutes 8 --workers 15

While worker processes render (and prepare every second photo as a try-on does), WarpNet is trained from random weights
on what is there already; then TryonNet, from the weights that come with the library, with the exact flow of the
renders. Last comes the network that reads garments, from random weights. Samples stay in the accelerator's memory; the
first ones are held back, and WarpNet is measured on them. Written, as each is done: warp, unet and attributes
(.safetensors, half precision), warp_config.json and log.txt in OUT.

``python tools/train_mini_on_gpu.py OUT --minutes 2 --workers 1 --tiny`` rehearses it on a CPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from idmvton.checkpoint.parts import WARP_NET, load_part
from idmvton.checkpoint.published import rename_resampler
from idmvton.draft.warp_net import WarpNet
from idmvton.models.image_prompt import to_published
from idmvton.prepare.attribute_net import AttributeNet
from idmvton.training.ema import MovingAverage
from idmvton.training.mini.attributes import Products, cosine, loss_of
from idmvton.training.mini.batches import draw_samples, recoloured, tryon_batch, warp_batch
from idmvton.training.mini.mini_tryon_task import MiniTryOnTask
from idmvton.training.mini.pool import People, Pool
from idmvton.training.mini.stage_sections import WarpOptions
from idmvton.training.mini.warp_task import WarpTask
from idmvton.training.recipe import load_recipe
from idmvton.types import Size

MINI = Path(__file__).parents[1] / "src" / "idmvton" / "assets" / "mini"
WARP_SIZE = Size(256, 192)
SHARES = {"first": 0.08, "warp": 0.66, "encode": 0.71, "tryon": 0.91, "attributes": 0.98}
"""Section -> when it ends, as a share of the time."""


class Clock:
    """How much of the time has passed."""

    def __init__(self, minutes: float, log: Path) -> None:
        self.start, self.seconds, self.log = time.monotonic(), minutes * 60, log

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return (time.monotonic() - self.start) / self.seconds

    def tell(self, words: str) -> None:
        """Prints and logs a line."""
        line = f"{time.monotonic() - self.start:7.1f} s  {words}"
        print(line, flush=True)
        with self.log.open("a") as file:
            file.write(line + "\n")


def steps_until(clock: Clock, end: float, optimizer: torch.optim.Optimizer, rate: float) -> Iterator[int]:
    """Counts steps, one at least, until a share of the time has passed; the rate warms up and follows a cosine."""
    first, step = clock.share, 0
    while step == 0 or clock.share < end:
        passed = min(1.0, (clock.share - first) / max(end - first, 1e-3))
        warm = min(1.0, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * cosine(passed)
        yield step
        step += 1


def adamw(parameters: list[nn.Parameter], device: torch.device) -> torch.optim.AdamW:
    """The optimizer of both trainings."""
    return torch.optim.AdamW(parameters, 1e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=device.type == "cuda")


def new_warp_task(arguments: argparse.Namespace) -> WarpTask:
    """WarpNet's task, with random weights."""
    height, width = WARP_SIZE
    changes = {
        "warp.height": height,
        "warp.width": width,
        "warp.channels": arguments.warp_channels,
        "warp.num_layers": arguments.warp_layers,
        "warp.outline_weight": 0.4,
    }
    torch.manual_seed(1)
    return WarpTask(load_recipe("mini_warp", [f"{name}={value}" for name, value in changes.items()]), None)  # type: ignore[arg-type]


def train_warp(pool: Pool, clock: Clock, out: Path, arguments: argparse.Namespace) -> None:
    """Section 1: WarpNet."""
    device = pool.device
    task = new_warp_task(arguments)
    net = task.net.to(device)
    if arguments.channels_last:
        net.to(memory_format=torch.channels_last)
    generator = torch.Generator(device).manual_seed(1)
    parameters = list(net.parameters())
    optimizer, average = adamw(parameters, device), MovingAverage(parameters, 0.998)
    seen, measured = 0, clock.share
    for step in steps_until(clock, SHARES["warp"], optimizer, arguments.warp_rate):
        with torch.no_grad():
            drawn = draw_samples(pool, arguments.warp_batch, generator, first=arguments.held)
            batch = recoloured(warp_batch(pool, drawn, task.size, task.options, generator), generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.half):
            loss = task.loss(net, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.per_sample.mean().backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        if bool(torch.isfinite(norm)):
            optimizer.step()
            average.update()
        seen += len(drawn["number"])
        if step % (1 if arguments.tiny else 200) == 0:
            parts = ", ".join(f"{name} {each.item():.4f}" for name, each in loss.parts.items())
            clock.tell(f"warp step {step}, {len(pool)} samples, {seen} seen: {parts}")
        if clock.share - measured > 0.1:
            measured = clock.share
            with average.in_place():
                clock.tell(f"  held back: {measure(net, pool, task.options, arguments.held)}")
    with average.in_place():
        clock.tell(f"warp: {step + 1} steps x {arguments.warp_batch}")
        clock.tell(f"  held back: {measure(net, pool, task.options, arguments.held)}")
        save(net.state_dict(), out / "warp.safetensors")
        (out / "warp_config.json").write_text(net.to_json_string())
        net.cpu().save_pretrained(arguments.stage / WARP_NET)
    shipped = load_part(MINI / WARP_NET, WARP_NET).to(device)
    clock.tell(f"  the library's: {measure(shipped, pool, task.options, arguments.held)}")


@torch.no_grad()
def measure(net: WarpNet, pool: Pool, options: WarpOptions, count: int) -> str:
    """How WarpNet does on the first samples, in words: own and other garment, with exact and with prepared maps."""
    net.eval()
    still = replace(options, turn=0.0, zoom=0.0, shear=0.0, shift=0.0)
    size, device = Size(net.config.height, net.config.width), pool.device
    generator = torch.Generator(device).manual_seed(0)
    scale = torch.tensor([size.width / size.height, 1.0], device=device)[:, None, None] / 2
    told = []
    for other, maps in product((0, 1), (0, 1)):
        errors, overlaps = [], []
        for rows in torch.arange(count, device=device).split(16):
            drawn = {
                "number": rows,
                "other": torch.full_like(rows, other),
                "maps": torch.full_like(rows, maps),
                "varied": torch.zeros_like(rows, dtype=torch.bool),
                "mirrored": torch.zeros_like(rows, dtype=torch.bool),
            }
            batch = warp_batch(pool, drawn, size, still, generator)
            warp = net(batch["person"], batch["garment"])
            errors.append(((warp.flow - batch["flow"]) * scale).norm(dim=1)[batch["known"][:, 0] > 0])
            seen, said = batch["seen"] > 0, (warp.outline > 0) & (batch["person"][:, -4:-3] > 0)
            overlaps.append((seen & said).sum((1, 2, 3)) / (seen | said).sum((1, 2, 3)).clamp(min=1))
        name = f"{('own', 'other')[other]}/{('exact', 'prepared')[maps]}"
        told.append(f"{name} {torch.cat(errors).median():.2%} {torch.cat(overlaps).mean():.3f}")
    net.train()
    return ", ".join(told)


def encode_pairs(task: MiniTryOnTask, pool: Pool, clock: Clock, batch_size: int) -> dict[str, Tensor]:
    """Section 2: everything that the frozen networks make of pairs, as many as the time allows."""
    rng = torch.Generator().manual_seed(2)
    order = torch.randperm(2 * len(pool), generator=rng).tolist()
    stored: dict[str, list[Tensor]] = {}
    done = 0
    while clock.share < SHARES["encode"] and done < len(order):
        rows = []
        for each in order[done : done + batch_size]:
            maps, varied = (int(torch.randint(2, (1,), generator=rng)) for _ in range(2))
            rows.append(tryon_batch(pool, task.size, each // 2, each % 2, maps, bool(varied)))
        batch = {
            name: [row[name] for row in rows] if name == "caption" else torch.stack([row[name] for row in rows])
            for name in rows[0]
        }
        encoded = task.encode(batch)
        for name, value in encoded.items():
            stored.setdefault(name, []).append(value.half() if value.is_floating_point() else value)
        done += len(rows)
    clock.tell(f"encoded {done} of {len(order)} pairs")
    return {name: torch.cat(values) for name, values in stored.items()}


def train_tryon(pool: Pool, clock: Clock, out: Path, arguments: argparse.Namespace) -> None:
    """Section 3: TryonNet, from the weights of the library."""
    device = pool.device
    warp_net = arguments.stage if (arguments.stage / WARP_NET).is_dir() else MINI
    changes = {
        "tryon.init": "checkpoint",
        "tryon.checkpoint": MINI,
        "mini_tryon.warp_net": warp_net,
        "mini_tryon.start": "trained",
        "mini_tryon.fine_attention": "false",
    }
    recipe = load_recipe("mini_tryon", [f"{name}={value}" for name, value in changes.items()])
    task = MiniTryOnTask(recipe, None)  # type: ignore[arg-type]
    task.pipe.to(device)
    clock.tell("try-on: networks are there")
    stored = encode_pairs(task, pool, clock, arguments.encode_batch)
    pool.close()
    arguments.products = product_pool(arguments, device)
    model = task.model.to(device).train()
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer, average = adamw(parameters, device), MovingAverage(parameters, 0.998)
    count, size = len(stored["latents"]), arguments.tryon_batch
    generator = torch.Generator(device).manual_seed(3)
    last = task.num_timesteps - 1
    for step in steps_until(clock, SHARES["tryon"], optimizer, arguments.tryon_rate):
        rows = torch.randint(count, (size,), generator=generator, device=device)
        batch = {
            name: value[rows].float() if value.is_floating_point() else value[rows] for name, value in stored.items()
        }
        chance = torch.rand((4, size), generator=generator, device=device)
        batch |= {
            "timestep": torch.full((size,), last, device=device),
            "drop_text": chance[0] < 0.05,
            "drop_image_prompt": chance[1] < 0.05,
            "drop_garment": chance[2] < 0.03,
            "noise": torch.randn(batch["latents"].shape, generator=generator, device=device),
        }
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = task.loss(model, batch).per_sample.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        if bool(torch.isfinite(norm)):
            optimizer.step()
            average.update()
        if step % (1 if arguments.tiny else 100) == 0:
            clock.tell(f"try-on step {step}: loss {loss.item():.4f}")
    with average.in_place():
        save(rename_resampler(task.unet.state_dict(), to_published), out / "unet.safetensors")
    clock.tell(f"try-on: {step + 1} steps x {size}")


def product_pool(arguments: argparse.Namespace, device: torch.device) -> Pool:
    """Product pictures, rendered from now on."""
    return Pool(arguments.num_products, device, partial(Products, arguments.seed), arguments.workers)


def train_attributes(pool: Pool, clock: Clock, out: Path, arguments: argparse.Namespace) -> None:
    """Section 4: the network that reads garments, from random weights; products were rendered meanwhile."""
    products = arguments.products or product_pool(arguments, pool.device)
    while not len(products):
        time.sleep(0.5)
    products.close()
    device = products.device
    torch.manual_seed(4)
    net = AttributeNet().to(device).train()
    parameters = list(net.parameters())
    optimizer, average = adamw(parameters, device), MovingAverage(parameters, 0.998)
    generator = torch.Generator(device).manual_seed(4)
    pictures, words = products["picture"], products["words"]
    clock.tell(f"attributes: {len(products)} product pictures; errors: {products.errors[:1]}")
    for step in steps_until(clock, SHARES["attributes"], optimizer, 2e-3):
        rows = torch.randint(len(pictures), (arguments.product_batch,), generator=generator, device=device)
        loss = loss_of(net, pictures[rows], words[rows], generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.update()
        if step % (1 if arguments.tiny else 200) == 0:
            clock.tell(f"attributes step {step}: loss {loss.item():.4f}")
    with average.in_place():
        save(net.state_dict(), out / "attributes.safetensors")
    clock.tell(f"attributes: {step + 1} steps x {arguments.product_batch}")


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Half precision, as the library's own files are."""
    halves = {name: value.detach().half().cpu().contiguous() for name, value in tensors.items()}
    save_file(halves, path, metadata={"format": "pt"})


def main() -> None:
    """Reads the arguments and goes through the sections; one that fails does not stop the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--capacity", type=int, default=4000)
    parser.add_argument("--num-products", type=int, default=24000)
    parser.add_argument("--held", type=int, default=64, help="samples that WarpNet is measured on")
    parser.add_argument("--warp-channels", type=int, nargs=4, default=[32, 64, 128, 192])
    parser.add_argument("--warp-layers", type=int, default=6)
    parser.add_argument("--warp-batch", type=int, default=64)
    parser.add_argument("--warp-rate", type=float, default=1e-3)
    parser.add_argument("--tryon-batch", type=int, default=24)
    parser.add_argument("--tryon-rate", type=float, default=3e-4)
    parser.add_argument("--encode-batch", type=int, default=16)
    parser.add_argument("--product-batch", type=int, default=192)
    parser.add_argument("--half", action="store_true", help="WarpNet's products in bfloat16")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--without-prepared", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal: a few samples, small batches")
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.warp_batch = arguments.tryon_batch = arguments.encode_batch = 2
        arguments.product_batch = 8
        arguments.capacity, arguments.num_products, arguments.held = 6, 32, 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.stage, arguments.products = Path(tempfile.mkdtemp()), None
    clock = Clock(arguments.minutes, arguments.out / "log.txt")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    clip_size = load_part(MINI / "image_encoder", "image_encoder").config.image_size
    make = partial(People, arguments.seed, Size(512, 384), clip_size, not arguments.without_prepared)
    pool = Pool(arguments.capacity, device, make, arguments.workers)
    clock.tell(f"{device}: {arguments.workers} processes render")
    needed = arguments.held + (2 if arguments.tiny else 64)
    while len(pool) < needed and (clock.share < SHARES["first"] or len(pool) <= arguments.held) and clock.share < 0.4:
        time.sleep(0.5)
    clock.tell(f"{len(pool)} samples; errors: {pool.errors[:1]}")
    for section in (train_warp, train_tryon, train_attributes):
        try:
            section(pool, clock, arguments.out, arguments)
        except Exception:  # the next section still can do its part
            clock.tell(traceback.format_exc())
        clock.tell(f"{len(pool)} samples; errors: {pool.errors[:1]}")
    pool.close()


if __name__ == "__main__":
    main()
