"""The house variants: what tests outside of `oracle/` may train, and a problem for some of them.

Compiling a variant of the kernel takes seconds, and most of the suite's time is that.  So other tests train on variants
that `oracle/test_bits.py` compiles anyway, and on the few of `STUDIES`; `conftest.py` fails a test that does not.  To
find out what a rule or an option means, ask the oracle (`oracle/population.py`): it compiles nothing.
"""

import numpy as np
from oracle.variants import EVALUATED, HOUSE, VARIANTS, Variant

import qfast
from qfast.kernel.spec import Spec

__all__ = ["STUDIES", "chances", "evaluation_of", "spec_of", "specs"]

_CORRIDOR = HOUSE[0]
_LAKE = Variant(n_actions=4, dtype="float32")
#: What studies record: no lengths.
STUDIES = (
    _CORRIDOR,
    _LAKE,  # without slipping
    Variant(n_actions=4, dtype="float32", outcomes="equal"),
    Variant(n_actions=4, dtype="float32", outcomes="alias"),
    Variant(n_actions=4, dtype="float32", explore_schedule=True),
    Variant(n_actions=2, dtype="float32", outcomes="few", ties="first"),
)


def spec_of(variant, **changes):
    """What the kernel calls a variant."""
    alone = "temperature" if variant.explore == "softmax" else "explore"
    scheduled = {"alpha": variant.alpha == "by_episode", alone: variant.explore_schedule}
    scheduled["trace_decay"] = variant.lambda_schedule
    width, lanes = variant.lanes
    choices = {
        "n_actions": variant.n_actions, "dtype": variant.dtype, "rule": variant.rule, "explore": variant.explore,
        "many_steps": variant.reach == "steps", "traces": variant.traces or "none", "ties": variant.ties,
        "outcomes": "one" if variant.outcomes == "few" else variant.outcomes,
        "small": variant.outcomes == "few" and variant.dtype == "float32", "draws_start": variant.several_starts,
        "limited": variant.limited, "masked": variant.masked,
        "schedules": tuple(name for name, has in scheduled.items() if has),
        "alpha_by_visits": variant.alpha == "by_visits", "records": "nothing" if variant.record is None else "episodes",
        "lanes": lanes, "width": width,
    }  # fmt: skip
    return Spec(**(choices | changes))


def evaluation_of(variant):
    """How agents of a variant are evaluated: greedily, without learning, within a limit."""
    same = {"rule": "q_learning", "explore": "epsilon_greedy", "many_steps": False, "traces": "none", "schedules": ()}
    return spec_of(variant, **same, alpha_by_visits=False, limited=True, records="score", learns=False)


def specs():
    """All of them."""
    return {
        *map(spec_of, VARIANTS), *map(evaluation_of, EVALUATED),
        *(spec_of(variant, records="returns") for variant in STUDIES),
    }  # fmt: skip


def chances(*, masked=False):
    """Three states, three starts, two actions of two outcomes; a random action is costly in state 1.

    `masked` adds an action that is not allowed, a limit, and outcomes that are not equally likely.
    """
    end = 3
    next_state = np.array([[[1, 2], [end, 0]], [[end, 0], [end, 2]], [[0, end], [1, end]], [[end, end]] * 2])
    reward = np.array([[[0, 1], [1, 0]], [[4, 2], [-6, -2]], [[0, -2], [1, -1]], [[0, 0]] * 2])
    start = [1 / 3, 1 / 3, 1 / 3, 0]
    if not masked:
        return qfast.MDP(next_state, reward, terminated=next_state == end, start=start)
    third = np.full((4, 1, 2), end)
    next_state, reward = np.concatenate([next_state, third], axis=1), np.concatenate([reward, 100 * third], axis=1)
    return qfast.MDP(
        next_state, reward, terminated=next_state == end, start=start, max_episode_steps=200,
        allowed=[[True, True, False]] * 3 + [[False] * 3],
        probability=np.broadcast_to([0.4, 0.6], next_state.shape),
    )  # fmt: skip
