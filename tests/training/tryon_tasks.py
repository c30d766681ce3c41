"""Small try-on tasks on rendered photos, and what inference makes of the same samples."""

import torch

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.data.sample import TryOnSample
from idmvton.training.batches import Ticket, collate
from idmvton.training.recipe import make_recipe
from idmvton.training.sources import NO_CHANGE, Fetcher, open_source
from idmvton.training.tryon_task import TryOnTask
from idmvton.tryon.inputs import Request, gather_pairs
from idmvton.types import Size

SIZE = Size(64, 64)

BASE = {
    "train": {"steps": 1, "batch_size": 2, "workers": 0, "device": "cpu", "ema_decay": 0.0},
    "optimizer": {"learning_rate": 1e-3, "warmup_steps": 0},
    "data": {"height": 64, "width": 64, "split": "test", "missing_caption": "category phrase"},
    "validation": {"every": 0, "split": "test", "num_samples": 1, "num_losses": 2, "num_inference_steps": 2},
    "log": {"every": 1},
    "tryon": {"checkpoint": str(CHECKPOINT)},
}

NOTHING_DROPPED = {"drop_text": 0.0, "drop_image_prompt": 0.0, "drop_garment": 0.0, "drop_all": 0.0}


def recipe(photos, **changes):
    values = {name: section | changes.get(name, {}) for name, section in BASE.items()}
    values["data"]["folder"] = str(photos)
    return make_recipe({"task": "tryon"} | values | {k: v for k, v in changes.items() if k not in BASE})


def build(photos, **changes):
    made = recipe(photos, **changes)
    dataset = open_source(made.sections["data"], "test", None)
    return TryOnTask(made, dataset), dataset


def batch_of(task, dataset, numbers, augment=NO_CHANGE):
    fetcher = Fetcher(dataset, task, augment, 0)
    contents = collate([fetcher(Ticket(number, number % len(dataset), 0)) for number in numbers])
    return contents | task.encode(contents)


def inference(pipe: TryOnPipeline, samples: list[TryOnSample]):
    """What a call of the pipeline tells the networks, before it denoises."""
    columns = {
        name: [getattr(each, name) for each in samples]
        for name in ("person", "garment", "mask", "densepose", "caption")
    }
    pairs = gather_pairs(Request(**columns, seed=0), SIZE)
    garments = pipe.garment_encoder.encode(pairs.garments)
    people = pipe.encode_people(pairs.people).rows(pairs.person_rows)
    return pairs, garments, people


class Recording(torch.nn.Module):
    """Stands for the wrapped network: remembers what it was told and what it said."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *arguments):
        self.arguments = arguments
        self.prediction = self.model(*arguments)
        return self.prediction
