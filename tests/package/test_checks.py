import numpy as np
import pytest

from rlbook_helpers import checks

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: checks.integer("n", 0, 1), ValueError),
        (lambda: checks.integer("n", 4, 0, 4), ValueError),
        (lambda: checks.integer("n", 1.0, 1), TypeError),
        (lambda: checks.integer("n", True, 0), TypeError),
        (lambda: checks.integer("n", "1", 0), TypeError),
        (lambda: checks.number("n", NAN), ValueError),
        (lambda: checks.number("n", INF), ValueError),
        (lambda: checks.number("n", 1e39), ValueError),
        (lambda: checks.number("n", np.float16("inf")), ValueError),
        (lambda: checks.number("n", 10**400), ValueError),
        (lambda: checks.number("n", None), TypeError),
        (lambda: checks.array("n", [1e300], None, np.float32), ValueError),
        (lambda: checks.number("n", "1"), TypeError),
        (lambda: checks.number("n", np.zeros(1)), TypeError),
        (lambda: checks.number("n", 1.1, 0, 1), ValueError),
        (lambda: checks.positive("n", 0), ValueError),
        (lambda: checks.positive("n", -1.0), ValueError),
        (lambda: checks.flag("n", 2), ValueError),
        (lambda: checks.flag("n", 0.0), TypeError),
        (lambda: checks.flag("n", None), TypeError),
        (lambda: checks.array("n", [NAN, 0.0]), ValueError),
        (lambda: checks.array("n", [0.0, 1.0], (3,)), ValueError),
        (lambda: checks.array("n", [[0.0], [1.0, 2.0]]), TypeError),
        (lambda: checks.array("n", ["a"]), TypeError),
        (lambda: checks.generator(-1), ValueError),
        (lambda: checks.generator(0.5), TypeError),
    ],
)
def test_bad_values_are_refused_by_name(call, error):
    with pytest.raises(error, match=r"^(n|seed) ") as caught:
        call()
    assert ":" in str(caught.value) or "含まれて" in str(caught.value)


def test_good_values_pass():
    assert checks.integer("n", np.int64(3), 1) == 3
    assert checks.number("n", np.float32(0.5)) == 0.5
    assert checks.flag("n", np.bool_(True)) == 1
    assert checks.array("n", [1, 2]).tolist() == [1, 2]
    rng = np.random.default_rng(0)
    assert checks.generator(rng) is rng
