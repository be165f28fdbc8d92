"""Write the data of the live figures, and the pictures printed in their place: `make figures`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import (
    angles,
    breakout,
    clinic,
    descent,
    graph,
    rewind,
    seeds,
    spread,
    training,
    weights,
)

for figure in (
    angles,
    breakout,
    clinic,
    descent,
    graph,
    seeds,
    spread,
    training,
    weights,
    rewind,
):
    figure.main()
