"""Any environment with finitely many states as a table: what is found in it, and what is refused."""

import contextlib
import copy
import itertools
import random
import signal
import time

import numpy as np
import pytest

import qfast
from qfast.errors import HiddenState, Interrupted, InvalidInput, MissingLimitWarning

gym = pytest.importorskip("gymnasium")
made_envs = pytest.importorskip("made_envs")
spaces = gym.spaces


def found(env, **options):
    return qfast.from_env(env, **{"progress": False, "max_episode_steps": 100, **options})


class Hidden(gym.Wrapper):
    """Hides the table: `unwrapped` gives nothing of it away until a step needs it."""

    @property
    def P(self):  # noqa: N802
        raise AssertionError("nobody may read the table")


def same_table(one, other, *, terminal_rows=False):
    """Whether the decision states of `one`, brought into the order of `other`, have the same bits in every table."""
    rows = np.flatnonzero(one.decision_states)
    to = np.array([other.index(one.states[s]) for s in range(one.n_states)])
    assert (other.decision_states.nonzero()[0] == np.sort(to[rows])).all()
    assert one.actions == other.actions
    assert one.max_episode_steps == other.max_episode_steps
    assert (to[one.next_state[rows]] == other.next_state[to[rows]]).all()
    for name in ("reward", "terminated", "probability"):
        assert (getattr(one, name)[rows] == getattr(other, name)[to[rows]]).all(), name
    for name in ("start", "decision_states", "terminal_states"):
        assert (getattr(one, name) == getattr(other, name)[to]).all(), name
    assert one.start.sum() == other.start.sum()


def test_cliff_walking_bit_for_bit():
    cliff = qfast.from_gymnasium("CliffWalking-v1", max_episode_steps=200)
    env = found(Hidden(gym.make("CliffWalking-v1")), max_episode_steps=200)
    same_table(env, cliff)
    assert env.counts is None
    assert env.name == "CliffWalking-v1"
    assert env.action_names == cliff.action_names


def test_taxi_bit_for_bit():
    taxi = qfast.from_gymnasium("Taxi-v4")
    starts = {s: p for s, p in enumerate(taxi.start) if p}
    env = found(Hidden(gym.make("Taxi-v4")), starts=starts, action_mask=False, max_episode_steps=None)
    same_table(env, taxi)
    estimated = found("Taxi-v4", action_mask=False, max_episode_steps=None)
    assert (estimated.next_state == env.next_state).all()
    assert ((estimated.start > 0) == (env.start > 0)).all()
    assert np.abs(estimated.start - env.start).max() < 0.006  # 300 starts, some 3,000 resets


def test_the_mask_of_the_taxi():
    taxi = qfast.from_gymnasium("Taxi-v4")
    env, inner = found("Taxi-v4", max_episode_steps=None), gym.make("Taxi-v4").unwrapped
    for row in np.flatnonzero(env.decision_states):
        state = env.states[row]
        assert env.allowed[row].tolist() == inner.action_mask(state).astype(bool).tolist()
        to = np.array(env.states)[env.next_state[row, :, 0]]
        assert (to == taxi.next_state[state, :, 0])[env.allowed[row]].all()


def test_a_lake_without_slip_is_its_table():
    lake = qfast.from_gymnasium("FrozenLake-v1", is_slippery=False)
    env = found("FrozenLake-v1", env_options={"is_slippery": False}, max_episode_steps=None)
    same_table(env, lake)
    assert env.layout == lake.layout
    assert env.is_deterministic


