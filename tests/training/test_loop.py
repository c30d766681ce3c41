"""The loop: what the published training code got wrong, and what an interruption must not change."""

import dataclasses
import functools
import itertools
import json
import operator
import os
import random
import signal

import fsspec
import pytest
import torch
from numpy.random import mtrand

from idmvton.data import write_shards
from idmvton.errors import ConfigError, InputError, NumericsError
from idmvton.training.optimization import rate_at
from idmvton.training.run_folder import saved_states
from idmvton.training.sections import DataOptions, OptimizerOptions
from idmvton.training.sources import open_source
from idmvton.training.trainer import Trainer
from training.toy import Toy, toy_recipe, weights


def run(photos, folder, *, resume=False, task=Toy, **changes):
    trainer = Trainer(toy_recipe(photos, **changes), folder, resume=resume, tasks=task)
    return trainer, trainer.run()


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


# ------------------------------------------------------------------ faults 2 to 5 of the published training code


def test_clipping_clips(photos, tmp_path):
    """Fault 2: with plain gradient descent the step is the clipped gradient."""
    trainer, _ = run(photos, tmp_path / "a", train={"steps": 1, "max_grad_norm": 0.01})
    gradient_steps = []
    before = [each.detach().clone() for each in trainer.trained]

    class Watch(Toy):
        pass

    trainer = Trainer(toy_recipe(photos, train={"steps": 1, "max_grad_norm": 0.01}), tmp_path / "b", tasks=Watch)
    step = trainer.optimizer.optimizer.step

    def spy(*arguments, **keywords):
        gradients = torch.cat([each.grad.flatten() for each in trainer.trained])
        gradient_steps.append(float(gradients.norm()))
        return step(*arguments, **keywords)

    trainer.optimizer.optimizer.step = spy
    trainer.run()
    assert before
    assert gradient_steps == [pytest.approx(0.01, rel=1e-3)]
    assert metrics(tmp_path / "b")[0]["gradient_norm"] > 0.1  # the norm before clipping is reported


def test_without_a_limit_gradients_stay(photos, tmp_path):
    one, _ = run(photos, tmp_path / "a", train={"steps": 1, "max_grad_norm": 0.0})
    two, _ = run(photos, tmp_path / "b", train={"steps": 1, "max_grad_norm": 1e6})
    assert same(one.model.state_dict(), two.model.state_dict())


def test_accumulated_parts_make_one_step(photos, tmp_path):
    """Faults 3 and 4: the optimizer steps once a batch, and a step counts once."""
    trainer = Trainer(toy_recipe(photos, train={"steps": 3, "accumulation": 2}), tmp_path / "a", tasks=Toy)
    steps = []
    step = trainer.optimizer.optimizer.step
    trainer.optimizer.optimizer.step = lambda *a, **k: (steps.append(1), step(*a, **k))[1]
    outcome = trainer.run()
    assert (outcome.step, len(steps), len(trainer.task.seen)) == (3, 3, 6)
    assert [line["step"] for line in metrics(tmp_path / "a")] == [1, 2, 3]
    whole, _ = run(photos, tmp_path / "b", train={"steps": 3})
    assert len(whole.task.seen) == 3
    assert functools.reduce(operator.iadd, trainer.task.seen, []) == functools.reduce(
        operator.iadd, whole.task.seen, []
    )
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_samples_are_shuffled_by_the_seed(photos, tmp_path):
    """Fault 5: another order in each pass; the seed decides it, and the draws."""
    first, _ = run(photos, tmp_path / "a", train={"steps": 3})
    again, _ = run(photos, tmp_path / "b", train={"steps": 3})
    other, _ = run(photos, tmp_path / "c", train={"steps": 3, "seed": 1})
    names = functools.reduce(operator.iadd, first.task.seen, [])
    assert sorted(names[:6]) == sorted(names[6:]) == sorted(set(names))  # 12 draws: two passes over 6 samples
    assert names[:6] != sorted(names[:6])
    assert names[:6] != names[6:]
    assert again.task.seen == first.task.seen != other.task.seen
    assert same(first.model.state_dict(), again.model.state_dict())
    assert not same(first.model.state_dict(), other.model.state_dict())


