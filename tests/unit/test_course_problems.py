"""Problems of courses against the values that their sources print, and against independent computation."""

import itertools

import gymnasium
import numpy as np
import pytest
import scipy.stats

from qfast.errors import InvalidInput
from qfast.exact import evaluate_policy, finite_horizon, solve
from qfast.problems import (
    bandit,
    blackjack,
    forest,
    from_gymnasium,
    gamblers_problem,
    inventory,
    jacks_car_rental,
    machine_replacement,
    ten_armed_testbed,
    tic_tac_toe,
)


def best(mdp, gamma):
    """The optimal action of each state, by label."""
    solution = solve(mdp, gamma)
    q = np.where(np.ones_like(solution.q, dtype=bool) if mdp.allowed is None else mdp.allowed, solution.q, -np.inf)
    return solution, [mdp.actions[a] for a in q.argmax(axis=1)]


@pytest.mark.parametrize("p", [0.25, 0.4])
def test_the_gambler_plays_boldly(p):
    mdp = gamblers_problem(p_heads=p)
    v = solve(mdp, 1.0).v
    assert v[[25, 50, 75]] == pytest.approx([p * p, p, p + (1 - p) * p])
    assert (mdp.n_states, mdp.n_actions, mdp.allowed[30].sum()) == (101, 50, 30)
    fair = solve(gamblers_problem(16, p_heads=0.5), 1.0).v
    assert fair[1:16] == pytest.approx(np.arange(1, 16) / 16)


