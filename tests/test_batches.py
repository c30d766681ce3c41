"""How many people are dressed at once."""

import pytest

from idmvton.engine.batches import LARGEST, BatchSize


class Gauge:
    def __init__(self, grown, free):
        self.told, self.left, self.started = grown, free, 0

    def start(self):
        self.started += 1

    def grown(self):
        return self.told

    def free(self):
        return self.left


@pytest.mark.parametrize(("grown", "free", "number"), [(10, 50, 4), (10, 9, 1), (1, 1000, LARGEST), (0, 1000, LARGEST)])
def test_as_many_as_fit_by_what_the_first_needed(grown, free, number):
    gauge = Gauge(grown, free)
    size = BatchSize(None, gauge)
    assert size.number == 1
    for _ in range(2):
        with size.watching(1):
            pass
    assert (size.number, gauge.started) == (number, 1)


def test_what_the_user_says_is_not_measured():
    gauge = Gauge(10, 50)
    size = BatchSize(3, gauge)
    with size.watching(3):
        pass
    assert (size.number, gauge.started) == (3, 0)
    size.shrink()
    size.shrink()
    assert size.number == 1


def test_a_call_that_fails_measures_nothing():
    size = BatchSize(None, Gauge(10, 50))
    with pytest.raises(ValueError, match="failed"), size.watching(1):
        raise ValueError("failed")
    assert size.number == 1


def test_without_a_gauge_one_at_a_time():
    size = BatchSize(None)
    with size.watching(1):
        pass
    assert size.number == 1