@pytest.mark.parametrize("cache", [None, "cache"])
def test_resuming_is_bit_equal(photos, tmp_path, cache):
    """Fault 5: weights, average, optimizer, rate, sampler and random states go on as if nothing had happened."""
    settings = {"data": {"cache": cache}, "optimizer": {"schedule": "cosine"}}
    whole, _ = run(photos, tmp_path / "whole", **settings)

    class Stops(Toy):
        def loss(self, model, batch):
            if len(self.seen) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(model, batch)

    before = signal.getsignal(signal.SIGTERM)
    cut, outcome = run(photos, tmp_path / "cut", task=Stops, **settings)
    assert (outcome.reason, outcome.step, outcome.checkpoint) == ("terminate", 4, None)
    assert signal.getsignal(signal.SIGTERM) is before
    states = [random.random(), mtrand.random_sample(), torch.rand(1)]  # move the random states on
    assert len(states) == 3
    rest, outcome = run(photos, tmp_path / "cut", resume=True, **settings)
    assert (outcome.reason, outcome.step) == ("finished", 8)
    assert cut.task.seen + rest.task.seen == whole.task.seen
    assert same(whole.model.state_dict(), rest.model.state_dict())
    assert all(map(torch.equal, whole.average.averages, rest.average.averages))
    left, right = whole.optimizer.state_dict()["state"], rest.optimizer.state_dict()["state"]
    assert all(torch.equal(left[key][name], right[key][name]) for key in left for name in left[key])
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    untimed = [{k: v for k, v in line.items() if not k.startswith(("samples", "memory"))}
               for line in metrics(tmp_path / "cut")]  # fmt: skip
    assert [line["step"] for line in untimed] == list(range(1, 9))
    assert untimed[5]["loss"] == metrics(tmp_path / "whole")[5]["loss"]


def test_random_states_are_restored(photos, tmp_path):
    class Draws(Toy):
        def loss(self, model, batch):
            self.drawn = (random.random(), float(mtrand.random_sample()), float(torch.rand(1)))
            return super().loss(model, batch)

    whole, _ = run(photos, tmp_path / "whole", task=Draws, train={"steps": 4})
    run(photos, tmp_path / "cut", task=Draws, train={"steps": 2})
    rest, _ = run(photos, tmp_path / "cut", task=Draws, resume=True, train={"steps": 4})
    assert rest.task.drawn == whole.task.drawn


def test_the_average_follows_the_weights(photos, tmp_path):
    """Fault 5: recomputed by hand from the weights after each step; pictures and checkpoints use it."""
    history = []

    class Remembers(Toy):
        def loss(self, model, batch):
            history.append(self.model.weight.detach().clone())
            return super().loss(model, batch)

    trainer, _ = run(photos, tmp_path / "a", task=Remembers, train={"steps": 5, "ema_decay": 0.2})
    history.append(trainer.task.model.weight.detach().clone())
    expected = history[0]
    for number, after in enumerate(history[1:], 1):
        decay = min(0.2, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * after
    torch.testing.assert_close(trainer.average.averages[0], expected)
    torch.testing.assert_close(weights(tmp_path / "a")["weight"], expected)
    assert torch.equal(trainer.task.model.weight, history[-1])  # the weights themselves came back


def test_warm_up_and_schedules():
    options = OptimizerOptions(learning_rate=1.0, warmup_steps=4, schedule="cosine", final_share=0.1)
    rates = [rate_at(step, 24, options) for step in range(24)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[14] == pytest.approx(0.55)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[4:]))
    assert rate_at(24, 24, options) == pytest.approx(0.1)
    constant = OptimizerOptions(learning_rate=1.0, warmup_steps=4)
    assert [rate_at(step, 24, constant) for step in (0, 4, 23)] == [0.25, 1.0, 1.0]


def test_the_rate_reaches_the_optimizer(photos, tmp_path):
    trainer, _ = run(photos, tmp_path, train={"steps": 1}, optimizer={"warmup_steps": 10, "learning_rate": 1e-3})
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert metrics(tmp_path)[0]["rate"] == pytest.approx(1e-4)


# ------------------------------------------------------------------ stopping


def test_numbers_that_are_not_finite_stop_everything(photos, tmp_path):
    """The batch is saved, and the weights are those before it."""

    class Explodes(Toy):
        def loss(self, model, batch):
            self.before = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.factor = float("nan") if len(self.seen) == 2 else 1.0
            return super().loss(model, batch)

    trainer = Trainer(toy_recipe(photos), tmp_path, tasks=Explodes)
    with pytest.raises(NumericsError, match="step 2 are not finite") as caught:
        trainer.run()
    (path,) = tmp_path.glob("not-finite-*.pt")
    assert str(path) in str(caught.value)
    (batch,) = torch.load(path, weights_only=True)
    assert batch["name"] == trainer.task.seen[-1]
    assert batch["name"][0] in str(caught.value)
    assert batch["noise"].shape == (4, 8)
    assert same(trainer.task.before, trainer.task.model.state_dict())


