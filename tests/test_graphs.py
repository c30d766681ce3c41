"""What CUDA graphs do, without CUDA: the same places, copies and replays, by a recorder that runs the function."""

import dataclasses

import pytest
import torch
from torch import nn

from idmvton.errors import GraphsWarning
from idmvton.models.attention import KeysValues
from idmvton.tryon.graphs import EagerRecorder, Graphs
from idmvton.tryon.nested import copy_tensors, map_tensors, num_bytes, signature, tensors_in

CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class Fixed:
    weight: torch.Tensor
    scale: float = 2.0


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, fixed, varying):
        self.calls += 1
        return {"product": fixed.weight * varying["x"] * fixed.scale}


def run(graphs, function, fixed, value):
    with torch.no_grad():
        return graphs.run("product", function, fixed, {"x": torch.full((2,), float(value))})["product"]


def test_replays_from_the_second_call_on_with_new_inputs():
    graphs, function = Graphs(EagerRecorder()), Counting()
    fixed = Fixed(torch.tensor([1.0, 3.0]))
    results = [run(graphs, function, fixed, value).clone() for value in (1, 2, 5)]
    assert [each.tolist() for each in results] == [[2, 6], [4, 12], [10, 30]]
    assert graphs.num_recorded == 1
    other = Fixed(torch.tensor([10.0, 0.0]))
    assert run(graphs, function, other, 1).tolist() == [20, 0], "fixed inputs of another call are loaded"
    assert run(graphs, function, fixed, 1).tolist() == [2, 6]
    assert graphs.num_recorded == 1


def test_the_outputs_lie_where_they_lay():
    graphs, function, fixed = Graphs(EagerRecorder()), Counting(), Fixed(torch.ones(2))
    first, second, third = (run(graphs, function, fixed, value) for value in (1, 2, 3))
    assert second.data_ptr() == third.data_ptr() != first.data_ptr()
    assert second.tolist() == [6, 6], "it holds until the next call only"


def test_shapes_and_settings_have_graphs_of_their_own_and_old_ones_are_forgotten():
    graphs, function = Graphs(EagerRecorder(), max_graphs=2), Counting()
    for scale in (1.0, 2.0, 3.0):
        for value in (1, 2, 3):
            assert run(graphs, function, Fixed(torch.ones(2), scale), value).tolist() == [value * scale] * 2
    assert graphs.num_recorded == 2


def test_weights_that_moved_are_recorded_anew():
    net = nn.Linear(2, 2)
    graphs, fixed = Graphs(EagerRecorder()), Fixed(torch.ones(2))
    graphs.match(CPU, [net])
    run(graphs, Counting(), fixed, 1)
    run(graphs, Counting(), fixed, 1)
    graphs.match(CPU, [net])
    assert graphs.num_recorded == 1
    net.weight.data = net.weight.data.clone()
    graphs.match(CPU, [net])
    assert graphs.num_recorded == 0


def test_on_a_cpu_nothing_is_recorded_by_itself():
    graphs, function, fixed = Graphs(), Counting(), Fixed(torch.ones(2))
    graphs.match(CPU, [nn.Linear(2, 2)])
    for value in (1, 2, 3):
        run(graphs, function, fixed, value)
    assert graphs.num_recorded == 0
    assert function.calls == 3


def test_nothing_is_recorded_where_gradients_are_wanted():
    graphs, function, fixed = Graphs(EagerRecorder()), Counting(), Fixed(torch.ones(2, requires_grad=True))
    for _ in range(3):
        graphs.run("product", function, fixed, {"x": torch.ones(2)})["product"].sum().backward()
    assert fixed.weight.grad.tolist() == [6, 6]
    assert graphs.num_recorded == 0


def test_a_function_that_cannot_be_recorded_runs_as_it_is():
    class Broken:
        def record(self, function):
            raise RuntimeError("operation not permitted when stream is capturing")

    graphs, function, fixed = Graphs(Broken()), Counting(), Fixed(torch.ones(2))
    run(graphs, function, fixed, 1)
    with pytest.warns(GraphsWarning, match="not permitted"):
        assert run(graphs, function, fixed, 2).tolist() == [4, 4]
    assert run(graphs, function, fixed, 3).tolist() == [6, 6]
    assert not graphs.is_enabled


def test_a_function_reads_the_outputs_of_another_where_they_lie():
    graphs, fixed = Graphs(EagerRecorder()), Fixed(torch.ones(2))
    read = []

    def second(_, product):
        read.append(product.data_ptr())
        return product + 1

    for value in (1, 2, 3, 4):
        product = run(graphs, Counting(), fixed, value)
        with torch.no_grad():
            assert graphs.run("sum", second, fixed, product).tolist() == [2 * value + 1] * 2
    assert read[-1] == product.data_ptr()


def test_nested_tensors():
    nested = {"a": Fixed(torch.ones(2)), "b": (KeysValues(torch.zeros(1), torch.ones(3)), None, [torch.ones(1)])}
    assert [each.numel() for each in tensors_in(nested)] == [2, 1, 3, 1]
    assert num_bytes(nested) == 28
    doubled = map_tensors(nested, lambda each: each * 2)
    assert isinstance(doubled["a"], Fixed)
    assert isinstance(doubled["b"][0], KeysValues)
    assert doubled["a"].weight.tolist() == [2, 2]
    assert signature(doubled) == signature(nested)
    assert signature(nested) != signature({**nested, "a": Fixed(torch.ones(2), 3.0)})
    copy_tensors(doubled, nested)
    assert nested["b"][0].values.tolist() == [2, 2, 2]
