"""No right program is called ill by the clinic: three in every run, all with 20 seeds weekly."""

import pytest

from clinic_programs import RIGHT
from rlbook_helpers.clinic import advise, examine
from rlbook_helpers.clinic.advice import suspects
from rlbook_helpers.clinic.examinations import EXAMINATIONS

# What cannot be examined, without any fault of the program
VALUES = {"td_targets", "gradient", "first_step", "overfit", "baselines"}
VALUES |= {name for name in EXAMINATIONS if name.startswith("probe_")}
UNDECIDED = {
    "chapter 2": {"buffer", "synchronization"},
    "NumPy": {"buffer", "synchronization"},
    "act and learn": {"buffer"},
    "list and random.sample": {"buffer"},
    "four updates a step": {"td_targets"},
    "learns after the episode": {
        "td_targets",
        "gradient",
        "first_step",
        "synchronization",
    },
    "start at 10000": {"pace", "evaluation", "actions", "synchronization", *VALUES},
    "sync every 10000": {"synchronization", *VALUES},
    "option n_steps=20": {"td_targets"},
    **{
        name: {"loop", "buffer", *VALUES}
        for name in RIGHT
        if "reward" in name or "at the end" in name or name == "less the distance"
    },
    "states scaled in the loop": {"loop", "buffer", *VALUES},
    "shaped in update": {"buffer", *VALUES},
    "clipped in update": {"buffer", "td_targets", "gradient"},
}
DAILY = {"reader's", "lander's shape", "option n_steps"}


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        pytest.param(
            *(name, seed),
            marks=[] if name in DAILY and seed == 0 else [pytest.mark.slow],
        )
        for name in RIGHT
        for seed in range(20)
    ],
)
def test_right_program_is_not_called_ill(name, seed):
    found = examine(RIGHT[name], seed)
    for examination, finding in found.items():
        assert finding.passed is not False, (examination, finding)
        assert "例外" not in finding.sentence, (examination, finding)
    undecided = {k for k, finding in found.items() if finding.passed is None}
    assert undecided <= UNDECIDED.get(name, set())
    assert not suspects(found) and "異常は見つかりません" in advise(found)
