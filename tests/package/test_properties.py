"""Properties of any input. hypothesis searches for a counterexample."""

import dataclasses
import json

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook_helpers import ReplayBuffer
from rlbook_helpers.experiments import policies, records
from rlbook_helpers.experiments.presets import PRESETS, Preset
from rlbook_helpers.stable import LinearSchedule

# The same examples in every run, without a limit of time on a busy machine
settings.register_profile("book", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("book")

NUMBER = st.floats(-1e6, 1e6, allow_nan=False, width=32)
TRANSITION = st.tuples(
    st.lists(NUMBER, min_size=2, max_size=2),
    st.integers(0, 3),
    NUMBER,
    st.lists(NUMBER, min_size=2, max_size=2),
    st.booleans(),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples. Each overwrites the file of the last."""
    return tmp_path_factory.mktemp("properties")


# The buffer


@given(
    buffer_size=st.integers(1, 7),
    share=st.floats(0, 1),
    moves=st.lists(st.one_of(TRANSITION, st.just("sample")), max_size=40),
    seed=st.integers(0, 2**31),
)
def test_buffer_is_a_list_of_the_newest(buffer_size, share, moves, seed):
    batch_size = 1 + int(share * (buffer_size - 1))
    buffer = ReplayBuffer(buffer_size, batch_size, action_size=4, seed=seed)
    added = []
    for move in moves:
        if move != "sample":
            state, action, reward, next_state, done = move
            state, next_state = (np.array(x, np.float32) for x in (state, next_state))
            buffer.add(state, action, reward, next_state, done)
            row = (*state.tolist(), action, reward, *next_state.tolist(), float(done))
            added.append(row)
            state[:], next_state[:] = np.nan, np.nan  # the buffer holds copies
        newest = added[-buffer_size:]
        assert len(buffer) == len(newest)
        if len(newest) < batch_size:
            with pytest.raises(ValueError, match="取り出せません"):
                buffer.get_batch()
            continue
        columns = buffer.get_batch()
        rows = [
            (*s, a, r, *n, d) for s, a, r, n, d in zip(*map(np.ndarray.tolist, columns))
        ]
        left = list(newest)
        for row in rows:  # each at most as often as it was added
            left.remove(row)
        assert len(rows) == batch_size


# Schedules


@given(NUMBER, NUMBER, st.integers(1, 10**6), st.integers(0, 10**7))
def test_schedule_is_a_straight_line_and_then_constant(start, end, steps, step):
    schedule = LinearSchedule(start, end, steps)
    slack = 1e-9 * (1 + abs(start) + abs(end))
    assert hash(schedule) == hash(LinearSchedule(start, end, steps))
    value = schedule(step)
    assert min(start, end) - slack <= value <= max(start, end) + slack
    assert schedule(0) == start and schedule(steps) == pytest.approx(end, abs=slack)
    if step >= steps:
        assert value == pytest.approx(end, abs=slack)
    else:
        share = step / steps
        assert value == pytest.approx((1 - share) * start + share * end, abs=slack)


# Records


def made_up_run(seed):
    versions = {"numpy": "1"}
    numbers = {"steps": 10, "seconds": 0.5, "returns": [9, 10], "evaluation": [seed]}
    return {"seed": seed, "versions": versions, "checkpoints": [], **numbers}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "x.jsonl"
    for seed in range(4):
        records.append(path, dataclasses.asdict(Preset()), made_up_run(seed))
    return path.read_bytes()


@given(data=st.data())
def test_torn_record_keeps_whole_lines_and_goes_on(data, record, folder):
    path = folder / "x.jsonl"
    kept = data.draw(st.integers(0, len(record)))
    path.write_bytes(record[:kept])
    whole = record[:kept].count(b"\n")
    loaded = records.load(path)
    assert [run["seed"] for run in loaded.runs] == list(range(max(0, whole - 1)))
    for seed in range(len(loaded.runs), 4):
        records.append(path, dataclasses.asdict(Preset()), made_up_run(seed))
    assert records.load(path).runs == [made_up_run(seed) for seed in range(4)]
    assert path.read_bytes() == record


@given(data=st.data())
def test_record_with_a_changed_byte_is_read_or_refused(data, record, folder):
    path = folder / "x.jsonl"
    changed = bytearray(record)
    changed[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    try:
        for run in records.load(path).runs:
            assert np.isfinite(np.mean(run["evaluation"]))
    except ValueError as error:
        assert "x.jsonl" in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["seed", "evaluation", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(field=st.sampled_from(["seed", "steps", "seconds", "evaluation"]), value=JSON)
def test_record_with_a_changed_number_is_read_or_refused(field, value, record, folder):
    path = folder / "x.jsonl"
    run = json.dumps({**made_up_run(9), field: value}).encode()
    path.write_bytes(record + run + b"\n")
    try:
        (run,) = records.load(path).runs[4:]
        assert np.isfinite(np.mean(run["evaluation"])) and run["seed"] >= 0
    except ValueError as error:
        assert "x.jsonl の 6 行目" in str(error)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff\xfe", b"1" * 10_000])
def test_hostile_line_of_a_record_is_refused(line, record, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(record + line + b"\n")
    with pytest.raises(ValueError, match=r"x\.jsonl の 6 行目"):
        records.load(path)


# Weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    agent = PRESETS["stable"].make_agent(PRESETS["stable"].make_env(), 0)
    path = tmp_path_factory.mktemp("weights") / "x.npz"
    policies.save(path, policies.of_agent(agent, {"seed": 0}))
    return path.read_bytes()


@given(data=st.data())
def test_torn_weights_are_refused(data, weights, folder):
    path = folder / "x.npz"
    path.write_bytes(weights[: data.draw(st.integers(0, len(weights) - 1))])
    with pytest.raises(ValueError, match=r"x\.npz は方策のファイルではありません"):
        policies.load(path)


@given(data=st.data())
def test_weights_with_a_changed_byte_are_read_or_refused(data, weights, folder):
    """Half of the changes are near the headers of the zip."""
    marks = [k for k in range(len(weights)) if weights[k : k + 2] == b"PK"]
    near = st.builds(int.__add__, st.sampled_from(marks), st.integers(0, 150))
    place = data.draw(near | st.integers(0, len(weights) - 1))
    changed = bytearray(weights)
    changed[min(place, len(weights) - 1)] = data.draw(st.integers(0, 255))
    path = folder / "x.npz"
    path.write_bytes(changed)
    try:
        assert policies.load(path)(np.zeros(4, np.float32)) in (0, 1)
    except ValueError as error:
        assert "x.npz" in str(error)