def test_a_slippery_lake_by_sampling():
    lake = qfast.from_gymnasium("FrozenLake-v1")
    env = found("FrozenLake-v1", samples=400, max_episode_steps=None)
    acting = env.decision_states
    assert (acting == lake.decision_states).all()
    assert (env.counts[acting] == 400).all()
    assert (env.counts[~acting] == 0).all()
    for s, a in itertools.product(np.flatnonzero(acting), range(4)):
        for to in range(16):
            p = lake.probability[s, a][lake.next_state[s, a] == to].sum()
            estimate = env.probability[s, a][env.next_state[s, a] == to].sum()
            assert abs(estimate - p) <= 5 * np.sqrt(p * (1 - p) / 400) + 1e-12
    policy = qfast.exact.solve(lake, 0.99).policy  # chosen without the samples
    error = env.sampling_error(0.99, policy)
    assert error.fewest == 400
    assert abs(error.value - qfast.exact.evaluate_policy(lake, policy, 0.99).start_value) < 4 * error.standard_error
    found_best = qfast.exact.solve(env, 0.99).policy
    assert qfast.exact.evaluate_policy(lake, found_best, 0.99).start_value > error.value - 5 * error.standard_error


def test_random_steps_without_samples():
    with pytest.raises(InvalidInput, match=r"FrozenLake-v1 is random: in the state 0 the action .* samples=1000"):
        found("FrozenLake-v1")


@pytest.mark.parametrize("source", ["own", "random", "numpy", "attribute"])
def test_randomness_is_found_wherever_it_comes_from(source):
    with pytest.raises(InvalidInput, match="Slippery is random"):
        found(lambda: made_envs.Slippery(source))
    env = found(lambda: made_envs.Slippery(source), samples=300)
    p = env.probability[2, 1][env.next_state[2, 1] == 3].sum()
    assert abs(p - 0.8) < 5 * np.sqrt(0.16 / 300)


def test_starts_from_a_stream_that_no_seed_of_reset_sets():
    class Own(made_envs.Line):
        def __init__(self):
            super().__init__()
            self.mine = np.random.default_rng()

        def reset(self, *, seed=None, options=None):
            self.at = int(self.mine.integers(3))
            return self.at, {}

    env = found(Own)
    assert np.abs(env.start[:3] - 1 / 3).max() < 5 * np.sqrt(2 / 9 / 1000)
    assert found(Own) == env
    assert found(Own, by="copies") == env


@pytest.mark.parametrize("by", ["copies", "replays"])
def test_copies_and_replays_give_the_same_table(by):
    one = found(lambda: made_envs.Slippery("own"), samples=50)
    assert found(lambda: made_envs.Slippery("own"), samples=50, by=by) == one
    assert found(lambda: made_envs.Slippery("own"), samples=50, seed=1) != one


def test_global_streams_are_left_as_they_were():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    found(lambda: made_envs.Slippery("numpy"), samples=5)
    found(made_envs.Line)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_samples_of_what_is_not_random():
    env = found(made_envs.Line, samples=10)
    assert env.counts is None
    assert env == found(made_envs.Line)


def test_a_dict_observation():
    env = found(lambda: made_envs.DictGrid(fixed_target=(3, 3)))
    assert env.n_states == 16
    start = (("agent", (0, 0)), ("target", (3, 3)))
    assert env.states[env.start_state] == start
    best = qfast.exact.solve(env, 1.0)
    assert best.start_value == pytest.approx(0.5)  # five steps of -0.1 and the goal
    row = env.next_state[env.index(start), 0, 0]
    assert env.states[row] == (("agent", (0, 1)), ("target", (3, 3)))


def test_random_starts_and_their_shares():
    env = found(lambda: made_envs.DictGrid(2))
    assert env.n_states == 16  # also the four places of agent and target together, which end
    starts = env.start[env.start > 0]
    assert starts.size == 12
    assert env.start.sum() == pytest.approx(1.0)
    n = 1000
    assert np.abs(starts - 1 / 12).max() < 5 * np.sqrt(1 / 12 * 11 / 12 / n)
    fixed = found(lambda: made_envs.DictGrid(2), resets=[3])
    assert fixed.start_state is not None
    known = found(lambda: made_envs.DictGrid(2), starts=[s for s, p in zip(env.states, env.start, strict=True) if p])
    assert set(known.start[known.start > 0]) == {1 / 12}


