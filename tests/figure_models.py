"""The models of the live figures, written out in NumPy."""

import base64
import json
import re

import numpy as np
from scipy import integrate, stats

from built import ROOT
from figures import rewind as figure_rewind  # tools/figures
from figures import weights as figure_weights
from rlbook_helpers.experiments import policies

SIZE, BATCH = 200, 16  # of the replay buffer, of a minibatch


def policy_of(name: str) -> policies.Policy:
    return policies.load(figure_weights.POLICIES / figure_weights.RECORDS[name])


def polylines(drawing: str) -> list[np.ndarray]:
    text = (ROOT / "book/figures" / f"{drawing}.svg").read_text("utf-8")
    return [
        np.array([[float(n) for n in pair.split(",")] for pair in points.split()])
        for points in re.findall(r'points="([^"]+)"', text)
    ]


# The age of the target

FEATURES = np.array([[1.0, 0.0], [2.0, 3.0]])  # of A and of B

SHARES, GAMMA, ALPHA, STEPS = np.array([0.9, 0.1]), 0.9, 0.1, 500

INTERVALS = [1, 2, 5, 10, 20, 30, 50, 100, 200, 500]


def follow(interval: int) -> np.ndarray:
    """Estimate and TD target of A (STEPS + 1, 2), written out as in the chapter."""
    w1 = w2 = 0.0
    path = []
    for step in range(STEPS + 1):
        V_A, V_B = w1, 2 * w1 + 3 * w2
        if step % interval == 0:
            y = 1 + GAMMA * V_B
        path.append((V_A, y))
        w1 += ALPHA * (0.9 * (y - V_A) + 0.1 * 2 * (y - V_B))
        w2 += ALPHA * 0.1 * 3 * (y - V_B)
    return np.array(path)


# The bias of the maximum


def moment(actions: int, power: int) -> float:
    """Of the largest of so many standard normal numbers."""

    def weighted(x):
        density = stats.norm.pdf(x) * stats.norm.cdf(x) ** (actions - 1)
        return x**power * actions * density

    return integrate.quad(weighted, -10, 10, epsabs=1e-12, epsrel=1e-12, limit=200)[0]


# The episodes of the training that is rewound


def actions(path: np.ndarray) -> list[int]:
    """Those of an episode: a push of the cart to the right turns the pole to the left."""
    return (np.diff(path[:, 2].astype(int)) < 0).astype(int).tolist()


def end(path: np.ndarray) -> str:
    if len(path) > 500:
        return "打ち切りまで支えました"
    position = abs(int(path[-1, 0])) / 127 * figure_rewind.POSITION
    return "カートが端を越えました" if position > 2.39 else "棒が倒れました"


def rewind_data() -> dict:
    text = figure_rewind.DATA.read_text("utf-8")
    return json.loads(text.removeprefix('live.keep("rewind", ').removesuffix(");\n"))


def signed(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.int8)


def rewind_points(data: dict) -> list:
    side = figure_rewind.SIDE
    return [
        figure_rewind.Checkpoint(
            point["episode"],
            signed(point["map"]).reshape(side, side),
            signed(point["path"]).reshape(-1, 3),
            point["mean"],
        )
        for point in data["checkpoints"]
    ]
