"""The cache of garments: limited in bytes, never thrashing, true to the weights."""

import torch

from idmvton.models.attention import KeysValues
from idmvton.tryon.garment_cache import GarmentCache, fingerprint
from idmvton.tryon.nested import num_bytes

CPU = torch.device("cpu")


def entry(floats=25):
    return {"layer": torch.zeros(floats)}


def put(cache, garment, part, tensors=None, in_use=()):
    cache.put(garment, part, tensors or entry(), in_use=[garment, *in_use], device=CPU)


def test_counts_bytes_in_nested_entries():
    assert num_bytes({"a": torch.zeros(3), "b": KeysValues(torch.zeros(2), torch.zeros(1, dtype=torch.float16))}) == 22
    cache = GarmentCache(1000)
    put(cache, "shirt", "features")
    put(cache, "shirt", "features", entry(50))
    assert cache.num_bytes == 200, "a replaced entry is not counted twice"
    cache.clear()
    assert cache.num_bytes == 0


def test_the_garment_used_longest_ago_leaves_first():
    cache = GarmentCache(250)
    put(cache, "shirt", 0)
    put(cache, "dress", 0)
    assert cache.get("shirt", 0) is not None
    put(cache, "skirt", 0)
    assert cache.get("dress", 0) is None
    assert cache.get("shirt", 0) is not None
    assert cache.num_bytes == 200


def test_a_garment_larger_than_the_cache_keeps_its_first_parts():
    """Steps come round in order: evicting the oldest would never hit."""
    cache = GarmentCache(250)
    for _ in range(2):
        for step in range(4):
            if cache.get("shirt", step) is None:
                put(cache, "shirt", step)
    assert [cache.get("shirt", step) is not None for step in range(4)] == [True, True, False, False]


def test_garments_of_one_call_do_not_push_each_other_out():
    cache = GarmentCache(550)
    for _ in range(2):
        for step in range(4):
            for garment in ("shirt", "dress"):
                if cache.get(garment, step) is None:
                    put(cache, garment, step, in_use=("shirt", "dress"))
    assert [cache.get(garment, 0) is not None for garment in ("shirt", "dress")] == [True, True]
    assert cache.num_bytes == 500


def test_unless_told_it_takes_a_share_of_the_free_memory(monkeypatch):
    monkeypatch.setattr("idmvton.tryon.garment_cache.free_bytes", lambda device: 1000)
    cache = GarmentCache()
    for part in range(5):
        put(cache, "shirt", part)
    assert cache.num_bytes == 300, "a quarter of 1,000 bytes and of what it holds"


def test_zero_bytes_turn_it_off():
    cache = GarmentCache(0)
    put(cache, "shirt", 0)
    assert cache.get("shirt", 0) is None


def test_other_weights_empty_it():
    net = torch.nn.Linear(2, 2)
    cache = GarmentCache()
    cache.match(fingerprint([net]))
    put(cache, "shirt", 0)
    cache.match(fingerprint([net]))
    assert cache.get("shirt", 0) is not None
    torch.optim.SGD(net.parameters(), 0.1).zero_grad()
    net(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    cache.match(fingerprint([net]))
    assert cache.get("shirt", 0) is None


def test_fingerprints_see_autocast_and_take_inference_tensors():
    with torch.inference_mode():
        net = torch.nn.Linear(2, 2)
    before = fingerprint([net])
    with torch.autocast("cpu", torch.bfloat16):
        assert fingerprint([net]) != before
    assert fingerprint([net]) == before


def test_fingerprints_see_casts():
    net = torch.nn.Linear(2, 2)
    before = fingerprint([net])
    assert fingerprint([net.double()]) != before
