"""The programs that measure, with little work; `run.py` has tests in test_speed.py."""

import dataclasses
import json
import subprocess
import sys

import pytest

import jobs
import measuring
from rlbook_helpers.presets import PRESETS


class Counter:
    """An agent and an environment in one, whose episodes have three steps."""

    def __init__(self):
        self.calls = []
        self.steps = 0

    def reset(self, seed=None):
        self.calls.append(("reset", seed))
        return self.steps, {}

    def step(self, action):
        self.steps += 1
        return self.steps, 1.0, self.steps % 6 == 3, self.steps % 6 == 0, {}

    def get_action(self, state):
        return state

    def update(self, *transition):
        self.calls.append(transition)

    def sync_qnet(self):
        self.calls.append("sync")


def test_the_loop_ends_episodes_and_tells_an_end_from_a_cut():
    both = Counter()
    loop = measuring.training(both, both, seed=7, sync_interval=2)
    assert [next(loop) for _ in range(7)] == [0, 0, 1, 1, 1, 2, 2]
    assert both.calls == [
        ("reset", 7),
        *[(0, 0, 1.0, 1, False), (1, 1, 1.0, 2, False), (2, 2, 1.0, 3, True)],
        *[("reset", None), "sync"],
        *[(3, 3, 1.0, 4, False), (4, 4, 1.0, 5, False), (5, 5, 1.0, 6, False)],
        ("reset", None),  # the second episode was cut, and is not one to sync after
        (6, 6, 1.0, 7, False),
    ]


def test_loops_take_turns_until_all_have_ended():
    order = []

    def loop(name, steps):
        for _ in range(steps):
            order.append(name)
            yield

    turn = measuring.SLICE
    loops = {"a": loop("a", 2 * turn), "b": loop("b", turn + 1), "c": loop("c", 0)}
    seconds = measuring.take_turns(loops)
    assert order == ["a"] * turn + ["b"] * turn + ["a"] * turn + ["b"]
    assert seconds.keys() == loops.keys()
    assert all(s > 0 for s in seconds.values())


def test_two_jobs_are_timed_against_one(monkeypatch, tmp_path, capsys):
    """The real command is too slow here: faked are its duration, two rounds of it."""
    commands, clock = [], [0.0]

    def run(command, check):
        assert check
        commands.append(command)
        clock[0] += {"1": 8.0, "2": 4.0}[command[command.index("--jobs") + 1]]

    monkeypatch.setattr(jobs.subprocess, "run", run)
    monkeypatch.setattr(jobs.time, "perf_counter", lambda: clock[0])
    out = tmp_path / "jobs.json"
    command = ["jobs.py", "--rounds", "2", "--seeds", "3", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    jobs.main()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["seeds"] == 3
    assert record["seconds"] == {"1": [8.0, 8.0], "2": [4.0, 4.0]}
    assert "2.00 times" in capsys.readouterr().out
    assert [c[c.index("--jobs") + 1] for c in commands] == ["1", "2", "1", "2"]
    assert all(c[c.index("--seeds") + 1] == "1000-1002" for c in commands)


def test_the_timed_command_is_one_that_works(monkeypatch, tmp_path):
    """Once for real, with one job and runs that are over soon."""
    real, done = subprocess.run, []

    def run(command, check):
        little = ["--set", "steps=200"]
        done.append(real([*command, *little], check=check, capture_output=True))

    monkeypatch.setattr(jobs.subprocess, "run", run)
    assert jobs.seconds(1, 2) > 0
    assert len(done) == 1


@pytest.mark.parametrize(
    ("program", "wrong"),
    [(jobs, ["--seeds", "1"]), (jobs, ["--rounds", "0"])],
)
def test_wrong_numbers_are_refused(program, wrong, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["program", *wrong])
    with pytest.raises(SystemExit):
        program.main()
    assert wrong[0] in capsys.readouterr().err
