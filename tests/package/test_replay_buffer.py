"""The replay buffer. test_properties.py compares it with a list."""

import numpy as np
import pytest

from rlbook_helpers import ReplayBuffer


def transition(k: int, **changes):
    """The k-th transition. It differs from the others in state and reward."""
    fields = {
        "state": np.full(4, k, dtype=np.float32),
        "action": k % 2,
        "reward": float(k),
        "next_state": np.full(4, k + 1, dtype=np.float32),
        "done": k % 3 == 0,
    }
    return {**fields, **changes}


def filled(count: int, buffer_size: int = 10, batch_size: int = 4) -> ReplayBuffer:
    buffer = ReplayBuffer(buffer_size, batch_size, seed=0)
    for k in range(count):
        buffer.add(**transition(k))
    return buffer


@pytest.mark.parametrize("count", [4, 10, 27])
def test_newest_transitions_replace_the_oldest(count):
    buffer, seen = filled(count), set()
    assert len(buffer) == min(count, 10)
    for _ in range(200):
        for s, a, r, n, d in zip(*buffer.get_batch()):
            want = transition(int(r))
            assert (s == want["state"]).all() and (n == want["next_state"]).all()
            assert (a, d) == (want["action"], want["done"])
            seen.add(int(r))
    assert seen == set(range(max(0, count - 10), count))


def test_batch_has_names_shapes_and_dtypes():
    batch = filled(10).get_batch()
    assert {name: (x.shape, x.dtype) for name, x in batch._asdict().items()} == {
        "state": ((4, 4), np.float32),
        "action": ((4,), np.int64),
        "reward": ((4,), np.float32),
        "next_state": ((4, 4), np.float32),
        "done": ((4,), np.float32),
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int16])
def test_dtype_and_shape_of_states_are_kept(dtype):
    buffer = ReplayBuffer(3, 1)
    image = np.arange(6, dtype=dtype).reshape(2, 3)
    buffer.add(image, 0, 0, image, False)
    state, _, _, next_state, _ = buffer.get_batch()
    assert state.dtype == next_state.dtype == dtype
    np.testing.assert_array_equal(state[0], image)


def test_sampling_is_without_replacement_and_uniform():
    buffer = filled(10, batch_size=5)
    counts = np.zeros(10)
    for _ in range(4000):
        reward = buffer.get_batch()[2].astype(int)
        assert len(set(reward.tolist())) == 5
        counts[reward] += 1
    # Each is in half of the batches: 2000, with a standard deviation of 32.
    assert np.abs(counts - 2000).max() < 160


def test_memory_is_allocated_once():
    buffer = ReplayBuffer(1000, 32)
    buffer.add(**transition(0))
    arrays = {k: x for k, x in vars(buffer).items() if isinstance(x, np.ndarray)}
    assert sum(x.nbytes for x in arrays.values()) == 1000 * (16 + 8 + 4 + 16 + 4)
    for k in range(2500):
        buffer.add(**transition(k))
    assert all(getattr(buffer, name) is x for name, x in arrays.items())


def test_buffer_stores_and_returns_copies():
    buffer = ReplayBuffer(3, 1)
    state = np.zeros(2, dtype=np.float32)
    buffer.add(state, 0, 0.0, state, False)
    state[:] = 7
    batch = buffer.get_batch()[0]
    assert batch[0, 0] == 0
    batch[:] = 7
    assert buffer.get_batch()[0][0, 0] == 0


def test_batches_depend_on_the_seed_alone():
    before = np.random.get_state()[1].copy()
    a, b = filled(10), filled(10)
    for _ in range(5):
        np.testing.assert_array_equal(a.get_batch()[2], b.get_batch()[2])
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"state": np.zeros(3, dtype=np.float32)}, ValueError),
        ({"state": np.full(4, np.nan, dtype=np.float32)}, ValueError),
        ({"state": np.zeros(4, dtype=complex)}, TypeError),
        ({"state": np.full(4, 1e39)}, ValueError),
        ({"next_state": np.zeros((4, 1), dtype=np.float32)}, ValueError),
        ({"next_state": np.full(4, np.inf, dtype=np.float32)}, ValueError),
        ({"next_state": None}, TypeError),
        ({"action": -1}, ValueError),
        ({"action": 0.5}, TypeError),
        ({"action": 2**63}, ValueError),
        ({"reward": float("nan")}, ValueError),
        ({"reward": "1"}, TypeError),
        ({"done": 2}, ValueError),
        ({"done": "no"}, TypeError),
    ],
)
@pytest.mark.parametrize("stored", [1, 13])
def test_bad_transition_leaves_the_buffer_unchanged(change, error, stored):
    buffer = filled(stored, batch_size=1)
    columns = (buffer.state, buffer.reward, buffer.next_state)
    contents = [x[: len(buffer)].copy() for x in columns]
    with pytest.raises(error, match=next(iter(change))):
        buffer.add(**transition(stored, **change))
    assert len(buffer) == min(stored, 10) and buffer.num_added == stored
    for kept, now in zip(contents, columns):
        np.testing.assert_array_equal(kept, now[: len(buffer)])
    buffer.add(**transition(stored))
    assert buffer.get_batch()[0].shape == (1, 4)


@pytest.mark.parametrize(
    "change",
    [{"state": np.full(4, np.nan, dtype=np.float32)}, {"done": 2}, {"action": 0.5}],
)
def test_bad_first_transition_does_not_fix_the_shapes(change):
    buffer = ReplayBuffer(10, 1)
    with pytest.raises((ValueError, TypeError), match=next(iter(change))):
        buffer.add(**transition(0, **change))
    image = np.zeros((2, 2), dtype=np.uint8)
    buffer.add(image, 0, 0.0, image, False)
    assert buffer.get_batch()[0].shape == (1, 2, 2)


@pytest.mark.parametrize(
    "sizes", [(0, 1), (1, 0), (-5, 1), (2.0, 1), (4, 5), (None, 1)]
)
def test_bad_sizes_are_refused(sizes):
    with pytest.raises((ValueError, TypeError), match="_size"):
        ReplayBuffer(*sizes)


def test_batch_of_too_few_transitions_is_refused():
    buffer = filled(3, batch_size=4)
    with pytest.raises(ValueError, match=r"batch_size \(4\).*3"):
        buffer.get_batch()
    buffer.add(**transition(3))
    assert len(buffer.get_batch()[0]) == 4
