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


def filled(count: int, batch_size: int = 4, seed: int = 0) -> ReplayBuffer:
    buffer = ReplayBuffer(10, batch_size, seed=seed)
    for k in range(count):
        buffer.add(**transition(k))
    return buffer


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
    buffer.add(
        image, 2**62, 0, image, False
    )  # any action, if their number is not given
    state, action, _, next_state, _ = buffer.get_batch()
    assert state.dtype == next_state.dtype == dtype and action[0] == 2**62
    np.testing.assert_array_equal(state[0], image)


@pytest.mark.parametrize("count", [7, 23])
def test_sampling_is_without_replacement_and_uniform(count):
    buffer, counts = filled(count, batch_size=5), np.zeros(count)
    for _ in range(4000):
        reward = buffer.get_batch().reward.astype(int)
        assert len(set(reward.tolist())) == 5
        counts[reward] += 1
    # A binomial number with a standard deviation of 32 at most
    assert np.abs(counts[-10:] - 20_000 / min(count, 10)).max() < 160
    assert not counts[:-10].any()


def test_memory_is_allocated_once():
    buffer = ReplayBuffer(1000, 32)
    buffer.add(**transition(0))
    arrays = {k: x for k, x in vars(buffer).items() if isinstance(x, np.ndarray)}
    assert sum(x.nbytes for x in arrays.values()) == 1000 * (16 + 8 + 4 + 16 + 4)
    for k in range(2500):
        buffer.add(**transition(k))
    assert all(getattr(buffer, name) is x for name, x in arrays.items())


def test_batches_are_copies():
    buffer = filled(4)
    before = [np.sort(column, axis=0) for column in buffer.get_batch()]
    for column in buffer.get_batch():
        column[...] = 7
    for column, kept in zip(buffer.get_batch(), before):
        np.testing.assert_array_equal(np.sort(column, axis=0), kept)


def test_batches_depend_on_the_seed_alone():
    before = np.random.get_state()[1].copy()
    draws = []
    for seed in (0, 0, 1):
        buffer = filled(10, seed=seed)
        draws.append([buffer.get_batch().reward.tolist() for _ in range(5)])
    assert draws[0] == draws[1] != draws[2]
    assert (np.random.get_state()[1] == before).all()


STATES = np.float32([[0, 0, 0, 0], [np.nan, 0, 0, 0], [0, np.inf, 0, 0]])
REFUSED = {
    ValueError: [
        *(("state", x) for x in (STATES[0, :3], STATES[1], np.full(4, 1e39))),
        *(("next_state", x) for x in (STATES[0, :1], STATES[2], np.full(4, 1e39))),
        *(("action", -1), ("action", 2**63), ("reward", np.nan), ("done", 2)),
    ],
    TypeError: [
        *(("state", STATES[0] * 1j), ("next_state", None), ("action", 0.5)),
        *(("reward", "1"), ("done", "no")),
    ],
}


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [(error, *change) for error in REFUSED for change in REFUSED[error]],
)
@pytest.mark.parametrize("stored", [1, 13])
def test_bad_transition_leaves_the_buffer_unchanged(error, name, value, stored):
    buffer = filled(stored, batch_size=1)
    columns = [getattr(buffer, name) for name in transition(0)]
    contents = [x[: len(buffer)].copy() for x in columns]
    with pytest.raises(error, match=f"^{name} "):
        buffer.add(**transition(stored, **{name: value}))
    assert len(buffer) == min(stored, 10) and buffer.num_added == stored
    for kept, now in zip(contents, columns):
        np.testing.assert_array_equal(kept, now[: len(buffer)])
    buffer.add(**transition(stored))
    assert buffer.get_batch()[0].shape == (1, 4)


def test_bad_first_transition_does_not_fix_the_shapes():
    buffer = ReplayBuffer(10, 1)
    for name, value in (("state", STATES[1]), ("action", 0.5), ("done", 2)):
        with pytest.raises((ValueError, TypeError), match=f"^{name} "):
            buffer.add(**transition(0, **{name: value}))
    image = np.zeros((2, 2), dtype=np.uint8)
    buffer.add(image, 0, 0.0, image, False)
    assert buffer.get_batch()[0].shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        *(((x, 1), "^buffer_size ") for x in (0, -5, 2.0, None)),
        *(((1, 0), "^batch_size "), ((4, 5), r"^batch_size .*\(4\).* 5$")),
    ],
)
def test_bad_sizes_are_refused(sizes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ReplayBuffer(*sizes)


def test_batch_of_too_few_transitions_is_refused():
    buffer = filled(3)
    with pytest.raises(ValueError, match=r"batch_size \(4\).*3"):
        buffer.get_batch()
    buffer.add(**transition(3))
    assert len(buffer.get_batch().state) == 4
