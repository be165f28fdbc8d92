"""What every test run needs, the re-execution of the chapters by nbval included."""

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# A font cache of our own, built here: no chapter prints Matplotlib's notices about the home.
os.environ["MPLCONFIGDIR"] = str(Path(__file__).with_name("_build") / "matplotlib")
importlib.import_module("matplotlib.font_manager")
# The kernels of nbval inherit these. A progress bar would show up in the compared outputs.
os.environ["TQDM_DISABLE"] = "1"
# Two kernels share the cores with a browser: threads of BLAS that wait for each other only burn them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name == "10_speed.ipynb":
            item.add_marker(pytest.mark.alone)
        if item.path.name == "06_lander.ipynb" and find_spec("Box2D") is None:
            item.add_marker(pytest.mark.skip(reason="needs ufal-pybox2d"))
