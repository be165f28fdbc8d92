"""What every test run needs, the re-execution of the chapters by nbval included."""

import os

import matplotlib.font_manager  # noqa: F401  builds the font cache here, not noisily inside a chapter

# The kernels of nbval inherit this: a progress bar would show up in the compared outputs.
os.environ["TQDM_DISABLE"] = "1"
