"""Real processes: two that share the batches by gloo, and one that is told to stop."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch

from idmvton.training.run_folder import saved_states
from idmvton.training.trainer import Trainer
from training.toy import Toy, toy_recipe, weights

SCRIPT = """
import sys
from pathlib import Path
from idmvton.training.trainer import Trainer
from training.toy import Toy, toy_recipe

class Slow(Toy):
    def loss(self, model, batch):
        import time
        time.sleep(float(sys.argv[5]))
        return super().loss(model, batch)

train = {"steps": int(sys.argv[3]), "accumulation": int(sys.argv[4])}
recipe = toy_recipe(Path(sys.argv[1]), train=train, data={"cache": "rows"})
print("ready", flush=True)
trainer = Trainer(recipe, Path(sys.argv[2]), tasks=Slow)
reason, seen = trainer.run().reason, sum(map(len, trainer.task.seen))
print(trainer.accelerator.num_processes, reason, seen, trainer.task.encoded, flush=True)
"""
TESTS = Path(__file__).parents[1]


def start(photos, folder, *, steps=8, accumulation=1, pause=0.0, **environment):
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    arguments = [str(photos), str(folder), str(steps), str(accumulation), str(pause)]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_train_as_one(photos, tmp_path):
    """Faults 3 and 5: both see their share, stay in step, and get what one process gets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    running = [
        start(photos, tmp_path / "two", accumulation=2, RANK=str(rank), LOCAL_RANK=str(rank), **together)
        for rank in range(2)
    ]
    finished = [process.communicate(timeout=120) for process in running]
    for output, errors in finished:
        assert "2 finished 16 3" in output, errors  # half of the 32 samples seen, and of the 6 encoded
    one = Trainer(toy_recipe(photos, data={"cache": "rows"}), tmp_path / "one", tasks=Toy)
    one.run()
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, rtol=1e-5, atol=1e-6)
    (state,) = saved_states(tmp_path / "two")
    assert len(list(state.glob("random_states_*.pkl"))) == 2


def test_sigterm_saves_the_state(photos, tmp_path):
    process = start(photos, tmp_path, steps=10_000, pause=0.05)
    while not list(tmp_path.glob("metrics.jsonl")) or not (tmp_path / "metrics.jsonl").read_text():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "1 terminate" in output
    (state,) = saved_states(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert state.name == f"step-{len(lines):08d}"
    assert not (tmp_path / "checkpoint").exists()
