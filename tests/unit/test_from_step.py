"""Problems from a step function: found breadth-first, exact, and checked for chance and hidden state."""

import contextlib
import dataclasses
import enum
import random
import signal
import time

import numpy as np
import pytest

import qfast
from qfast.errors import Interrupted, InvalidInput
from qfast.exact import solve
from qfast.problems import corridor, from_step, frozen_lake, grid

MOVES = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}
MAP = ("S.#.", "...H", ".#.G")


def walk(cell, action):
    row, column = cell[0] + MOVES[action][0], cell[1] + MOVES[action][1]
    if not (0 <= row < 3 and 0 <= column < 4) or MAP[row][column] == "#":
        row, column = cell
    letter = MAP[row][column]
    return (row, column), {"G": 1.0, "H": 0.0}.get(letter, -0.1), letter in "GH"


def test_a_grid_is_the_grid():
    mdp = from_step(walk, (0, 0), list(MOVES))
    same = grid(MAP, step_reward=-0.1)
    assert mdp.states[:3] == ((0, 0), (1, 0), (0, 1))
    assert mdp.actions == tuple(MOVES)
    assert solve(mdp, 0.9).start_value == pytest.approx(solve(same, 0.9).start_value)
    number = {name: i for i, name in enumerate(same.state_names)}
    for s, cell in enumerate(mdp.states):
        other = number[f"{cell[0]},{cell[1]}"]
        if mdp.decision_states[s]:
            entered = [f"{r},{c}" for r, c in (mdp.states[k] for k in mdp.next_state[s, :, 0])]
            assert entered == [same.state_names[k] for k in same.next_state[other, :, 0]]
            assert mdp.reward[s].tolist() == same.reward[other].tolist()


def test_the_corridor_bit_for_bit():
    rewards = {0: 0.0, 1: 1.0, -1: -1.0}

    def step(place, move):
        entered = max(place + move, 0)
        return entered, 2.0 if entered == 4 else rewards[entered - place], entered == 4

    mdp = from_step(step, 0, [-1, 1])
    own = corridor()
    for table in ("next_state", "reward", "terminated", "probability", "start"):
        assert np.array_equal(getattr(mdp, table), getattr(own, table))
    assert mdp.actions == (-1, 1)


def test_chance_as_a_list():
    lake = frozen_lake(max_episode_steps=None)

    def step(state, action):
        tables = (lake.next_state, lake.reward, lake.terminated)
        return [(1 / 3, *row) for row in zip(*(table[state, action].tolist() for table in tables), strict=True)]

    mdp = from_step(step, 0, range(4), name="ice")
    assert (mdp.name, mdp.n_outcomes) == ("ice", 3)
    assert solve(mdp, 1.0).start_value == pytest.approx(14 / 17)
    order = [mdp.index(state) for state in range(16)]
    assert np.array_equal(np.array(mdp.states)[mdp.next_state[order]], lake.next_state)


def test_actions_of_the_state_are_masks():
    def possible(n):
        return [k for k in (1, 2, 3) if k <= n]

    # The one who takes the last stick loses: with 1 + 4 k sticks against a perfect opponent.
    mdp = from_step(lambda n, k: (n - k, -1.0 if n == k else 0.0, n == k), 5, possible)
    assert mdp.allowed[mdp.index(2)].tolist() == [True, True, False]
    assert mdp.allowed[mdp.index(0)].all()  # an end, whose row nobody reads
    assert mdp.actions == (1, 2, 3)
    assert mdp.terminal_states[mdp.index(0)]


def test_starts():
    def step(n, _):
        return n + 1, 0.0, n + 1 >= 3

    assert from_step(step, [0, 2, 2, 1], ["on"]).start[:3].tolist() == [0.25, 0.5, 0.25]
    mdp = from_step(step, {2: 0.75, 0: 0.25}, ["on"])
    assert {state: p for state, p in zip(mdp.states, mdp.start.tolist(), strict=True) if p} == {2: 0.75, 0: 0.25}
    with pytest.raises(InvalidInput, match=r"start sums to 0\.9"):
        from_step(step, {0: 0.5, 1: 0.4}, ["on"])


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


@dataclasses.dataclass(frozen=True)
class Place:
    x: int
    colour: Colour


def test_any_hashable_is_a_state():
    def step(state, action):
        if isinstance(state, Place):
            return frozenset({state.x, 9}), 0.0, False
        return None, 1.0, True

    mdp = from_step(step, Place(1, Colour.RED), [Colour.BLUE])
    assert mdp.states == ((1, "RED"), (1, 9), None)
    assert mdp.actions == ("BLUE",)
    assert mdp.index((1, "RED")) == 0


def test_the_table_travels_and_the_function_does_not():
    mdp = from_step(walk, (0, 0), list(MOVES))
    assert solve(mdp, 0.9).start_value > 0
    import pickle

    assert pickle.loads(pickle.dumps(mdp)) == mdp


def test_random_steps_are_found():
    rng = random.Random(1)
    with pytest.raises(InvalidInput, match=r"step\(\d, 'on'\) gave .* and then .*return a list of \(probability"):
        from_step(lambda n, a: (rng.randrange(5), 0.0, False), 0, ["on"])
    calls = iter(range(100))
    with pytest.raises(InvalidInput, match="keep nothing outside the state"):
        from_step(lambda n, a: (n, float(next(calls)), False), 0, ["on"])