def test_a_start_that_was_never_met():
    with pytest.raises(InvalidInput, match="the start 17 of starts= was never met"):
        found(made_envs.Line, starts=[0, 17])


def test_hidden_state_is_shown_by_both_ways():
    with pytest.raises(HiddenState, match=r"the state 4 hides something") as caught:
        found(made_envs.Keyed)
    message = str(caught.value)
    assert "has_key (False, True)" in message or "has_key (True, False)" in message
    assert message.count("reset(seed=") == 2
    outcomes = []
    for seed, actions in caught.value.ways:
        env = made_envs.Keyed()
        env.reset(seed=seed)
        for action in actions:
            at = env.step(action)[0]
        assert at == 4
        outcomes.append(env.step(1)[0])
    assert sorted(outcomes) == [4, 5]


def test_hidden_state_is_mended_by_a_state_function():
    env = found(made_envs.Keyed, state=lambda env: (env.unwrapped.at, env.unwrapped.has_key))
    assert env.n_states == 11  # 5 cells with and without the key, and the end
    assert qfast.exact.solve(env, 1.0).start_value == 1.0
    observed = found(made_envs.Line, state=lambda observation, info: f"cell {observation}")
    assert observed.states == tuple(f"cell {i}" for i in range(6))


def test_what_chance_drew_before_and_nobody_saw():
    with pytest.raises(InvalidInput, match=r"FaceDown is random: .* samples=1000"):
        found(made_envs.FaceDown)
    env = found(made_envs.FaceDown, samples=400)
    assert (env.counts[env.decision_states] == 400).all()
    for state in (0, 1):
        wins = env.probability[state, 1][env.reward[state, 1] == 1.0].sum()
        assert abs(wins - 0.5) < 5 * np.sqrt(0.25 / 400)
    with pytest.raises(HiddenState):  # what the way decides is no chance, however many samples there are
        found(made_envs.Keyed, samples=50)


def test_hints_leave_out_what_belongs_to_gymnasium():
    with pytest.raises(HiddenState) as caught:
        found(made_envs.Fading)
    assert "_np_random" not in str(caught.value)


def test_masks_that_differ_show_hidden_state():
    class Locked(made_envs.Keyed):
        def _mask(self):
            return {"action_mask": np.array([True, self.at < 4 or self.has_key])}

        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)[0], self._mask()

        def step(self, action):
            return (*super().step(action)[:4], self._mask())

    with pytest.raises(HiddenState, match=r"info\['action_mask'\] allows .* after reset.*, and .* after reset"):
        found(Locked)
    open_ = found(Locked, state=lambda env: (env.unwrapped.at, env.unwrapped.has_key))
    assert open_.allowed[open_.index((4, False))].tolist() == [True, False]


def test_texts_and_wrappers():
    shouting = gym.wrappers.TransformObservation(made_envs.Line(), lambda at: f"cell {at}", spaces.Text(9))
    paid = gym.wrappers.TransformReward(shouting, lambda r: r - 0.25)
    env = found(paid)
    assert env.states == tuple(f"cell {i}" for i in range(6))
    assert env.reward[4, 1, 0] == 0.75


def test_a_reward_that_fades():
    with pytest.raises(HiddenState, match=r"count \(\d+, \d+\)"):
        found(made_envs.Fading)
    paid = found(lambda: gym.wrappers.TransformReward(made_envs.Fading(), lambda r: float(r > 0)))
    assert paid.reward.max() == 1.0


def test_rewards_that_differ_by_rounding_are_one():
    env = found(made_envs.Rounding)
    assert env.is_deterministic
    assert env.reward[env.decision_states][:, 0, 0] == pytest.approx([0.1] * 5)


def test_an_environment_that_copies_wrongly():
    line = found(made_envs.Line)
    with pytest.raises(InvalidInput, match="copies do not work"):
        found(made_envs.SharedCopy, by="copies")
    shared = found(made_envs.SharedCopy)
    assert (shared.next_state == line.next_state).all()


