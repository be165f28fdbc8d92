"""What chapter 5 adds to the agent of chapter 4, each option by itself."""

import numpy as np
import pytest
from test_agents import arrays, copies, fill, same, transitions

from rlbook_helpers import DQNAgent, QNet2
from rlbook_helpers.replay_buffer import NStepReturns
from rlbook_helpers.stable import LinearSchedule, RunningScale, StableDQNAgent


@pytest.mark.parametrize("tau", [0.0, 0.25, 1.0])
def test_every_update_moves_the_target_network_by_tau(tau):
    agent = StableDQNAgent(tau=tau, batch_size=4, seed=0)
    for k in range(8):
        before = copies(agent.qnet_target)
        fill(agent, 1, seed=k)
        for was, now, online in zip(
            before, arrays(agent.qnet_target), arrays(agent.qnet)
        ):
            np.testing.assert_allclose(now, was + tau * (online - was), atol=1e-7)
    assert same(agent.qnet_target, before) == (tau == 0)


@pytest.mark.parametrize("every", [1, 3])
def test_sync_steps_synchronizes_every_so_many_steps(every):
    agent = StableDQNAgent(sync_steps=every, batch_size=4, seed=0)
    synced = []
    for step, transition in enumerate(transitions(12), 1):
        agent.update(*transition)
        if same(agent.qnet_target, agent.qnet):
            synced.append(step)
    # learning starts at step 4
    assert synced == [k for k in range(1, 13) if k < 4 or k % every == 0]


@pytest.mark.parametrize(
    ("rule", "pessimism"), [("max", 0), ("double", 0), ("double", 0.25), ("double", 1)]
)
def test_next_value_follows_the_target_rule(rule, pessimism):
    agent = StableDQNAgent(target_rule=rule, pessimism=pessimism, action_size=3, seed=0)
    agent.qnet_target = QNet2(3, seed=1)
    x = np.random.default_rng(2).standard_normal((50, 4)).astype(np.float32)
    online, target = agent.qnet(x).data, agent.qnet_target(x).data
    want = []
    for online_qs, target_qs in zip(online, target):
        best = online_qs.argmax()
        double, smaller = target_qs[best], min(target_qs[best], online_qs[best])
        mixed = (1 - pessimism) * double + pessimism * smaller
        want.append(target_qs.max() if rule == "max" else mixed)
    assert (online.argmax(axis=1) != target.argmax(axis=1)).any()
    np.testing.assert_allclose(agent.next_value(x), want, rtol=1e-5, atol=1e-6)


def test_error_limit_clips_the_td_error():
    states = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    actions, targets = np.arange(50) % 2, np.linspace(-5, 5, 50, dtype=np.float32)
    agent = StableDQNAgent(error_limit=0.5, seed=0)
    q = agent.qnet(states).data[np.arange(50), actions]
    error = np.clip(targets - q, -0.5, 0.5)
    assert 0 < (np.abs(error) < 0.5).sum() < 50
    loss = agent.get_loss(states, actions, targets)
    assert loss.data == pytest.approx((error**2).mean(), rel=1e-4)
    loss.backward()
    np.testing.assert_allclose(  # of the last layer's bias, by hand
        agent.qnet.l3.b.grad.data,
        [(-2 * error[actions == a] / 50).sum() for a in (0, 1)],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4, 1e25])
def test_scale_is_mean_and_deviation_of_seen_states(scale):
    states = np.random.default_rng(0).standard_normal((500, 4)) * scale + 7
    states[:, 2] = 4.0  # never changes
    # float32 would lose the squares of 2 beside those of the first two
    states[:, 3] = [1e4, -1e4, *(2, -2) * 249]
    running = RunningScale(4)
    states = states.astype(np.float32)
    np.testing.assert_array_equal(running(states), states)  # before it has seen any
    kept = states.copy()
    for state in states:
        running.update(state)
    seen = states.astype(float)
    np.testing.assert_allclose(running.mean, seen.mean(axis=0), rtol=1e-6, atol=1e-9)
    wanted = np.where(np.arange(4) == 2, 1, seen.std(axis=0))
    np.testing.assert_allclose(running.deviation, wanted, rtol=1e-6)
    assert running(states).dtype == RunningScale(4)(states).dtype == np.float32
    np.testing.assert_array_equal(states, kept)


