"""CUDA graphs of the networks: thousands of kernels launched by one call.

A graph replays kernels on the very memory that it was recorded on. So its inputs have fixed places, into which each
call copies, and its outputs lie where they always lie, until the next call. What a graph holds between input and
output is memory of one pool that all graphs share, since only one of them runs at a time. Inputs and outputs are not:
another graph would write over them. A graph that reads another's outputs reads them where they lie, without a copy.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from idmvton.errors import GraphsWarning
from idmvton.tryon.nested import copy_tensors, map_tensors, signature, tensors_in

Replay = Callable[[], None]
Function = Callable[[Any, Any], Any]
"""``function(fixed, varying)``: ``fixed`` is the same object at each step of a call."""

MAX_GRAPHS = 8


class Recorder(Protocol):
    """Records a function without arguments, of tensors that stay where they are."""

    def record(self, function: Callable[[], Any]) -> tuple[Any, Replay]:
        """Its outputs, of their own memory, and what computes them anew from what then lies in its inputs."""


class CudaRecorder:
    """Records CUDA graphs on one device, in one pool of memory."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()

    def record(self, function: Callable[[], Any]) -> tuple[Any, Replay]:
        """See :class:`Recorder`."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            outputs = map_tensors(function(), place)  # it also gives libraries their workspaces
            with torch.cuda.graph(graph, pool=self.pool):
                copy_tensors(function(), outputs)
        return outputs, graph.replay


class EagerRecorder:
    """Does without graphs what they do, for machines without CUDA: the same inputs, outputs and copies."""

    def record(self, function: Callable[[], Any]) -> tuple[Any, Replay]:
        """See :class:`Recorder`."""
        outputs = map_tensors(function(), place)

        def replay() -> None:
            copy_tensors(function(), outputs)

        return outputs, replay


def place(tensor: torch.Tensor) -> torch.Tensor:
    """A copy that nothing else writes to."""
    return torch.empty_like(tensor, memory_format=torch.contiguous_format).copy_(tensor)


class Recorded:
    """One recorded function with the places of its inputs.

    Args:
        function: what is recorded.
        fixed, varying: its inputs.
        recorder: records it.
        is_output: whether a tensor is the output of a recorded function, which is read where it lies.
    """

    def __init__(
        self, function: Function, fixed: Any, varying: Any, recorder: Recorder, is_output: Callable[[Any], bool]
    ) -> None:
        self.fixed = map_tensors(fixed, place)
        self.varying = map_tensors(varying, lambda tensor: tensor if is_output(tensor) else place(tensor))
        self.loaded = weakref.ref(fixed)
        self.outputs, self.replay = recorder.record(lambda: function(self.fixed, self.varying))

    def __call__(self, fixed: Any, varying: Any) -> Any:
        """The outputs, which hold until the next call."""
        if self.loaded() is not fixed:
            copy_tensors(fixed, self.fixed)
            self.loaded = weakref.ref(fixed)
        copy_tensors(varying, self.varying)
        self.replay()
        return self.outputs


def _is_hooked(module: nn.Module, network: nn.Module) -> bool:
    """Whether something changes a module's weights while the network runs; moving the network as a whole does not."""
    return hasattr(module, "_diffusers_hook") or (hasattr(module, "_hf_hook") and module is not network)


class Graphs:
    """Functions recorded as they are called; those used longest ago are forgotten.

    A function runs as it is at its first call with inputs of some shapes, is recorded at the second, and replayed from
    then on: a single step pays nothing.

    Args:
        recorder: None chooses one for the networks' device, see :meth:`match`.
        max_graphs: how many recorded functions are kept.

    Attributes:
        is_enabled: False runs every function as it is. Set so when a function cannot be recorded.
    """

    def __init__(self, recorder: Recorder | None = None, max_graphs: int = MAX_GRAPHS) -> None:
        self.given, self.recorder, self.max_graphs = recorder, recorder, max_graphs
        self.is_enabled = True
        self._recorded: OrderedDict[Hashable, Recorded | None] = OrderedDict()
        self._signatures: dict[str, tuple[weakref.ref[Any], Hashable]] = {}
        self._state: Hashable = None

    @property
    def num_recorded(self) -> int:
        """How many functions are recorded now."""
        return sum(each is not None for each in self._recorded.values())

    def match(self, device: torch.device, networks: Sequence[nn.Module]) -> None:
        """To be called before each use: forgets what was recorded of weights that moved since.

        On a CUDA device functions are recorded, unless something is hooked onto the layers: offloading one by one and
        casting change weights while a network runs, which a graph does not see.
        """
        tensors = [each for network in networks for each in (*network.parameters(), *network.buffers())]
        is_hooked = any(_is_hooked(module, network) for network in networks for module in network.modules())
        is_away = any(each.device != device for each in tensors)  # it comes later, to some other address
        state = (device, tuple(each.data_ptr() for each in tensors), is_hooked)
        if state == self._state and not is_away:
            return
        self.clear()
        self._state = state
        self.recorder = self.given
        if self.given is None and device.type == "cuda" and not is_hooked:
            self.recorder = CudaRecorder(device)

    def clear(self) -> None:
        """Forgets everything."""
        self._recorded.clear()
        self._signatures.clear()

    def run(self, name: str, function: Function, fixed: Any, varying: Any) -> Any:
        """``function(fixed, varying)``, from a recording where there is one.

        Args:
            name: tells functions apart; one name has one function while the state is the same.
            function: of the tensors in its arguments and of the state alone, without host reads.
            fixed: inputs that are the same object, with the same contents, at each step of a call.
            varying: inputs of this step.

        Returns:
            The outputs; tensors in them hold until the next call under this name.
        """
        if not self.is_enabled or self.recorder is None or torch.is_grad_enabled() or torch.is_autocast_enabled():
            return function(fixed, varying)
        key = (name, self._signature(name, fixed), signature(varying))
        if key not in self._recorded:
            self._keep(key, None)
            return function(fixed, varying)
        recorded = self._recorded[key]
        if recorded is None:
            try:
                recorded = Recorded(function, fixed, varying, self.recorder, self._is_output)
            except RuntimeError as error:
                self.clear()
                self.is_enabled = False
                warnings.warn(f"no CUDA graphs are used: {error}", GraphsWarning, stacklevel=2)
                return function(fixed, varying)
        self._keep(key, recorded)
        return recorded(fixed, varying)

    def _signature(self, name: str, fixed: Any) -> Hashable:
        """Of the fixed inputs, taken once a call."""
        known, found = self._signatures.get(name, (None, None))
        if known is None or known() is not fixed:
            found = signature(fixed)
            self._signatures[name] = (weakref.ref(fixed), found)
        return found

    def _is_output(self, tensor: torch.Tensor) -> bool:
        recorded = [each for each in self._recorded.values() if each is not None]
        return any(tensor is output for each in recorded for output in tensors_in(each.outputs))

    def _keep(self, key: Hashable, recorded: Recorded | None) -> None:
        self._recorded[key] = recorded
        self._recorded.move_to_end(key)
        while len(self._recorded) > self.max_graphs:
            self._recorded.popitem(last=False)