def test_an_environment_whose_copies_go_wrong_later(monkeypatch):
    from qfast.problems.environments.ways import Returns

    monkeypatch.setattr(Returns, "_timed", lambda self, seed: 0.0)  # keep a copy of every place
    env = found(made_envs.ForgetfulCopy)
    assert env.n_states == 12
    assert qfast.exact.solve(env, 1.0).start_value == 1.0


def test_an_environment_that_cannot_be_copied():
    assert found(made_envs.NoCopy).n_states == 6
    with pytest.raises(InvalidInput, match=r"copies do not work .*pickle.*lock"):
        found(made_envs.NoCopy, by="copies")
    with pytest.raises(InvalidInput, match=r"copies do not work .* again does not .*get_state= and set_state="):
        found(made_envs.NoWayBack)


def test_states_that_can_be_set():
    options = {"get_state": lambda env: env.unwrapped.get(), "set_state": lambda env, value: env.unwrapped.set(value)}
    env = found(made_envs.Settable, **options)
    assert (env.next_state == found(made_envs.Line).next_state).all()


    class Slips(made_envs.Settable):
        def step(self, action):
            return super().step(1 - action if self.np_random.random() < 0.3 else action)

    slips = found(Slips, samples=100, **options)
    assert (slips.counts[:5] == 100).all()
    assert abs(slips.probability[1, 1][slips.next_state[1, 1] == 2].sum() - 0.7) < 5 * np.sqrt(0.21 / 100)
    with pytest.raises(InvalidInput, match="set_state does not restore"):
        found(made_envs.Settable, get_state=options["get_state"], set_state=lambda env, value: None)
    with pytest.raises(InvalidInput, match="belong together"):
        found(made_envs.Settable, get_state=options["get_state"])


def test_states_without_end():
    with pytest.raises(InvalidInput, match=r"more than max_states=500 states .*: 498, 499, 500|497, 498, 499"):
        found(made_envs.Counting, max_states=500)


def test_an_environment_that_never_ends():
    with pytest.warns(MissingLimitWarning, match="no action ends an episode"):
        env = found(made_envs.Round, max_episode_steps=None)
    assert env.n_states == 6
    assert env.max_episode_steps is None
    assert found(made_envs.Round).max_episode_steps == 100


def test_limits():
    line = gym.wrappers.TimeLimit(made_envs.Line(), 3)  # shorter than the way to the end
    env = found(line, max_episode_steps=None)
    assert (env.n_states, env.max_episode_steps) == (6, 3)
    assert line._max_episode_steps == 3
    with pytest.warns(MissingLimitWarning, match="has no limit"):
        assert found(made_envs.Line, max_episode_steps=None).max_episode_steps is None


def test_a_counter_of_the_environments_own():
    with pytest.warns(MissingLimitWarning, match="truncates episodes after 20 steps by a counter of its own"):
        env = found(made_envs.Impatient, max_episode_steps=None)
    assert env.max_episode_steps == 20
    assert found(made_envs.Impatient, max_episode_steps=20).n_states == 6
    with pytest.raises(InvalidInput, match=r"truncates an episode after \d+ steps .* but not another one of"):
        found(made_envs.Moody)


def test_nobody_steps_beyond_a_truncation_that_is_seen():
    with pytest.warns(MissingLimitWarning, match="truncates episodes after 5 steps"):
        env = found(made_envs.Days, max_episode_steps=None)
    assert env.n_states == 11
    assert env.max_episode_steps == 5
    assert qfast.exact.finite_horizon(env).best_return == 5.0
    assert qfast.exact.solve(env, 1.0).start_value == 5.0
    replayed = qfast.replay(qfast.exact.solve(env, 1.0), made_envs.Days, episodes=2, progress=False)
    assert replayed.returns.tolist() == [[5.0, 5.0]]


