"""The agents against the algorithms written out in NumPy, one line an equation."""

import copy

import numpy as np
import pytest

from rlbook_helpers import DQNAgent, Linear, QLearningAgent, QNet2, checks, one_hot
from rlbook_helpers.dezero_compat import F, L, Model, optimizers
from rlbook_helpers.fused import Adam


def arrays(net):
    layers = [getattr(net, name) for name in ("l1", "l2", "l3") if hasattr(net, name)]
    return [a for layer in layers for a in (layer.W.data, layer.b.data)]


def copies(net):
    return [a.copy() for a in arrays(net)]


def same(net, others):
    """Whether the weights equal those of a network, or a list of arrays, bit for bit."""
    others = others if isinstance(others, list) else arrays(others)
    return all(np.array_equal(a, b) for a, b in zip(arrays(net), others))


def forward(params, x):
    """Values of all layers, the input first."""
    hs = [x]
    for k in range(0, len(params), 2):
        h = hs[-1] @ params[k] + params[k + 1]
        hs.append(np.maximum(h, 0) if k < len(params) - 2 else h)
    return hs


def gradient(params, x, action, target):
    """Loss and gradients of mean((Q(x)[action] - target)**2)."""
    hs = forward(params, x)
    n = len(action)
    error = hs[-1][np.arange(n), action] - target
    g = np.zeros_like(hs[-1])
    g[np.arange(n), action] = 2 * error / n
    grads = []
    for k in range(len(params) - 2, -1, -2):
        grads = [hs[k // 2].T @ g, g.sum(axis=0), *grads]
        g = (g @ params[k].T) * (hs[k // 2] > 0)
    return (error**2).mean(), grads


def transitions(count, seed=0):
    """Transitions with varied rewards, a third of them terminal."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        s, n = rng.standard_normal((2, 4)).astype(np.float32)
        action, reward = int(rng.integers(2)), float(rng.standard_normal())
        yield s, action, reward, n, bool(rng.random() < 1 / 3)


def fill(agent, count, seed=0):
    for transition in transitions(count, seed):
        agent.update(*transition)


def check_refused(agent, good, changes):
    """Each change raises its error, names the argument and leaves the agent usable."""
    for name, value, error in changes:
        before = copies(agent.qnet)
        with pytest.raises(error, match=name):
            agent.update(**{**good, name: value})
        assert same(agent.qnet, before)
    return agent.update(**good)


class TestDQNAgent:
    def test_defaults_are_those_of_the_original(self):
        agent = DQNAgent()
        assert (agent.gamma, agent.lr, agent.epsilon) == (0.98, 0.0005, 0.1)
        sizes = (agent.buffer_size, agent.batch_size, agent.action_size)
        assert sizes == (10_000, 32, 2)
        assert type(agent.optimizer).__name__ == "Adam"
        assert agent.optimizer.target is agent.qnet

    def test_update_is_the_published_algorithm(self):
        """Target of the target network, masked by done, without gradient; one step of Adam."""
        agent = DQNAgent(gamma=0.9, lr=0.001, seed=0)
        fill(agent, 200)
        rng = np.random.default_rng(5)
        for a in arrays(agent.qnet_target):  # make the two networks clearly different
            a += rng.standard_normal(a.shape).astype(np.float32) * 0.1
        online = [a.astype(np.float64) for a in arrays(agent.qnet)]
        target_net = copies(agent.qnet_target)
        m, v, t = agent.optimizer.m.copy(), agent.optimizer.v.copy(), 1 + 200 - 31
        twin = copy.deepcopy(agent)  # draws the batch that agent is going to draw
        s, n = np.ones((2, 4), dtype=np.float32)
        twin.replay_buffer.add(s, 1, 0.5, n, True)
        state, action, reward, next_state, done = twin.replay_buffer.get_batch()
        assert 0 < done.sum() < len(done)

        loss = agent.update(s, 1, 0.5, n, True)

        y = reward + (1 - done) * 0.9 * forward(target_net, next_state)[-1].max(axis=1)
        want_loss, grads = gradient(online, state, action, y)
        assert loss == pytest.approx(want_loss, rel=1e-5)
        g = np.concatenate([grad.ravel() for grad in grads])
        # the optimizer keeps m / (1 - beta1) and v / (1 - beta2)
        m, v = 0.1 * (0.9 * m + g), 0.001 * (0.999 * v + g**2)
        lr = 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        wanted = np.concatenate([a.ravel() for a in online])
        wanted -= lr * m / (np.sqrt(v) + 1e-8)
        now = np.concatenate([a.ravel() for a in arrays(agent.qnet)])
        np.testing.assert_allclose(now, wanted, rtol=1e-4, atol=2e-6)
        assert same(agent.qnet_target, target_net)

    def test_target_network_gets_no_gradient(self):
        agent = DQNAgent(seed=0)
        names = vars(DQNAgent().qnet.l1.W).keys()
        for _ in range(2):
            fill(agent, 40)
            assert all(p.grad is not None for p in agent.qnet.params())
            for p in agent.qnet_target.params():
                assert p.grad is None and vars(p).keys() == names
            agent.sync_qnet()

    def test_setting_lr_changes_the_next_update(self):
        agent, twin = DQNAgent(seed=0), DQNAgent(lr=0.25, seed=0)
        agent.lr = 0.25
        for a in (agent, twin):
            fill(a, 40)
        assert same(agent.qnet, twin.qnet)
        with pytest.raises(ValueError, match="lr は"):
            agent.lr = -1
        assert agent.lr == 0.25

    def test_sizes_are_those_of_the_buffer(self):
        agent = DQNAgent(buffer_size=50, batch_size=4)
        assert (agent.buffer_size, agent.batch_size) == (50, 4)
        with pytest.raises(AttributeError):
            agent.batch_size = 8

    def test_steps_are_counted(self):
        agent = DQNAgent(buffer_size=40, seed=0)
        fill(agent, 60)
        assert agent.num_steps == 60

    def test_copy_learns_like_the_original(self):
        agent = DQNAgent(seed=0)
        fill(agent, 50)
        twin = copy.deepcopy(agent)
        fill(agent, 20, seed=1)
        fill(twin, 20, seed=1)
        assert same(agent.qnet, twin.qnet)

    def test_learning_goes_on_after_loading_weights(self, tmp_path):
        agent = DQNAgent(seed=0)
        agent.qnet.save_weights(tmp_path / "w.npz")
        fill(agent, 40)
        agent.qnet.load_weights(tmp_path / "w.npz")
        before = copies(agent.qnet)
        fill(agent, 1, seed=1)
        assert not any(np.array_equal(a, b) for a, b in zip(arrays(agent.qnet), before))

    def test_learning_starts_with_the_first_full_batch(self):
        agent = DQNAgent(batch_size=4, seed=0)
        losses = [agent.update(*transition) for transition in transitions(6)]
        assert losses[:3] == [None] * 3
        assert all(isinstance(loss, float) for loss in losses[3:])

    def test_sync_copies_the_weights(self):
        agent = DQNAgent(seed=0)
        assert same(agent.qnet_target, agent.qnet)  # from the start
        fill(agent, 60)
        assert not same(agent.qnet_target, agent.qnet)
        agent.sync_qnet()
        kept = copies(agent.qnet_target)
        assert same(agent.qnet, kept)
        fill(agent, 1, seed=1)
        assert same(agent.qnet_target, kept)

    def test_epsilon_is_the_probability_of_a_random_action(self):
        """Half of the random actions are the greedy one."""
        agent = DQNAgent(seed=0)
        s = np.ones(4, dtype=np.float32)
        greedy = agent.greedy_action(s)
        for epsilon, slack in ((0, 0), (0.1, 0.02), (1, 0.05)):
            agent.epsilon = epsilon
            share = np.mean([agent.get_action(s) != greedy for _ in range(4000)])
            assert share == pytest.approx(epsilon / 2, abs=slack)

    def test_greedy_action_has_the_largest_value(self):
        agent = DQNAgent(action_size=3, seed=0)
        for a in arrays(agent.qnet_target):
            a[...] = 0  # the target network does not act
        states = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
        wanted = forward(arrays(agent.qnet), states)[-1].argmax(axis=1)
        assert [agent.greedy_action(s) for s in states] == wanted.tolist()

    def test_agent_learns_the_values_of_a_chain(self):
        """s0 -> s1 -> end with rewards 1 and 2: Q = 1 + 0.5 * 2 and 2."""
        sizes = {"batch_size": 8, "action_size": 1, "state_size": 2}
        agent = DQNAgent(gamma=0.5, lr=0.005, **sizes, seed=0)
        s0, s1 = np.eye(2, dtype=np.float32)
        for k in range(400):
            agent.update(s0, 0, 1.0, s1, False)
            agent.update(s1, 0, 2.0, s1, True)
            if k % 20 == 0:
                agent.sync_qnet()
        values = agent.qnet(np.stack([s0, s1])).data[:, 0]
        np.testing.assert_allclose(values, [2.0, 2.0], atol=0.05)

    def test_run_depends_on_the_seed_alone(self):
        def run(seed):
            agent = DQNAgent(seed=seed)
            fill(agent, 100)
            actions = [agent.get_action(np.ones(4)) for _ in range(20)]
            return agent.qnet, actions

        before = np.random.get_state()[1].copy()
        (a, actions_a), (b, actions_b), (c, _) = map(
            run, (1, np.random.default_rng(1), 2)
        )
        assert same(a, b) and actions_a == actions_b
        assert not same(a, c)
        assert not same(DQNAgent(seed=1).qnet, DQNAgent(seed=2).qnet)
        assert (np.random.get_state()[1] == before).all()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("gamma", 1.1), ("gamma", float("nan")), ("lr", 0), ("lr", "fast")),
            *(("epsilon", -0.1), ("epsilon", 2), ("buffer_size", 0), ("batch_size", 0)),
            *(("batch_size", 10_001), ("action_size", 0), ("state_size", 1.5)),
            ("seed", -1),
        ],
    )
    def test_bad_hyperparameters_are_refused(self, name, value):
        with pytest.raises((ValueError, TypeError), match=name):
            DQNAgent(**{name: value})

    def test_bad_transition_is_refused(self):
        names = ("state", "action", "reward", "next_state", "done")
        good = dict(zip(names, (np.zeros(4), 0, 1.0, np.ones(4), False)))
        agent = DQNAgent(batch_size=2, seed=0)
        agent.update(**good)
        changes = [
            ("state", np.zeros(3), ValueError),
            ("state", np.full(4, np.nan), ValueError),
            ("state", "abcd", TypeError),
            ("action", 2, ValueError),
            ("action", -1, ValueError),
            ("action", 0.0, TypeError),
            ("reward", float("nan"), ValueError),
            ("reward", None, TypeError),
            ("next_state", np.zeros((1, 4)), ValueError),
            ("done", 3, ValueError),
            ("done", None, TypeError),
        ]
        loss = check_refused(agent, good, changes)
        assert isinstance(loss, float) and len(agent.replay_buffer) == 2

    @pytest.mark.parametrize(
        "state", [np.zeros(3), np.zeros((1, 4)), np.full(4, np.nan), None]
    )
    def test_bad_state_is_refused(self, state):
        for epsilon in (0, 1):
            with pytest.raises((ValueError, TypeError), match="state"):
                DQNAgent(epsilon=epsilon).get_action(state)


class TestQLearningAgent:
    def test_defaults_are_those_of_the_original(self):
        agent = QLearningAgent()
        assert (agent.gamma, agent.lr, agent.epsilon) == (0.9, 0.01, 0.1)
        assert agent.action_size == 4 and agent.qnet.l1.W.shape == (12, 100)

    @pytest.mark.parametrize(
        ("gamma", "lr", "done"), [(0.9, 0.01, False), (0.5, 0.1, False), (0.9, 0.01, 1)]
    )
    def test_update_is_one_gradient_step_on_the_td_error(self, gamma, lr, done):
        agent = QLearningAgent(gamma=gamma, lr=0.5, seed=0)
        agent.lr = lr
        s, n = one_hot((2, 0)), one_hot((1, 0))
        for _ in range(2):  # the second update starts from cleared gradients
            params = [a.astype(np.float64) for a in arrays(agent.qnet)]
            y = 0.5 + (0 if done else gamma * forward(params, n)[-1].max())
            want_loss, grads = gradient(params, s, np.array([2]), np.array([y]))
            assert agent.update(s, 2, 0.5, n, done) == pytest.approx(
                want_loss, rel=1e-5
            )
            for now, before, g in zip(arrays(agent.qnet), params, grads):
                np.testing.assert_allclose(now, before - lr * g, rtol=1e-4, atol=1e-6)

    def test_epsilon_is_the_probability_of_a_random_action(self):
        agent = QLearningAgent(epsilon=0.2, seed=0)
        s = one_hot((0, 0))
        greedy = agent.greedy_action(s)
        share = np.mean([agent.get_action(s) != greedy for _ in range(3000)])
        assert share == pytest.approx(0.15, abs=0.03)

    def test_bad_transition_is_refused(self):
        s = one_hot((0, 0))
        names = ("state", "action", "reward", "next_state", "done")
        values = (s[0], 4, float("nan"), s * np.nan, 7)
        changes = [(name, value, ValueError) for name, value in zip(names, values)]
        good = dict(zip(names, (s, 0, 0.0, s, False)))
        check_refused(QLearningAgent(seed=0), good, changes)

    def test_greedy_action_has_the_largest_value(self):
        agent = QLearningAgent(seed=0)
        for y in range(3):
            s = one_hot((y, y))
            assert agent.greedy_action(s) == agent.qnet(s).data.argmax()
            with pytest.raises(ValueError, match="state_vec"):
                agent.greedy_action(s * np.nan)
        agent.epsilon = 1
        assert {agent.get_action(s) for _ in range(100)} == {0, 1, 2, 3}
        with pytest.raises(TypeError, match="state_vec"):
            agent.get_action("x")  # also when it explores

    def test_run_depends_on_the_seed_alone(self):
        def run(seed):
            agent = QLearningAgent(seed=seed, epsilon=0.5)
            actions = [agent.get_action(one_hot((0, 0))) for _ in range(30)]
            return agent.qnet, actions

        (a, actions_a), (b, actions_b), (c, actions_c) = map(run, (1, 1, 2))
        assert same(a, b) and actions_a == actions_b
        assert not same(a, c) and actions_a != actions_c


class TestOverflow:
    """A loss that is not finite is told before the optimizer writes it into the weights."""

    @pytest.mark.parametrize("agent", [DQNAgent(batch_size=1), QLearningAgent()])
    def test_weights_are_the_last_finite_ones(self, agent):
        dqn = isinstance(agent, DQNAgent)
        state = np.zeros(4, np.float32) if dqn else one_hot((0, 0))
        before, moved = copies(agent.qnet), copy.deepcopy(vars(agent.optimizer))
        with (
            np.errstate(over="ignore"),
            pytest.raises(FloatingPointError, match="損失が inf になりました") as error,
        ):
            agent.update(state, 0, 3e38, state, True)
        assert f"lr={agent.lr}" in str(error.value)
        assert ("num_steps=1" if dqn else "num_steps=?") in str(error.value)
        assert same(agent.qnet, before)
        assert vars(agent.optimizer).get("t") == moved.get("t")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_lost_weights_are_told_as_lost(self, value):
        agent = DQNAgent(batch_size=1)
        agent.qnet.l1.b.data[5] = value
        state = np.zeros(4, np.float32)
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(
                FloatingPointError, match="重みが有限でなくなり、もう使えません"
            ),
        ):
            agent.update(state, 0, 1.0, state, False)

    def test_learning_rate_of_10_to_the_30_is_named(self):
        agent = DQNAgent(lr=1e30, batch_size=4, seed=0)
        with (
            np.errstate(over="ignore", invalid="ignore"),
            pytest.raises(FloatingPointError, match=r"num_steps=5.*lr=1e\+30"),
        ):
            fill(agent, 9)
        assert all(np.isfinite(a).all() for a in arrays(agent.qnet))

    def test_only_weights_that_are_there_and_known_can_be_lost(self):
        agent = DQNAgent()
        for agent.qnet in (Lazy(), {"weights": np.nan}, None):
            checks.weights(agent)


class Tanh(QNet2):
    def forward(self, x):
        return self.l3(F.tanh(self.l2(F.tanh(self.l1(x)))))


class Deep(QNet2):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.l4 = Linear(2, 2, np.random.default_rng(4))

    def forward(self, x):
        return self.l4(F.relu(super().forward(x)))


class Lazy(Model):
    def __init__(self, *args, **options):
        super().__init__()
        self.first, self.second = L.Linear(16), L.Linear(2)

    def forward(self, x):
        return self.second(F.relu(self.first(x)))


class TestOwnNetwork:
    """A reader's network is used as its forward says, by action, target, loss and optimizer."""

    @pytest.mark.parametrize("adam", [Adam, optimizers.Adam])
    @pytest.mark.parametrize("network", [Tanh, Deep, Lazy])
    def test_all_weights_learn_from_its_forward(self, network, adam):
        agent = DQNAgent(seed=0, batch_size=4)
        agent.qnet = network(2, seed=1)
        agent.optimizer = adam(0.01).setup(agent.qnet)
        states = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
        np.testing.assert_array_equal(
            agent.action_values(states), agent.qnet(states).data
        )
        agent.sync_qnet()
        fill(agent, 3)
        before = [p.data.copy() for p in agent.qnet.params()]
        twin = copy.deepcopy(agent)  # draws the same batch
        s, n = np.ones((2, 4), np.float32)
        twin.replay_buffer.add(s, 1, 0.5, n, True)
        batch = twin.replay_buffer.get_batch()
        q = agent.qnet(batch.state).data[np.arange(4), batch.action]
        next_q = agent.qnet_target(batch.next_state).data.max(axis=1)
        wanted = np.mean((q - batch.reward - (1 - batch.done) * 0.98 * next_q) ** 2)
        assert agent.update(s, 1, 0.5, n, True) == pytest.approx(wanted, rel=1e-5)
        for p, old in zip(agent.qnet.params(), before, strict=True):
            assert (p.data != old).any()

    def test_replaced_parts_are_used(self):
        x = np.ones((1, 4), np.float32)
        net, other = QNet2(2, seed=0), QNet2(2, seed=0)
        net.l2 = L.Linear(128)
        np.testing.assert_array_equal(net.predict(x), net(x).data)
        assert net.l2.W in list(net.params())
        other.forward = lambda x: net.l1(x)
        np.testing.assert_array_equal(other.predict(x[0]), net.l1(x).data[0])

    def test_float64_weights_stay_float64(self):
        agent = DQNAgent(seed=0)
        for p in agent.qnet.params():
            p.data = p.data.astype(np.float64)
        fill(agent, 40)
        assert {p.data.dtype for p in agent.qnet.params()} == {np.dtype(np.float64)}

    def test_weights_without_gradient_stay(self):
        """As DeZero's Adam leaves them, its other weights move as with it."""
        nets = [Deep(2, seed=0) for _ in range(2)]
        for net, adam in zip(nets, (Adam, optimizers.Adam)):
            optimizer = adam(0.01).setup(net)
            for _ in range(3):
                net.cleargrads()
                QNet2.forward(net, np.ones((2, 4), np.float32)).backward()
                optimizer.update()
        np.testing.assert_array_equal(nets[0].l4.W.data, Deep(2, seed=0).l4.W.data)
        for a, b in zip(nets[0].params(), nets[1].params()):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-5, atol=1e-6)