def test_time_is_up(photos, tmp_path):
    _, outcome = run(photos, tmp_path, train={"max_minutes": 0.0})
    assert (outcome.reason, outcome.step) == ("time", 1)
    assert [path.name for path in saved_states(tmp_path)] == ["step-00000001"]
    _, outcome = run(photos, tmp_path, resume=True)
    assert (outcome.reason, outcome.step) == ("finished", 8)


def test_an_interrupted_save_leaves_no_state(photos, tmp_path, monkeypatch):
    run(photos, tmp_path, train={"steps": 2})
    trainer = Trainer(toy_recipe(photos), tmp_path, resume=True, tasks=Toy)

    def full(folder):
        (trainer.folder / "states" / ".step-00000008.part" / "half").write_text("")
        raise OSError("no space")

    monkeypatch.setattr(trainer.accelerator, "save_state", full)
    with pytest.raises(InputError, match="no space"):
        trainer.run()
    assert [path.name for path in saved_states(tmp_path)] == ["step-00000002"]
    _, outcome = run(photos, tmp_path, resume=True)
    assert outcome.step == 8


def test_sharded_weights_are_gathered_for_the_checkpoint(photos, tmp_path, monkeypatch):
    """One process stands for one of many: the checkpoint comes from gathered weights, in a copy of its own."""
    whole, _ = run(photos, tmp_path / "whole")
    for module in ("state", "trainer"):
        monkeypatch.setattr(f"idmvton.training.{module}.is_sharded", lambda accelerator: True)
    trainer, _ = run(photos, tmp_path / "sharded", train={"max_minutes": 0.0})
    assert [path.name for path in saved_states(tmp_path / "sharded")[0].glob("average*")] == ["average-0.safetensors"]
    trainer, _ = run(photos, tmp_path / "sharded", resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "sharded"))
    assert trainer._plain is not trainer.task.model
    assert same(whole.model.state_dict(), trainer.model.state_dict())
    with pytest.raises(ConfigError, match=r"validation\.every"):
        run(photos, tmp_path / "shown", validation={"every": 2})


def test_a_state_without_an_average(photos, tmp_path):
    run(photos, tmp_path, train={"steps": 1, "ema_decay": 0.0})
    with pytest.raises(ConfigError, match="no moving average"):
        run(photos, tmp_path, resume=True)


def test_the_newest_states_are_kept(photos, tmp_path):
    run(photos, tmp_path, train={"save_every": 2, "keep": 2})
    assert [path.name for path in saved_states(tmp_path)] == ["step-00000006", "step-00000008"]


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": {"seed": 5}}, "another seed"),
        ({"train": {"batch_size": 2}}, "another batch_size"),
        ({"data": {"num_samples": 3}}, "another num_samples"),
    ],
)
def test_another_training_is_not_resumed(photos, tmp_path, changes, words):
    run(photos, tmp_path, train={"steps": 1})
    with pytest.raises(ConfigError, match=words):
        run(photos, tmp_path, resume=True, **changes)


@pytest.mark.parametrize("decay", [0.9, 0.0])
def test_another_network_is_not_resumed(photos, tmp_path, decay):
    """Told as such, in words; the state stays for the recipe that it belongs to."""

    class Wider(Toy):
        def __init__(self, recipe, dataset):
            super().__init__(recipe, dataset)
            self.model = torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.Linear(12, 8))

    settings = {"train": {"steps": 2, "ema_decay": decay}}
    run(photos, tmp_path, **settings)
    before = [path.read_bytes() for path in sorted(saved_states(tmp_path)[-1].rglob("*.safetensors"))]
    with pytest.raises(ConfigError, match="another network than the recipe's") as caught:
        run(photos, tmp_path, resume=True, task=Wider, **settings)
    assert str(saved_states(tmp_path)[-1]) in str(caught.value)
    assert "resume with that recipe" in str(caught.value)
    assert [path.read_bytes() for path in sorted(saved_states(tmp_path)[-1].rglob("*.safetensors"))] == before


def test_folders_are_not_mixed_up(photos, tmp_path):
    with pytest.raises(ConfigError, match="nothing to resume"):
        run(photos, tmp_path, resume=True)
    run(photos, tmp_path, train={"steps": 1})
    with pytest.raises(ConfigError, match="holds a training already"):
        run(photos, tmp_path)