def test_network_gets_normalized_states():
    """Compare with the same weights on states that were scaled beforehand."""
    options = {"target_rule": "double", "epsilon": 0, "seed": 0}
    plain, agent = StableDQNAgent(**options), StableDQNAgent(normalize=True, **options)
    rng = np.random.default_rng(1)
    states = (rng.standard_normal((60, 4)) * [9, 1, 0.1, 3] + 5).astype(np.float32)
    for state in states[:31]:  # no learning yet
        agent.update(state, 0, 1.0, -state, False)
    wanted = (states - states[:31].mean(axis=0)) / states[:31].std(axis=0)
    scaled = agent.scaled(states)
    np.testing.assert_allclose(scaled, wanted, rtol=1e-4, atol=1e-4)
    rest = np.zeros(60, int), np.zeros(60, np.float32)  # actions and targets
    for x, y in (
        (agent.action_values(states), plain.action_values(scaled)),
        (agent.next_value(states), plain.next_value(scaled)),
        (agent.get_loss(states, *rest).data, plain.get_loss(scaled, *rest).data),
    ):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4)
    for state, x in zip(states, scaled):
        assert agent.get_action(state) == plain.get_action(x)
        assert agent.greedy_action(state) == plain.greedy_action(x)


def test_refused_state_leaves_the_scale_unchanged():
    agent = StableDQNAgent(normalize=True, seed=0)
    state = np.ones(4, np.float32)
    with pytest.raises(ValueError, match="next_state"):
        agent.update(state, 0, 1.0, state * np.nan, False)
    assert agent.scale.count == 0


@pytest.mark.parametrize("start", [4, 7, 10])
def test_learning_start_delays_the_first_update(start):
    sizes = {"batch_size": 4, "buffer_size": 10}
    agent = StableDQNAgent(learning_start=start, **sizes, seed=0)
    losses = [agent.update(*transition) for transition in transitions(12)]
    assert [loss is None for loss in losses] == [k < start for k in range(1, 13)]


def test_schedules_set_lr_epsilon_and_pessimism():
    schedules = {
        "pessimism": LinearSchedule(0.0, 0.4, 4),
        "lr": LinearSchedule(0.4, 0.0, 4),
        "epsilon": LinearSchedule(1.0, 0.5, 2),
    }
    agent = StableDQNAgent(target_rule="double", schedules=schedules, seed=0)
    schedules.clear()  # the agent has its own
    s, seen = np.ones(4, np.float32), []
    for _ in range(6):
        seen.append((agent.lr, agent.optimizer.alpha, agent.epsilon, agent.pessimism))
        agent.update(s, 0, 1.0, s, False)
    rates, shares = [0.4, 0.3, 0.2, 0.1, 0.0, 0.0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.4]
    np.testing.assert_allclose(
        seen,
        np.transpose([rates, rates, [1.0, 0.75, 0.5, 0.5, 0.5, 0.5], shares]),
        atol=1e-12,
    )


def test_defaults_learn_like_dqn_agent():
    agent, plain = StableDQNAgent(seed=0), DQNAgent(seed=0)
    for a in (agent, plain):
        a.epsilon = 0.5
        fill(a, 60)
    assert same(agent.qnet, plain.qnet) and same(agent.qnet_target, plain.qnet_target)
    assert (agent.lr, agent.epsilon) == (0.0005, 0.5)  # no schedule changes them
    assert not same(StableDQNAgent().qnet, StableDQNAgent().qnet)  # without a seed


@pytest.mark.parametrize("start", [1, 6])
def test_average_is_the_mean_of_weights_from_its_start(start):
    agent = StableDQNAgent(batch_size=4, average_start=start, seed=0)
    seen = []
    for k in range(1, 13):
        fill(agent, 1, seed=k)
        if k >= max(start, 4):  # learning starts at step 4
            seen.append(copies(agent.qnet))
        assert (agent.qnet_average is None) == (not seen)
    for k, average in enumerate(arrays(agent.qnet_average)):
        want = np.mean([weights[k] for weights in seen], axis=0)
        np.testing.assert_allclose(average, want, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in agent.qnet_average.params())