def test_jacks_car_rental():
    mdp = jacks_car_rental()
    solution, actions = best(mdp, 0.9)
    moved = np.array(actions).reshape(21, 21)  # Figure 4.2, the last policy: three of its sides
    assert moved[20].tolist() == [5, 5, 5, 5, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert moved[0].tolist() == [0] * 8 + [-1, -1, -2, -2, -2, -3, -3, -3, -3, -3, -4, -4, -4]
    assert moved[:, 0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5]
    assert (solution.v.min(), solution.v.max()) == pytest.approx((421.41, 636.99), abs=0.01)
    assert mdp.probability.sum(axis=2) == pytest.approx(1.0, abs=1e-12)


def test_a_small_car_rental_is_counted_out():
    mdp = jacks_car_rental(2, max_moved=1, free_move=True, parking_cost=7.0)

    def pmf(mean, cap):
        shares = [scipy.stats.poisson(mean).pmf(k) for k in range(cap)]
        return [*shares, 1 - sum(shares)]

    total, paid = np.zeros((3, 3)), 0.0
    for (a, pa), (b, pb) in itertools.product(enumerate(pmf(3, 1)), enumerate(pmf(4, 2))):
        for (c, pc), (d, pd) in itertools.product(enumerate(pmf(3, 30)), enumerate(pmf(2, 30))):
            p = pa * pb * pc * pd
            total[min(1 - a + c, 2), min(2 - b + d, 2)] += p
            paid += p * 10 * (a + b)
    s, move = mdp.index((2, 1)), mdp.actions.index(1)  # 1 and 2 are left, and the first car moves for nothing
    row = mdp.probability[s, move], mdp.next_state[s, move], mdp.reward[s, move]
    got = np.zeros(9)
    np.add.at(got, row[1], row[0])
    assert got.reshape(3, 3) == pytest.approx(total, abs=1e-9)
    assert (row[0] * row[2]).sum() == pytest.approx(paid, abs=1e-9)
    back = mdp.actions.index(-1)
    assert not mdp.allowed[mdp.index((2, 0)), back]


def test_inventory_of_puterman():
    horizon = finite_horizon(inventory(), 3, keep_actions=True)
    assert horizon.return_by_state == pytest.approx(np.array([67, 129, 194, 227]) / 16)
    assert horizon.best_return == pytest.approx(617 / 64)


def test_machine_replacement_of_hillier_and_lieberman():
    mdp = machine_replacement()
    solution, actions = best(mdp, 0.9)
    assert -solution.v == pytest.approx([14_949, 16_262, 18_636, 19_454], abs=1.0)
    assert actions == ["run", "run", "overhaul", "replace"]
    # The mean cost a week of this policy, from its stationary distribution.
    chosen = [mdp.actions.index(action) for action in actions]
    chain = np.zeros((4, 4))
    for s, a in enumerate(chosen):
        np.add.at(chain[s], mdp.next_state[s, a], mdp.probability[s, a])
    shares = np.linalg.matrix_power(chain, 1000)[0]
    assert shares @ mdp.reward[range(4), chosen, 0] == pytest.approx(-5000 / 3)


def test_forest_of_the_toolboxes():
    solution, actions = best(forest(), 0.9)
    assert solution.v == pytest.approx([26.244, 29.484, 33.484])
    assert actions == ["wait"] * 3
    assert forest(10, p_fire=0.5).n_states == 10


def test_bandits():
    mdp = bandit([0.1, scipy.stats.expon(scale=0.5), [(0.25, 4.0), (0.75, 0.0)]], n_outcomes=16)
    assert solve(mdp, 0.9).q[0] == pytest.approx([0.1, 0.5, 1.0], abs=1e-7)
    assert (mdp.n_states, mdp.is_deterministic, bandit([1, 2], std=0).is_deterministic) == (1, False, True)
    with pytest.raises(InvalidInput, match=r"probabilities of arms\[1\] sum to 0.5"):
        bandit([0.0, [(0.5, 1.0)]])
    with pytest.raises(InvalidInput, match=r"a reward of arms\[0\]='a' is not a number"):
        bandit([[(1.0, "a")]])
    with pytest.raises(InvalidInput, match="demand=3 is no list"):
        inventory(demand=3)
    with pytest.raises(InvalidInput, match="arms='ab' are no list"):
        bandit("ab")


def test_the_testbed_is_that_of_the_book():
    testbed = ten_armed_testbed(1000)
    means = testbed.reward.mean(axis=2)
    assert solve(testbed, 0.0).start_value == pytest.approx(means.max(axis=1).mean())
    assert means.shape == (1000, 10)
    # Standard normal means: the mean of all is 0 +- 0.01, and the best of ten is 1.539 +- 0.019.
    assert abs(means.mean()) < 0.04
    assert abs(means.max(axis=1).mean() - 1.539) < 0.08
    assert np.array_equal(ten_armed_testbed(2).reward, testbed.reward[:2])
    assert bandit(means[7].tolist()).reward[0] == pytest.approx(testbed.reward[7])


def legal_boards():
    """All positions of tic-tac-toe by who is to move, by plain search."""
    lines = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
    seen, todo = {"." * 9: "X"}, ["." * 9]
    ends = set()
    while todo:
        board = todo.pop()
        if "." not in board or any(board[a] == board[b] == board[c] != "." for a, b, c in lines):
            ends.add(board)
            continue
        mark = "XO"[board.count("X") > board.count("O")]
        for cell in range(9):
            if board[cell] == ".":
                after = board[:cell] + mark + board[cell + 1 :]
                if after not in seen:
                    seen[after] = "OX"[mark == "O"]
                    todo.append(after)
    return seen, ends


def test_tic_tac_toe_has_all_positions():
    seen, ends = legal_boards()
    assert (len(seen), len(ends)) == (5478, 958)
    mdp = tic_tac_toe()
    to_move = {board for board in seen if board not in ends and board.count("X") == board.count("O")}
    assert {mdp.states[s] for s in np.flatnonzero(mdp.decision_states)} == to_move
    assert {mdp.states[s] for s in np.flatnonzero(mdp.terminal_states)} == ends
    second = tic_tac_toe(first=False)
    assert {second.states[s] for s in np.flatnonzero(second.decision_states)} == set(seen) - ends - to_move


def test_tic_tac_toe_values():
    assert solve(tic_tac_toe(), 1.0).start_value == pytest.approx(191 / 192)
    assert solve(tic_tac_toe(loss=0.0), 1.0).start_value == pytest.approx(191 / 192)  # so it never loses
    assert solve(tic_tac_toe("perfect"), 1.0).start_value == pytest.approx(0.0)
    assert solve(tic_tac_toe("perfect", first=False), 1.0).start_value == pytest.approx(0.0)


def test_tic_tac_toe_against_an_opponent_of_ones_own():
    def lowest(board):
        return board.index(".")

    mdp = tic_tac_toe(lowest)
    assert (mdp.is_deterministic, solve(mdp, 1.0).start_value) == (True, 1.0)
    with pytest.raises(InvalidInput, match=r"the opponent answered 0 to X\.+; give one of the free cells \[1, 2"):
        tic_tac_toe(lambda board: 0)
    with pytest.raises(InvalidInput, match="opponent='strong' is unknown"):
        tic_tac_toe("strong")


def test_blackjack_sticks_as_in_figure_5_2():
    mdp = blackjack()
    _, actions = best(mdp, 1.0)
    chosen = dict(zip(mdp.states, actions, strict=True))
    for card in range(1, 11):
        hard = 12 if card in (4, 5, 6) else 13 if card in (2, 3) else 17
        soft = 18 if 2 <= card <= 8 else 19
        assert [chosen[total, card, 0] for total in range(11, 22)] == [int(total < hard) for total in range(11, 22)]
        assert [chosen[total, card, 1] for total in range(12, 22)] == [int(total < soft) for total in range(12, 22)]


def counted(policy, natural, sab):
    """The mean return of a policy, over all hands card by card, without the table's states."""
    deck = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}

    def total(hand):
        return sum(hand) + 10 if 1 in hand and sum(hand) <= 11 else sum(hand)

    def dealer(hand):
        if total(hand) >= 17:
            yield 1.0, hand
            return
        for card, p in deck.items():
            for q, final in dealer((*hand, card)):
                yield p * q, final

    hands = {
        card: [(p * q, min(total(f), 22), sorted(f) == [1, 10]) for p, q, f in
               ((r, q, f) for c, r in deck.items() for q, f in dealer((card, c)))]
        for card in deck
    }  # fmt: skip
    pooled = {}
    for card, outcomes in hands.items():
        for p, score, nat in outcomes:
            pooled[card, score, nat] = pooled.get((card, score, nat), 0.0) + p

    def play(hand, card):
        mine = total(hand)
        if mine > 21:
            return -1.0
        if policy(mine, card):
            return sum(p * play((*hand, c), card) for c, p in deck.items())
        value = 0.0
        for (shown, final, nat), p in pooled.items():
            if shown == card:
                score = 0 if final > 21 else final
                reward = float(mine > score) - float(mine < score)
                if sorted(hand) == [1, 10]:
                    if sab and not nat:
                        reward = 1.0
                    elif natural and not sab and reward == 1.0:
                        reward = 1.5
                value += p * reward
        return value

    return sum(
        p * q * r * play((a, b), card) for a, p in deck.items() for b, q in deck.items() for card, r in deck.items()
    )


