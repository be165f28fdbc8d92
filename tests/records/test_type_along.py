"""Whoever types the visible cells of a chapter needs no other name, and has what the package has."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import numpy as np
import pytest
from dezerogym.gridworld import GridWorld

import rlbook_helpers
from rlbook_helpers.beyond import pqn
from rlbook_helpers.beyond.games import Step
from rlbook_helpers.beyond.layer_norm import NormalizedQNet
from rlbook_helpers.beyond.poles import Poles
from rlbook_helpers.dezero_compat import (
    F,
    Function,
    Model,
    Variable,
    no_grad,
    optimizers,
)

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
FOLDED = {"hide-cell", "hide-input", "remove-cell", "remove-input"}


def scripts(path):
    """The visible cells and the imports; then the solutions of the exercises, each after all before it."""
    visible, solutions, in_solution = [], [], False
    for cell in jupytext.read(path).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ .*$", cell.source, re.M)
            in_solution = in_solution if not headings else headings[-1] == "#### 解答"
        elif in_solution and "remove-cell" not in tags:
            solutions.append(cell.source)
        elif "setup" in tags or not tags & FOLDED:
            visible.append(cell.source)
    return "\n".join([*visible, *solutions])


@pytest.mark.parametrize("path", sorted(CHAPTERS.glob("*.md")), ids=lambda p: p.stem)
def test_visible_cells_make_every_name_that_they_use(path):
    check = "ruff check --isolated --select F821 --output-format concise -".split()
    result = subprocess.run(
        [sys.executable, "-m", *check],
        input=scripts(path),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stdout + result.stderr


def typed(stem, *starts, **names):
    """What the cells with these beginnings define."""
    cells = [cell.source for cell in jupytext.read(CHAPTERS / f"{stem}.md").cells]
    names |= {"np": np, "F": F, "Model": Model, "Linear": rlbook_helpers.Linear}
    names |= {"no_grad": no_grad, "optimizers": optimizers}
    for start in starts:
        (source,) = (source for source in cells if source.startswith(start))
        exec(source, names)  # noqa: S102
    return names


def test_agent_of_chapter_2_learns_like_that_of_the_package():
    starts = ["def epsilon_greedy", "def one_hot", "class QNet1", "class QLearning"]
    starts.append("def train_episode")
    names = typed("02_before_dqn", *starts, env=GridWorld(), gamma=0.9, Q_star=None)
    agents = names["QLearningAgent"](seed=1), rlbook_helpers.QLearningAgent(seed=1)
    for agent in agents:
        for _ in range(3):
            names["train_episode"](agent, visits=np.zeros((3, 4, 4)))
    for mine, theirs in zip(*(agent.qnet.params() for agent in agents), strict=True):
        assert mine.name == theirs.name
        np.testing.assert_array_equal(mine.data, theirs.data)


def test_buffer_of_chapter_3_gives_what_that_of_the_package_gives():
    MyReplayBuffer = typed("03_cartpole_replay", "class MyReplay")["MyReplayBuffer"]
    buffers = (
        MyReplayBuffer(100, 32, seed=0),
        rlbook_helpers.ReplayBuffer(100, 32, seed=0),
    )
    rng = np.random.default_rng(0)
    for k in range(150):
        state, next_state = rng.random((2, 4), np.float32)
        transition = state, k % 2, float(k), next_state, k % 7 == 0
        for buffer in buffers:
            buffer.add(*transition)
    for _ in range(20):
        for mine, theirs in zip(
            *(buffer.get_batch() for buffer in buffers), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_pqn_of_chapter_8_learns_like_that_of_the_package():
    starts = ["class LayerNorm", "class NormQNet", "class ParallelAgent"]
    starts += ["class OneStep", "def train_parallel", "def lambda_returns", "class MyP"]
    names = {"Function": Function, "Variable": Variable, "Step": Step}
    names = typed("08_parts", *starts, DQNAgent=rlbook_helpers.DQNAgent, **names)
    mine = names["MyPQN"](2_560, seed=0)
    theirs = pqn.PQNAgent(NormalizedQNet(2, seed=0), steps=2_560, reward_scale=0.05)
    for name in ("l1", "l2", "l3"):
        ours, packaged = getattr(mine.qnet, name), getattr(theirs.network, name)
        packaged.W.data[:], packaged.b.data[:] = ours.W.data, ours.b.data
    theirs.rng = copy.deepcopy(mine.rng)
    for agent, run in ((mine, names["train_parallel"]), (theirs, pqn.train_parallel)):
        run(Poles(16), agent, 2_560, np.random.default_rng(1))
    for name in ("l1", "l2", "l3"):
        ours, packaged = getattr(mine.qnet, name), getattr(theirs.network, name)
        np.testing.assert_allclose(ours.W.data, packaged.W.data, atol=1e-3)