class Apart:
    """A state that is equal by its number, and whose repr says where it lies."""

    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n

    def __hash__(self):
        return self.n


def test_equal_states_are_one_whatever_they_print():
    with pytest.raises(InvalidInput, match="which files cannot keep"):
        from_step(lambda s, a: (Apart((s.n + 1) % 3), 0.0, False), Apart(0), ["on"])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ((1, 0.0), r"gave \(1, 0.0\); return \(next state, reward, terminated\), or a list"),
        ((1, 0.0, False, False, {}), "neither truncation nor information"),
        (None, "gave None"),
        ([], r"gave \[\]"),
        (([0], 0.0, False), "leads to a list, .* not hashable; use a tuple"),
        ((1, "much", False), "the reward='much'; give a number|has reward='much'; give a number"),
        ((1, float("nan"), False), "must be finite"),
        ((1, 0.0, "no"), "has terminated='no'"),
        ([(0.5, 1, 0.0, True)], r"the probabilities of step\(0, 'on'\) sum to 0.5"),
        ([(0.5, 1, 0.0)], "is no .probability, next state"),
    ],
)
def test_what_a_step_may_not_give(result, message):
    with pytest.raises(InvalidInput, match=message):
        from_step(lambda s, a: result, 0, ["on"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 0, ["on"]), "step is None, not a function"),
        ((walk, [0], []), "actions is empty"),
        ((walk, 0, "left"), "actions is 'left'; give a list"),
        ((walk, 0, [["a"]]), "not hashable"),
        ((walk, 0, ["a", "a"]), "twice; actions must differ"),
        ((walk, 0, {"a", "b"}), "actions is a set, which has no order"),
        ((walk, [], ["a"]), "start is an empty list"),
        ((walk, np.zeros(2), ["a"]), "start is an array .* not hashable"),
        ((walk, (0, 0), lambda s: []), "no action is possible"),
        ((lambda s, a: (s + 1, 0.0, False), 0, ["on"]), "more than max_states=50 states can be reached, such as 49"),
        ((lambda s, a: (1, 0.0, False), 0, lambda s: ["on"] * (s == 0)), "lead to 1 with terminated=False"),
    ],
)
def test_bad_calls(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        from_step(*arguments, max_states=50)


def test_an_error_of_the_users_stays_the_users():
    def step(state, action):
        return 1 / state

    with pytest.raises(ZeroDivisionError) as caught:
        from_step(step, 0, ["on"])
    assert "step(0, 'on')" in caught.value.__notes__[0]


def test_ten_thousand_states_cost_a_few_times_their_steps():
    n = 100

    def step(cell, action):
        row, column = cell
        row, column = (min(row + 1, n - 1), column) if action else (row, min(column + 1, n - 1))
        return (row, column), -1.0, (row, column) == (n - 1, n - 1)

    def bare():
        """The same search alone; with the tables it was seven to eight times as much."""
        met, todo = {(0, 0)}, [(0, 0)]
        while todo:
            cell = todo.pop()
            for action in (0, 1):
                after, _, _ = step(cell, action)
                if after not in met:
                    met.add(after)
                    todo.append(after)

    def seconds(call):
        began = time.perf_counter()
        result = call()
        return time.perf_counter() - began, result

    ratios = []
    for _ in range(3):
        alone, _ = seconds(bare)
        whole, mdp = seconds(lambda: from_step(step, (0, 0), [0, 1]))
        ratios.append(whole / alone)
    assert mdp.n_states == n * n
    assert min(ratios) < 25, ratios


def test_progress_is_told():
    events = []

    def step(n, _):
        time.sleep(0.03)
        return n + 1, 0.0, n == 5

    from_step(step, 0, ["on"], progress=events.append)
    assert [event.unit for event in events] == ["states"] * len(events)
    assert (len(events) >= 2, events[-1].done, events[-1].total, events[-1].steps) == (True, 6, 6, 6)


def test_stopped():
    def step(n, _):
        if n == 3:
            raise KeyboardInterrupt
        return n + 1, 0.0, False

    with pytest.raises(Interrupted, match="stopped; 4 states were found"):
        from_step(step, 0, ["on"])


def test_a_ctrl_c_that_the_users_function_swallows_counts():
    def step(n, _):
        if n == 50:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        return n + 1, 0.0, False

    with pytest.raises(Interrupted, match="states were found"):
        from_step(step, 0, ["on"], max_states=1_000_000)


def test_it_is_on_the_first_page():
    assert qfast.from_step is from_step


def test_messages_say_what_is_wrong_first():
    with pytest.raises(InvalidInput, match="reward=nan; it must be finite"):
        from_step(lambda n, a: (1, float("nan"), False), 0, ["on"])
    with pytest.raises(InvalidInput, match=r"let actions\(state\) leave it out"):
        from_step(lambda n, a: (1, -np.inf, False), 0, ["on"])
    with pytest.raises(InvalidInput, match="reward=1000"):
        from_step(lambda n, a: (1, 10**400, True), 0, ["on"])
    same = type("Same", (), {"__repr__": lambda self: "Same()"})
    with pytest.raises(InvalidInput, match="give your states __eq__ and __hash__"):
        from_step(lambda n, a: (same(), 0.0, False), same(), ["on"])
    ghost = [(1.0, 1, 0.0, True), (0.0, "ghost", 0.0, False)]
    assert from_step(lambda n, a: ghost, 0, ["on"]).states == (0, 1)