@pytest.mark.parametrize(("natural", "sab"), [(False, True), (False, False), (True, False), (True, True)])
def test_blackjack_is_exact(natural, sab):
    mdp = blackjack(natural=natural, sab=sab)

    def hits(total, card):
        return total < (13 if card < 7 else 16)

    policy = [int(len(s) == 3 and hits(s[0], s[1])) if isinstance(s, tuple) else 0 for s in mdp.states]
    value = evaluate_policy(mdp, np.array(policy), 1.0).start_value
    assert value == pytest.approx(counted(hits, natural, sab), abs=1e-12)


def test_blackjack_of_gymnasium():
    registered = from_gymnasium("Blackjack-v1")
    assert registered == blackjack()
    assert registered.name == "Blackjack-v1"
    casino = from_gymnasium("Blackjack-v1", natural=True, sab=False)
    assert casino == blackjack(natural=True, sab=False)
    assert casino.reward.max() == 1.5
    assert blackjack(sab=False).n_states == 283
    assert from_gymnasium("Blackjack-v1", start=(12, 10, 0)).start_state == registered.index((12, 10, 0))
    env = gymnasium.make("Blackjack-v1")
    env.action_space.seed(2)
    mdp, state = registered, None
    for _ in range(3000):
        if state is None:
            seen, _ = env.reset(seed=5 if _ == 0 else None)
            state = mdp.index(("natural", seen[1]) if seen[0] == 21 else tuple(map(int, seen)))
            assert mdp.start[state] > 0
        action = int(env.action_space.sample())
        seen, reward, terminated, *_rest = env.step(action)
        possible = mdp.probability[state, action] > 0
        possible &= (mdp.reward[state, action] == reward) & (mdp.terminated[state, action] == terminated)
        if not terminated:
            entered = mdp.index(tuple(map(int, seen)))
            possible &= mdp.next_state[state, action] == entered
        assert possible.any()
        state = None if terminated else entered