def test_a_truncation_that_is_not_seen_hides_no_state():
    class Far(made_envs.Line):
        n = 18

        def reset(self, *, seed=None, options=None):
            self.count = 0
            return super().reset(seed=seed)

        def step(self, action):
            if self.count >= 20:
                raise RuntimeError("the episode is over")
            self.count += 1
            at, reward, done, _, info = super().step(action)
            return at, reward, done, self.count == 20, info

    env = found(Far, max_episode_steps=20)
    assert env.n_states == 18
    assert (env.next_state[env.decision_states] == found(type("L", (made_envs.Line,), {"n": 18})).next_state[:17]).all()


def test_a_mask_becomes_allowed():
    env = found(made_envs.Masked)
    assert env.allowed.tolist() == [[False, True]] + [[True, True]] * 5
    with pytest.raises(InvalidInput, match=r"step\(0\) raised ValueError: this way is a wall; where an action is imp"):
        found(made_envs.Masked, action_mask=False)


@pytest.mark.parametrize(
    ("space", "labels"),
    [
        (spaces.MultiBinary(3), list(itertools.product((0, 1), repeat=3))),
        (spaces.MultiDiscrete([2, 2, 2]), list(itertools.product((0, 1), repeat=3))),
        (spaces.MultiDiscrete([[2, 2, 2]]), [(part,) for part in itertools.product((0, 1), repeat=3)]),
        (
            spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(2)]),
            [(a, b) for a in (0, 1) for b in itertools.product((0, 1), repeat=2)],
        ),
    ],
)
def test_composed_actions(space, labels):
    env = found(lambda: made_envs.Boxes(space))
    assert env.actions == tuple(labels)
    assert env.n_states == 8
    last = env.index((1, 1, 1))
    assert env.next_state[env.index((0, 0, 0)), len(labels) - 1, 0] == last
    assert env.terminated[env.index((0, 0, 0)), :, 0].tolist() == [False] * 7 + [True]


def test_actions_that_do_not_begin_at_0():
    class FromFive(made_envs.Line):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.Discrete(2, start=5)

        def step(self, action):
            assert self.action_space.contains(action)
            return super().step(action - 5)

    assert found(FromFive).actions == (5, 6)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(0, 1, (2,)), r"action space Box.* is none that a table can list"),
        (spaces.MultiBinary(20), r"has 1,048,576 actions"),
    ],
)
def test_actions_that_no_table_can_list(space, message):
    with pytest.raises(InvalidInput, match=message):
        found(lambda: made_envs.Boxes(space))


def test_observations_with_floats():
    with pytest.raises(InvalidInput, match=r"the observation holds .*, a float, .* use qfast.discretise"):
        found("CartPole-v1")
    env = found(lambda: gym.wrappers.TransformObservation(made_envs.Line(), lambda at: np.array([at], float), None))
    assert env.states == tuple((i,) for i in range(6))


