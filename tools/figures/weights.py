"""Write the recorded policies of CartPole for the live figures: book/static/figures/data.

A page opened from a file may load scripts only, so each policy is a script that hands over its
numbers. A weight takes 24 bits, as a fraction of the largest one, which is as exact as its float32
as far as the values of the actions tell; as base64, two policies stay below 150 KB.
"""

import base64
import json
from pathlib import Path

import numpy as np

from rlbook_helpers.experiments.policies import Policy, load

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "book" / "figures" / "policies"
DATA = ROOT / "book" / "static" / "figures" / "data"
# Which record, by the name that the figure gives it
RECORDS = {"chapter4": "original/025000.npz", "stable": "stable/025000.npz"}


def packed(numbers: np.ndarray, largest: float) -> str:
    """Three bytes for each number between -largest and largest, as base64."""
    whole = np.rint(numbers.astype(float) / largest * (2**23 - 1)).astype("<i4")
    low = whole.view(np.uint8).reshape(-1, 4)[:, :3]
    return base64.b64encode(low.tobytes()).decode()


def script(name: str, policy: Policy) -> str:
    """The policy as a call of live.keep; its layers one after the other, nearest the input first."""
    layers = zip(policy.Ws, policy.bs)
    weights = np.concatenate([part.ravel() for layer in layers for part in layer])
    largest = float(np.abs(weights).max())
    data = {
        "gamma": policy.about["settings"]["gamma"],
        "mean": policy.mean.tolist(),
        "deviation": policy.deviation.tolist(),
        "sizes": [len(policy.mean), *(len(b) for b in policy.bs)],
        "largest": largest,
        "weights": packed(weights, largest),
    }
    return f'live.keep("{name}", {json.dumps(data)});\n'


def main() -> None:
    DATA.mkdir(exist_ok=True)
    for name, record in RECORDS.items():
        path = DATA / f"{name}.js"
        path.write_text(script(name, load(POLICIES / record)), encoding="utf-8")
        print(path.relative_to(ROOT))
