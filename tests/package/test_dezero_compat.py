"""DeZero on a current NumPy. Each check needs an interpreter that has not imported DeZero yet."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest


def run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_dezero_alone_does_not_import():
    """The page 環境準備 says so. Once it imports, dezero_compat can go."""
    result = run("import dezero")
    assert result.returncode != 0
    assert "module 'numpy' has no attribute 'int'" in result.stderr


# What a reader may have set, and the parts of DeZero that use the alias when they are called.
# CIFAR10 would be downloaded first.
BEFORE = "import numpy as np; {}; state = np.random.get_state()[1].copy(); before = dict(vars(np))"
AFTER = """
import rlbook_helpers, dezero
assert (np.random.get_state()[1] == state).all()
assert len(dezero.datasets.Spiral()) == 300 and dezero.datasets.np.int is int
assert dezero.transforms.ToInt()(np.ones(1)).dtype == before.get("int", int)
after = dict(vars(np))
assert not {k for k in before if before[k] is not after.get(k)}
assert "int" in before or "int" not in after
"""


@pytest.mark.parametrize("set_before", ["pass", "np.int = float"])
def test_import_is_silent_and_leaves_numpy_unchanged(set_before):
    result = run(BEFORE.format(set_before) + AFTER)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


AFTER_FAILURE = """
import sys, dezerogym
try:
    import dezero
except AttributeError:
    import numpy, rlbook_helpers, dezero, dezero.functions as F, dezero.models as M
    parts = "cuda datasets functions layers models optimizers transforms utils"
    assert all(hasattr(dezero, name) for name in parts.split())
    assert M.MLP((5, 3)).__class__.__mro__[1] is dezero.Model is rlbook_helpers.QNet2.__mro__[1]
    assert isinstance(F.relu(dezero.Variable(numpy.ones(1))), dezero.Variable)
    assert sys.modules["dezerogym"] is dezerogym
"""


def test_dezero_is_whole_after_a_failed_import():
    result = run(AFTER_FAILURE)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_datasets_of_dezero_work_whatever_numpy_has_loaded():
    result = run(
        "import rlbook_helpers, dezero.datasets as d; d.Spiral(); d.SinCurve(); d.np.fft"
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_functions_of_dezero_work():
    from rlbook_helpers.dezero_compat import F, Variable

    c = F.matmul(Variable(np.array([1, 2, 3])), Variable(np.array([4, 5, 6])))
    assert c.data == 32


def test_threads_do_not_stop_each_other_from_learning():
    import dezero

    from rlbook_helpers.dezero_compat import F, Variable, no_grad

    def gradient():
        x = Variable(np.ones(1))
        F.sin(x).backward()
        return x.grad is not None and dezero.Config.train

    with no_grad(), ThreadPoolExecutor(1) as other:
        assert other.submit(gradient).result()
        assert not dezero.Config.enable_backprop
    assert gradient()
