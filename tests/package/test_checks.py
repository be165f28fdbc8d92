"""Checks of arguments: what passes, and what is refused with which error."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from rlbook_helpers import QNet2, checks

NAN, INF = float("nan"), float("inf")


ANY = (None, np.float32)
REFUSED = {
    ValueError: [
        *((checks.integer, 0, 1), (checks.integer, 4, 0, 4)),
        *((checks.number, x) for x in (NAN, INF, 1e39, np.float16("inf"), 10**400)),
        *((checks.number, x, 0, 1) for x in (1.1, -0.1)),
        *((checks.positive, 0), (checks.positive, -1.0)),
        *((checks.flag, 2), (checks.flag, -1), (checks.choice, "c", ("a", "b"))),
        *((checks.array, [1e300], *ANY), (checks.array, [NAN, 0.0])),
        *((checks.array, [0.0, 1.0], (3,)), (checks.array, [1.0], ())),
        (checks.array, np.zeros(2, np.float32), (3,), np.float32),
        *((check, -1) for check in (checks.generator, checks.env_seed)),
    ],
    TypeError: [
        *((checks.integer, x, 0) for x in (1.0, True, np.True_, "1")),
        *((checks.number, x) for x in (None, "1", b"1", np.zeros(1))),
        *((checks.flag, 0.0), (checks.flag, None)),
        *((checks.array, [[0.0], [1.0, 2.0]]), (checks.array, ["a"])),
        *((checks.array, [1j]), (checks.array, [0.5], (1,), np.int64)),
        *((check, 0.5) for check in (checks.generator, checks.env_seed)),
    ],
}


@pytest.mark.parametrize(
    ("error", "call"), [(error, call) for error in REFUSED for call in REFUSED[error]]
)
def test_bad_values_are_refused_with_their_name(error, call):
    check, *arguments = call
    if check not in (checks.generator, checks.env_seed):  # which name it seed
        arguments = ["n", *arguments]
    with np.errstate(over="raise"), pytest.raises(error, match=r"^(n|seed) ") as caught:
        check(*arguments)
    assert ":" in str(caught.value) or "含まれて" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ((checks.integer, 0, 1), "1 以上の整数にしてください: 0"),
        ((checks.integer, 4, 0, 4), "0 以上 4 未満の整数にしてください: 4"),
        ((checks.number, 2, 0, 1), "0 以上 1 以下の数にしてください: 2"),
        ((checks.number, NAN), "float32 で表せる有限な数にしてください: nan"),
        ((checks.choice, "c", ("a", "b")), "a、b のどれかにしてください: 'c'"),
        ((checks.array, [0.0], (3,)), "(3,) にしてください: 形 (1,)"),
        ((checks.array, [0.5], None, np.int8), "int8 にしてください: float64"),
    ],
)
def test_sentence_tells_the_limits_and_the_value(call, expected):
    check, *arguments = call
    with pytest.raises((ValueError, TypeError), match=re.escape(expected)):
        check("n", *arguments)


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        *(((checks.integer, np.int64(3), *limits), 3) for limits in ((3,), (1, 4))),
        *(((checks.number, x, 0, 1), float(x)) for x in (0, 1, np.float32(0.5))),
        *(((checks.number, x), float(x)) for x in (-3.4e38, np.array(2))),
        ((checks.positive, np.float32(0.5)), 0.5),
        *(((checks.flag, x), bool(x)) for x in (np.True_, np.int64(0), 1)),
        ((checks.choice, "b", ("a", "b")), "b"),
    ],
)
def test_good_values_are_returned_as_python_has_them(call, wanted):
    check, *arguments = call
    value = check("n", *arguments)
    assert value == wanted and type(value) is type(wanted)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        *((value, None) for value in ([1, 2], [True], [1e300, -1e300])),
        (np.full(3, 3e38, np.float32), np.float32),  # whose squares are not finite
        *(([1], np.float32), (np.array([0.5, 1.5]), np.float32)),
    ],
)
def test_arrays_are_returned_in_their_type(value, dtype):
    with np.errstate(over="ignore"):  # NumPy 2.4 may tell of the squares
        array = checks.array("n", value, np.shape(value), dtype)
    assert array.tolist() == np.asarray(value).tolist()
    assert array.dtype == (dtype or np.asarray(value).dtype)


def test_seeds_are_those_of_numpy():
    rng = np.random.default_rng(0)
    assert checks.generator(rng) is rng
    for seed in (0, 5):
        wanted = np.random.default_rng(seed).random()
        assert checks.generator(seed).random() == wanted
        assert checks.env_seed(seed) == seed
    assert checks.generator(None).random() != checks.generator(None).random()
    assert checks.env_seed(None) is None
    drawn = [checks.env_seed(rng) for _ in range(100)]
    assert len(set(drawn)) == 100 and all(type(seed) is int for seed in drawn)
    assert min(drawn) >= 0 and 2**30 < max(drawn) < 2**31


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e39, np.float32("inf")])
def test_loss_that_is_not_finite_is_told_with_its_cause(value):
    agent = SimpleNamespace(lr=0.5, num_steps=7)
    told = rf"損失が {re.escape(str(value))} .*=7.*lr=0\.5"
    with pytest.raises(FloatingPointError, match=told):
        checks.loss(value, agent)
    agent.qnet = QNet2(2, hidden_size=1)
    agent.qnet.l3.b.data[1] = NAN  # lost before
    with pytest.raises(FloatingPointError, match=r"重み.*=7.*lr=0\.5"):
        checks.loss(value, agent)
    assert checks.loss(0.25, agent) == 0.25  # of weights that were not used


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ((None, None), "episodes=None, steps=None"),
        ((3, 4), "episodes=3, steps=4"),
        *(((0, None), "^episodes は 1 以上"), ((None, 0), "^steps は 1 以上")),
    ],
)
def test_length_is_one_positive_number(lengths, sentence):
    checks.length(1, None)
    checks.length(None, 1)
    with pytest.raises(ValueError, match=sentence):
        checks.length(*lengths)
