"""What compared cells show does not depend on the processor; marks read nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from built import CHAPTERS, ROOT

OTHERS = {"Haswell": "Prescott", "Prescott": "Haswell"}


@pytest.mark.slow
def test_compared_outputs_are_the_same_with_other_kernels():
    """All chapters with other matrix products of OpenBLAS, and without NumPy's vector instructions."""
    (blas,) = {
        library["architecture"]
        for library in threadpool_info()
        if library.get("internal_api") == "openblas"
    }
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    other = {
        "OPENBLAS_CORETYPE": OTHERS.get(blas, "Prescott"),
        "NPY_DISABLE_CPU_FEATURES": " ".join(simd),
    }
    notebooks = [f"chapters/{chapter}.ipynb" for chapter in CHAPTERS]
    command = "-m pytest -q -n 2 --dist loadfile --nbval --nbval-current-env".split()
    result = subprocess.run(
        [sys.executable, *command, *notebooks],
        cwd=ROOT,
        env={**os.environ, **other},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stdout[-5_000:]
