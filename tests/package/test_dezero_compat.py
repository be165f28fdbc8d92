"""DeZero on a current NumPy. Each check needs an interpreter that has not imported DeZero yet."""

import subprocess
import sys

import numpy as np
import pytest


def run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_dezero_alone_does_not_import():
    """The page 環境準備 says so; when it no longer holds, dezero_compat can go."""
    result = run("import dezero")
    assert result.returncode != 0
    assert "module 'numpy' has no attribute 'int'" in result.stderr


@pytest.mark.parametrize("alias", [None, float])
def test_numpy_is_left_as_it_was(alias):
    """Also where the reader has set the alias himself."""
    prepare = "" if alias is None else "numpy.int = float; "
    result = run(
        f"import numpy; {prepare}before = dict(vars(numpy)); import rlbook_helpers, dezero;"
        "after = dict(vars(numpy));"
        "changed = {k for k in before if before[k] is not after.get(k)} | ({'int'} & (after.keys() - before.keys()));"
        "assert not changed, changed; print('ok')"
    )
    assert result.stdout.strip() == "ok", result.stderr


def test_two_datasets_of_dezero_need_the_alias_when_they_are_used():
    """The page 環境準備 says so. CIFAR10 would be downloaded first, so its code is read instead."""
    result = run("import rlbook_helpers, dezero.datasets as d; d.Spiral()")
    assert "module 'numpy' has no attribute 'int'" in result.stderr
    result = run(
        "import rlbook_helpers, dezero.datasets as d, inspect;"
        "print('dtype=np.int)' in inspect.getsource(d.CIFAR10.prepare))"
    )
    assert result.stdout.strip() == "True", result.stderr


def test_import_is_silent_and_leaves_the_global_random_state_alone():
    result = run(
        "import numpy as np; before = np.random.get_state()[1].copy(); import rlbook_helpers;"
        "assert (np.random.get_state()[1] == before).all()"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_functions_of_dezero_work():
    from rlbook_helpers.dezero_compat import F, Variable

    c = F.matmul(Variable(np.array([1, 2, 3])), Variable(np.array([4, 5, 6])))
    assert c.data == 32