def broken(**methods):
    return type("Broken", (made_envs.Line,), methods)


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        (7, {}, "env is 7, no environment"),
        ("NoSuchThing-v0", {}, "Gymnasium cannot make 'NoSuchThing-v0'"),
        (lambda: 3, {}, "env is 3, no environment"),
        (lambda: 1 / 0, {}, "env, a function, raised ZeroDivisionError"),
        (broken(step=lambda self, a: (0, 0.0, False, {})), {}, r"step gave 4 values, not \(observation, reward"),
        (broken(step=lambda self, a: (0, "1", False, False, {})), {}, "step gave the reward '1'; let it be a number"),
        (broken(step=lambda self, a: (0, np.nan, False, False, {})), {}, "the reward nan, which is not finite"),
        (broken(step=lambda self, a: (0, 0.0, None, False, {})), {}, "step gave terminated=None"),
        (broken(step=lambda self, a: (0, 0.0, None, False, {}), reset=lambda self, **_: 0), {}, "reset gave 0, not"),
        (broken(reset=lambda self: (0, {})), {}, r"reset\(seed=\d+\) raised TypeError"),
        (made_envs.Line, {"state": lambda env: env["agent"]}, r"state= raised TypeError: .*gets the environment"),
        (made_envs.Line, {"state": lambda a, b, c: 0}, "a function of 3 parameters"),
        (made_envs.Line, {"state": "agent"}, "state is 'agent', no function"),
        (made_envs.Line, {"state": lambda env: {1, 2}}, "what state= gave is or holds a set"),
        (made_envs.Line, {"samples": 0}, "samples=0 is not a whole number"),
        (made_envs.Line, {"repeats": 0}, "repeats=0"),
        (made_envs.Line, {"resets": []}, "resets is a list, neither"),
        (made_envs.Line, {"resets": "0"}, "resets is '0', neither"),
        (made_envs.Line, {"starts": {0: 0.5}}, "the probabilities of starts sum to 0.5"),
        (made_envs.Line, {"starts": 0}, "starts is 0; give a list"),
        (made_envs.Line, {"by": "magic"}, "by='magic' is unknown"),
        (made_envs.Line, {"env_options": {"n": 3}}, "n can change an environment by its id alone"),
        (made_envs.Line, {"sample": 3}, "has no argument sample; did you mean samples"),
    ],
)  # fmt: skip
def test_what_is_refused(env, options, message):
    with pytest.raises(InvalidInput, match=message):
        found(env, **options)


def test_a_ctrl_c_that_the_environment_swallows_counts():
    class Swallows(made_envs.Counting):
        def step(self, action):
            if self.at == 50:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
            return super().step(action)

    with pytest.raises(Interrupted, match="states were found"):
        found(Swallows, max_states=1_000_000)


class Bandit(gym.Env):
    """One step, paid by chance that reset(seed) does not set."""

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)

    def __init__(self, kind):
        self.kind, self.number, self.at = kind, 1, 0
        self.numbers = np.random.default_rng(3).random(1000).tolist() if kind == "buffer" else []
        stream = random.Random(5)
        self.streams = {"set": {stream}, "array": np.array([stream], object)}.get(kind)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        if self.kind == "lcg":
            self.number = (self.number * 1103515245 + 12345) % 2**31
            draw = self.number / 2**31
        elif self.kind == "buffer":
            self.at = (self.at + 1) % 1000
            draw = self.numbers[self.at]
        else:
            draw = next(iter(self.streams.flat if self.kind == "array" else self.streams)).random()
        return 1, float(draw < 0.5), np.array(True), False, {}


@pytest.mark.parametrize("kind", ["set", "array", "lcg", "buffer"])
def test_chance_that_reset_does_not_set(kind):
    with pytest.raises(InvalidInput, match=r"Bandit is random: .* samples=1000"):
        found(lambda: Bandit(kind))
    env = found(lambda: Bandit(kind), samples=400)
    wins = env.probability[0, 1][env.reward[0, 1] == 1.0].sum()
    assert abs(wins - 0.5) < 5 * np.sqrt(0.25 / 400)


def test_words_for_ids_and_vectors():
    with pytest.raises(InvalidInput, match="correct the id"):
        found("FrozenLak-v1")
    with pytest.raises(InvalidInput, match="this is a vector environment; give a single one"):
        found(lambda: gym.make_vec("FrozenLake-v1", num_envs=2))


def test_differences_name_lists_arrays_and_what_is_long():
    from qfast.problems.environments.findings import differences

    one = {"bag": [1], "grid": np.zeros(2, int), "map": {1: 2}, "met": {3}, "same": [1], "log": list(range(99))}
    other = {"bag": [2], "grid": np.ones(2, int), "map": {1: 3}, "met": {4}, "same": [1], "log": []}
    assert differences(one, other) == [
        "bag ([1], [2])", "grid (array([0, 0]), array([1, 1]))", "map ({1: 2}, {1: 3})", "met ({3}, {4})", "log",
    ]  # fmt: skip


