"""Pickles of arrays: read as data alone, everything else refused by name."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from idmvton.errors import WeightsError
from idmvton.weights.arrays_pickle import read_pickled_arrays

ARRAYS = {
    "a": np.arange(12, dtype="f4").reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "big_endian": np.arange(3, dtype=">i8"),
    "empty": np.zeros((0, 3), "f4"),
    "one": np.array(3.5, "f2"),
    "flags": np.array([True, False]),
}


def write(folder, value, protocol=2):
    path = folder / "weights.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


def refusal(folder, value, **options):
    with pytest.raises(WeightsError) as caught:
        read_pickled_arrays(write(folder, value), **options)
    return str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_are_read_as_they_were(tmp_path, protocol):
    tree = {"model": OrderedDict(ARRAYS), "by": "me", "step": np.float32(3), "more": [1, None, 2.5, b"x", b"", (True,)]}
    found = read_pickled_arrays(write(tmp_path, tree, protocol), inside="model")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


def test_a_pickle_of_python_2_is_read(tmp_path):
    array = np.arange(200, 203, dtype="u1")
    text = (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x03" + array.tobytes() + b"tbs."
    )
    np.testing.assert_array_equal(read_pickled_arrays(write(tmp_path, text))["a"], array)


def test_nested_names_are_joined(tmp_path):
    found = read_pickled_arrays(write(tmp_path, {"a": {"b": np.ones(1)}, "c": np.ones(2)}))
    assert {name: array.size for name, array in found.items()} == {"a.b": 1, "c": 2}


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, r"(posix|nt)\.system"),
        (os.remove, r"(posix|nt)\.remove"),
        (eval, r"(__builtin__|builtins)\.eval"),
        (getattr, r"(__builtin__|builtins)\.getattr"),
    ],
)
def test_what_would_run_is_named_and_not_run(tmp_path, function, name, protocol):
    witness = tmp_path / "witness"
    witness.touch()
    argument = str(witness) if function is os.remove else f"rm {witness}"
    path = write(tmp_path, {"model": {"a": np.ones(1), "b": Runs(function, argument)}}, protocol)
    with pytest.raises(WeightsError, match=rf"refused(.|\n)*nothing in it was run(.|\n)*got: +{name}"):
        read_pickled_arrays(path, inside="model")
    assert witness.exists()


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}, None], object),
        np.array(["text"]),
        np.zeros(2, [("x", "f4")]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, np.void(4).dtype),
    ],
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, array):
    assert "numbers are read alone" in refusal(tmp_path, {"a": array})


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cnumpy\ndtype\nN}X\x05\x00\x00\x00_makecnumpy\nndarray\ns\x86b.",  # to change what is admitted
        b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00_makeNsb.",
        b"\x80\x02Psomewhere\n.",
        b"\x80\x02\x82\x01.",  # a registered extension
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x05\x85K\x01\x89U\x01xtb.",
    ],
)
def test_programs_that_bend_the_reader(tmp_path, program):
    said = refusal(tmp_path, program)
    assert "refused" in said or "damaged" in said
    test_nested_names_are_joined(tmp_path)  # the reader is as it was


def test_a_shape_that_does_not_fit_its_bytes(tmp_path):
    data = pickle.dumps({"a": np.ones((2, 3), "f4")}, 2)
    assert "damaged" in refusal(tmp_path, data.replace(b"K\x02K\x03\x86", b"K\x02K\x05\x86"))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_truncated(tmp_path, share):
    data = pickle.dumps({"model": ARRAYS}, 4)
    assert "truncated or damaged" in refusal(tmp_path, data[: int(len(data) * share)])


def test_a_length_that_no_machine_has(tmp_path):
    assert "truncated or damaged" in refusal(tmp_path, b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page .* titled 'Sign in'"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 255757821\n", "git-lfs pointer"),
        (b"put densepose weights here", "is a placeholder.*'put densepose weights here'"),
        (b"", "is empty"),
        (b"\x00\x01\x02 nothing known" * 20, "damaged"),
    ],
)
def test_other_things_under_its_name(tmp_path, data, said):
    with pytest.raises(WeightsError, match=f"(?s){said}"):
        read_pickled_arrays(write(tmp_path, data))


def test_what_is_missing_or_not_an_array(tmp_path):
    with pytest.raises(WeightsError, match="there is no file"):
        read_pickled_arrays(tmp_path / "none.pkl")
    assert "does not hold 'model'" in refusal(tmp_path, {"weights": {}}, inside="model")
    assert "got:      a: int" in refusal(tmp_path, {"a": 1})
    assert "not an array" in refusal(tmp_path, np.ones(3))
    assert "not an array" in refusal(tmp_path, {1: np.ones(3)})
