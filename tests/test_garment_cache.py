"""The cache of garments: limited in bytes, never thrashing, true to the weights."""

import torch

from idmvton.garment_cache import GarmentCache, fingerprint, num_bytes
from idmvton.models.attention import KeysValues


def entry(floats=25):
    return {"layer": torch.zeros(floats)}


def test_counts_bytes_in_nested_entries():
    assert num_bytes({"a": torch.zeros(3), "b": KeysValues(torch.zeros(2), torch.zeros(1, dtype=torch.float16))}) == 22
    cache = GarmentCache(1000)
    cache.put("shirt", "features", entry())
    cache.put("shirt", "features", entry(50))
    assert cache.num_bytes == 200, "a replaced entry is not counted twice"
    cache.clear()
    assert cache.num_bytes == 0


def test_the_garment_used_longest_ago_leaves_first():
    cache = GarmentCache(250)
    cache.put("shirt", 0, entry())
    cache.put("dress", 0, entry())
    assert cache.get("shirt", 0) is not None
    cache.put("skirt", 0, entry())
    assert cache.get("dress", 0) is None
    assert cache.get("shirt", 0) is not None
    assert cache.num_bytes == 200


def test_a_garment_larger_than_the_cache_keeps_its_first_parts():
    """Steps come round in order: evicting the oldest would never hit."""
    cache = GarmentCache(250)
    for _ in range(2):
        for step in range(4):
            if cache.get("shirt", step) is None:
                cache.put("shirt", step, entry())
    assert [cache.get("shirt", step) is not None for step in range(4)] == [True, True, False, False]


def test_zero_bytes_turn_it_off():
    cache = GarmentCache(0)
    cache.put("shirt", 0, entry())
    assert cache.get("shirt", 0) is None


def test_other_weights_empty_it():
    net = torch.nn.Linear(2, 2)
    cache = GarmentCache()
    cache.match(fingerprint([net]))
    cache.put("shirt", 0, entry())
    cache.match(fingerprint([net]))
    assert cache.get("shirt", 0) is not None
    torch.optim.SGD(net.parameters(), 0.1).zero_grad()
    net(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    cache.match(fingerprint([net]))
    assert cache.get("shirt", 0) is None


def test_fingerprints_see_casts():
    net = torch.nn.Linear(2, 2)
    before = fingerprint([net])
    assert fingerprint([net.double()]) != before