def test_batches_that_cannot_be_shared_out(photos, tmp_path):
    with pytest.raises(ConfigError, match="shared out evenly"):
        run(photos, tmp_path, train={"batch_size": 5, "accumulation": 2})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_read_is_named(tmp_path, workers):
    from training.toy import data_folder

    folder = data_folder(tmp_path / "data", 3)
    (folder / "test" / "image" / "00001_00.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"00001_00\.jpg") as caught:
        run(folder, tmp_path / "run", train={"workers": workers})
    assert "Traceback" not in str(caught.value)


# ------------------------------------------------------------------ cache, metrics, validation


def test_the_cache_gives_what_the_networks_gave(photos, tmp_path):
    plain, _ = run(photos, tmp_path / "a")
    cached, _ = run(photos, tmp_path / "b", data={"cache": "rows"})
    assert (plain.task.encoded, cached.task.encoded) == (32, 6)
    assert plain.task.seen == cached.task.seen
    again = Trainer(toy_recipe(photos, data={"cache": "rows"}), tmp_path / "b", resume=True, tasks=Toy)
    again._fetcher()
    assert again.task.encoded == 0
    with pytest.raises(ConfigError, match="made by other networks"):
        Trainer(
            toy_recipe(photos, data={"cache": "rows", "height": 64, "width": 48}),
            tmp_path / "b",
            resume=True,
            tasks=Toy,
        )._fetcher()


def test_variants_of_the_cache_take_turns(photos, tmp_path):
    trainer, _ = run(photos, tmp_path, data={"cache": "rows", "cache_variants": 2})
    assert trainer.task.encoded == 12
    fetch = trainer._fetcher()
    from idmvton.training.batches import Ticket

    rows = [fetch(Ticket(0, 3, epoch))["latents"] for epoch in range(3)]
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])


def test_metrics_are_written(photos, tmp_path):
    run(photos, tmp_path, train={"steps": 4}, log={"every": 2, "timestep_bins": 2, "tensorboard": True})
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [2, 4]
    for line in lines:
        assert {"loss", "loss/0-4", "loss/5-9", "gradient_norm", "rate", "samples_per_second"} <= line.keys()
        assert min(line["loss/0-4"], line["loss/5-9"]) <= line["loss"] <= max(line["loss/0-4"], line["loss/5-9"])
        assert line["memory_mebibytes"] > 10
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_split_that_is_not_there_is_told_before_the_first_step(photos, tmp_path):
    with pytest.raises(InputError, match="list"):
        run(photos, tmp_path, validation={"every": 4, "split": "missing"})
    assert not (tmp_path / "metrics.jsonl").exists() or not metrics(tmp_path)


def test_validation_repeats_itself(photos, tmp_path):
    """Fixed samples, fixed noise, averaged weights: two validations of the same weights are equal."""
    trainer, _ = run(photos, tmp_path, validation={"every": 4, "num_losses": 5, "num_samples": 2})
    shown = [line for line in metrics(tmp_path) if "validation_loss" in line]
    assert [line["step"] for line in shown] == [4, 8]
    assert shown[1]["bias"] == pytest.approx(float(trainer.average.averages[1].sum()), rel=1e-4)
    assert trainer.validation.losses() == trainer.validation.losses()
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["step-00000004.png", "step-00000008.png"]


def test_shards_train_as_the_folder_does(photos, tmp_path):
    """From object storage, by two workers, stopped and resumed: bit-equal to a training from the files."""
    data = open_source(toy_recipe(photos).section(DataOptions), "test", None)
    write_shards(data, tmp_path / "shards" / "test", samples_per_shard=4)
    storage = fsspec.filesystem("memory")
    storage.put(str(tmp_path / "shards"), "/shards", recursive=True)
    _, outcome = run(photos, tmp_path / "files")
    assert outcome.reason == "finished"
    shards = {"source": "shards", "folder": "memory://shards"}
    for steps in (3, 8):
        recipe = toy_recipe(photos, train={"steps": steps, "workers": 2, "save_every": 3})
        data_section = dataclasses.replace(recipe.section(DataOptions), **shards)
        recipe = dataclasses.replace(recipe, sections={**recipe.sections, "data": data_section})
        Trainer(recipe, tmp_path / "stored", resume=steps == 8, tasks=Toy).run()
    assert same(weights(tmp_path / "files"), weights(tmp_path / "stored"))