def test_a_class_whose_constructor_needs_arguments():
    kind = type("Sized", (made_envs.Line,), {"__init__": lambda self, size: None, "action_space": spaces.Discrete(2)})
    with pytest.raises(InvalidInput, match=r"env, a class, raised TypeError: .*size.* such as lambda"):
        found(kind)


def test_progress_and_ctrl_c():
    events = []
    found("FrozenLake-v1", samples=20, progress=events.append)
    assert {event.phase for event in events} == {"resetting", "exploring", "sampling", "checking"}
    assert events[-1].steps > 11 * 4 * 20

    class Pressed(made_envs.Counting):
        def step(self, action):
            if self.at == 5_000:
                signal.raise_signal(signal.SIGINT)
            return super().step(action)

    with pytest.raises(Interrupted, match=r"stopped; 5,00[0-9] states were found"):  # at once
        found(Pressed, max_states=1_000_000)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Taxi-v4", {"action_mask": False}),
        ("FrozenLake-v1", {"samples": 1000}),
        ("MiniGrid-Empty-8x8-v0", {"state": lambda env: (*env.unwrapped.agent_pos, env.unwrapped.agent_dir)}),
    ],
)
def test_finding_costs_little_more_than_the_environments_own_work(name, options, monkeypatch):
    """At most 1.5 times the environment's own copies, resets and steps."""
    pytest.importorskip("minigrid")
    own = [0.0]

    def timed(call):
        def clock(*args, **kwargs):
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                own[0] += time.perf_counter() - began

        return clock

    class Timed(gym.Wrapper):
        def __init__(self, env):
            super().__init__(env)
            self.reset, self.step = timed(env.reset), timed(env.step)

        def __deepcopy__(self, memo):
            return Timed(copy.deepcopy(self.env, memo))

    copies = type("Copy", (), {"deepcopy": staticmethod(timed(copy.deepcopy))})
    monkeypatch.setattr("qfast.problems.environments.ways.copy", copies)
    shares = []
    for _ in range(3):
        own[0], began = 0.0, time.perf_counter()
        found(lambda: Timed(gym.wrappers.TransformReward(gym.make(name), lambda r: float(r > 0))), **options)
        shares.append((time.perf_counter() - began) / own[0])
    assert min(shares) < 1.5, shares


@pytest.mark.parametrize(
    ("name", "n_decisions"), [("MiniGrid-Empty-5x5-v0", 32), ("MiniGrid-DoorKey-5x5-v0", None)]
)
def test_minigrid(name, n_decisions):
    check_minigrid(name, n_decisions)


@pytest.mark.long
def test_the_four_rooms_of_minigrid():
    check_minigrid("MiniGrid-FourRooms-v0", None)


def minigrid_state(env):
    inside = env.unwrapped
    door = [(cell.is_open, cell.is_locked) for cell in inside.grid.grid if cell is not None and cell.type == "door"]
    keys = [i for i, cell in enumerate(inside.grid.grid) if cell is not None and cell.type == "key"]
    return (*map(int, inside.agent_pos), int(inside.agent_dir), inside.carrying is not None, tuple(door), tuple(keys))


def check_minigrid(name, n_decisions):
    pytest.importorskip("minigrid")
    paid = gym.wrappers.TransformReward(gym.make(name), lambda r: float(r > 0))  # without what the steps cost
    env = found(paid, state=minigrid_state, resets=[1])
    if n_decisions is not None:
        assert env.decision_states.sum() == n_decisions
    assert env.action_names == ("left", "right", "forward", "pickup", "drop", "toggle", "done")
    best = qfast.exact.solve(env, 0.99)
    env_itself = gym.make(name)
    env_itself.reset(seed=1)
    for _ in range(round(np.log(best.start_value) / np.log(0.99)) + 1):
        action = int(best.policy[env.index(minigrid_state(env_itself))])
        _, reward, terminated, *_ = env_itself.step(action)
    assert terminated
    assert reward > 0
    with pytest.raises(HiddenState, match="step_count"):
        found(name, state=minigrid_state, resets=[1])