def test_only_greedy_action_uses_the_average():
    agent = StableDQNAgent(epsilon=0, batch_size=4, average_start=4, seed=0)
    fill(agent, 8)
    for net, values in ((agent.qnet, [1, 0]), (agent.qnet_average, [0, 1])):
        net.l3.W.data[...] = 0
        net.l3.b.data[...] = values
    s = np.ones(4, np.float32)
    assert (agent.get_action(s), agent.greedy_action(s)) == (0, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"tau": 1.5}, {"tau": -0.1}, {"target_rule": "mean"}, {"normalize": 2}),
        *({"average_start": 0}, {"average_start": 2.5}, {"sync_steps": 0}),
        *({"learning_start": x} for x in (31, 10_001, 64.0)),
        *({"error_limit": 0}, {"pessimism": 0.5}),
        {"pessimism": 1.5, "target_rule": "double"},
        {"pessimism": 0.0, "schedules": {"pessimism": LinearSchedule(0, 1, 2)}},
        {"schedules": {"gamma": LinearSchedule(0, 1, 2)}},
        *(
            {"schedules": {"epsilon": LinearSchedule(*ends, 2)}}
            for ends in ((2, 1), (1, 2), (-0.1, 1))
        ),
    ],
)
def test_bad_options_are_refused_with_their_name(arguments):
    name = next(iter(arguments))
    name = "epsilon" if "epsilon" in arguments.get("schedules", {}) else name
    with pytest.raises((ValueError, TypeError), match=name):
        StableDQNAgent(**arguments)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 0, 0), "steps"), ((float("nan"), 0, 1), "start"), ((1, "0", 1), "end")],
)
def test_bad_schedules_are_refused(arguments, name):
    with pytest.raises((ValueError, TypeError), match=name):
        LinearSchedule(*arguments)


def played(length, *, terminated, rng):
    """One episode: transitions of random numbers, each beginning where the last one ended."""
    states = rng.standard_normal((length + 1, 4)).astype(np.float32)
    rewards, actions = rng.standard_normal(length), rng.integers(2, size=length)
    return [
        (states[t], int(actions[t]), float(rewards[t]), states[t + 1], done)
        for t in range(length)
        for done in [terminated and t == length - 1]
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
@pytest.mark.parametrize("terminated", [True, False])
def test_n_step_returns_by_hand(n, length, terminated):
    rng, gamma = np.random.default_rng(0), 0.9
    returns = NStepReturns(n, gamma)
    for _ in range(3):  # an episode leaves nothing behind for the next one
        episode = played(length, terminated=terminated, rng=rng)
        found = [ready for transition in episode for ready in returns(*transition)]
        starts = length if terminated else max(0, length - n + 1)
        assert len(found) == starts
        for t, (state, action, total, last_state, done) in enumerate(found):
            end = min(t + n, length)
            assert state is not episode[t][0]
            np.testing.assert_array_equal(state, episode[t][0])
            assert action == episode[t][1]
            want = sum(gamma**k * episode[t + k][2] for k in range(end - t))
            assert total == pytest.approx(want)
            np.testing.assert_array_equal(last_state, episode[end - 1][3])
            assert done == (terminated and end == length)


def test_n_step_returns_of_an_array_that_is_used_again():
    returns, state, found = NStepReturns(2, 0.5), np.zeros(4, np.float32), []
    for t in range(4):
        before = state.copy()
        state[:] = t + 1
        found += returns(before, 0, 1.0, state, False)
    assert [float(row[0][0]) for row in found] == [0, 1, 2]
    state[:] = 9  # truncated: the next episode begins elsewhere
    found = returns(state, 0, 1.0, state + 1, True)
    assert [(float(row[0][0]), row[2]) for row in found] == [(9, 1.0)]


@pytest.mark.parametrize("n", [1, 3])
def test_n_step_target_is_the_return_and_the_discounted_value(n):
    rng = np.random.default_rng(1)
    agent = StableDQNAgent(n_steps=n, batch_size=8, gamma=0.9, seed=0)
    agent.qnet_target = QNet2(2, seed=5)
    targets = []

    def get_loss(state, action, target, old=agent.get_loss):
        targets.append((state, action, target))
        return old(state, action, target)

    agent.get_loss = get_loss
    episode = played(7 + n, terminated=False, rng=rng)
    for transition in episode:
        agent.update(*transition)
    ((states, actions, found),) = targets
    for t in range(8):
        value = agent.qnet_target(episode[t + n - 1][3][np.newaxis]).data.max()
        want = sum(0.9**k * episode[t + k][2] for k in range(n)) + 0.9**n * value
        row = int(np.flatnonzero((states == episode[t][0]).all(axis=1))[0])
        assert actions[row] == episode[t][1]
        assert found[row] == pytest.approx(want, rel=1e-5)


def test_bad_transition_leaves_no_trace_in_the_n_step_window():
    agent = StableDQNAgent(n_steps=3, batch_size=4, seed=0)
    state = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="reward"):
        agent.update(state, 0, float("nan"), state, False)
    assert not agent.n_step_returns.waiting
    with pytest.raises(ValueError, match="n は"):
        StableDQNAgent(n_steps=0)
