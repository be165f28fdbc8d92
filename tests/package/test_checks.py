"""Checks of arguments: what passes, and what is refused with which error."""

import numpy as np
import pytest

from rlbook_helpers import checks

NAN, INF = float("nan"), float("inf")


ANY = (None, np.float32)
REFUSED = {
    ValueError: [
        *((checks.integer, 0, 1), (checks.integer, 4, 0, 4)),
        *((checks.number, x) for x in (NAN, INF, 1e39, np.float16("inf"), 10**400)),
        (checks.number, 1.1, 0, 1),
        *((checks.positive, 0), (checks.positive, -1.0), (checks.flag, 2)),
        *((checks.array, [1e300], *ANY), (checks.array, [NAN, 0.0])),
        *((checks.array, [0.0, 1.0], (3,)), (checks.generator, -1)),
    ],
    TypeError: [
        *((checks.integer, x, 0) for x in (1.0, True, "1")),
        *((checks.number, x) for x in (None, "1", np.zeros(1))),
        *((checks.flag, 0.0), (checks.flag, None), (checks.generator, 0.5)),
        *((checks.array, [[0.0], [1.0, 2.0]]), (checks.array, ["a"])),
    ],
}


@pytest.mark.parametrize(
    ("error", "call"), [(error, call) for error in REFUSED for call in REFUSED[error]]
)
def test_bad_values_are_refused_with_their_name(error, call):
    check, *arguments = call
    if check is not checks.generator:  # which names its argument seed
        arguments = ["n", *arguments]
    with pytest.raises(error, match=r"^(n|seed) ") as caught:
        check(*arguments)
    assert ":" in str(caught.value) or "含まれて" in str(caught.value)


def test_good_values_are_returned():
    assert checks.integer("n", np.int64(3), 1) == 3
    assert checks.number("n", np.float32(0.5)) == 0.5
    assert checks.flag("n", np.bool_(True)) == 1
    assert checks.array("n", [1, 2]).tolist() == [1, 2]
    rng = np.random.default_rng(0)
    assert checks.generator(rng) is rng
