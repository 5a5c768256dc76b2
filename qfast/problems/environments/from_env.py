"""An MDP from any environment with finitely many states: found by acting in it."""

import enum
import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import explained, flag, is_whole, number, shown, whole
from qfast.errors import Interrupted, InvalidInput, MissingLimitWarning, warn_caller
from qfast.model.labels import Label
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import SUM_TOLERANCE, episode_limit
from qfast.problems import outcomes
from qfast.problems.environments.exploration import DrawnBefore, Exploration
from qfast.problems.environments.random_streams import global_streams_kept
from qfast.problems.environments.simulator import Environment, Simulator, opened
from qfast.problems.environments.spaces import observed
from qfast.problems.environments.ways import CopiesWrong, Returns
from qfast.problems.gym_adapter import printing_of
from qfast.progress import WorkReporter, work_reporter

if TYPE_CHECKING:
    import gymnasium

__all__ = ["find_starts", "from_env"]

_FEW_RESETS: Final = 100  # all alike: there is one start
_RESETS: Final = 1_000
_MOST_RESETS: Final = 100_000
_UNSEEN: Final = 1e-3  # the chance of a start that no reset has shown, by the share of starts shown once
_ENDLESS: Final = 10_000  # resets, most of which led to a start of their own


@explained
def from_env(
    env: Environment,
    *,
    state: "Callable[[gymnasium.Env[Any, Any]], Hashable] | Callable[[Any, Any], Hashable] | None" = None,
    samples: int | None = None,
    resets: int | Sequence[int] | None = None,
    starts: Mapping[Any, float] | Sequence[Any] | None = None,
    get_state: Callable[[Any], Any] | None = None,
    set_state: Callable[[Any, Any], object] | None = None,
    by: str = "auto",
    action_mask: bool = True,
    repeats: int = 3,
    max_states: int = 100_000,
    max_episode_steps: int | None = None,
    seed: int = 0,
    env_options: Mapping[str, Any] | None = None,
    progress: bool | WorkReporter | None = None,
) -> MDP:
    r"""Make an MDP from any environment of Gymnasium with finitely many states, by acting in it.

    Every action of every state that can be reached is tried `repeats` times, with random streams set anew, on different
    ways where there are any. Where all tries agree everywhere, the environment is deterministic and the table exact.
    Else `samples` tries of every pair of state and action estimate its probabilities:
    :math:`\hat p(s', r \mid s, a) = n(s, a, s', r) / n(s, a)`.

    Parameters
    ----------
    env : str, gymnasium.Env or callable
        An id, an environment, or a function (or class) that makes one. What wrappers do is part of the problem, except
        TimeLimit's. An environment that is given is reset and stepped; reset it before you use it again.
    state : callable, optional
        What the state is, where the observation does not say it: ``state=lambda env: …`` gets the environment
        (``env.unwrapped`` is the one inside all wrappers), ``state=lambda observation, info: …`` what it showed.
        By default the observation, which may be Discrete, MultiDiscrete, MultiBinary, a Box of whole numbers, text, or
        a Tuple or Dict of those; arrays become tuples, a dict the sorted tuple of its items.
    samples : int, optional
        Tries of each pair of state and action of an environment whose steps are random; needed for those alone. They
        are kept in ``mdp.counts``. If it is given and no pair shows two outcomes, the table counts as exact.
    resets : int or sequence of int, optional
        Resets that find the start states and how likely each is, or the seeds of the resets, each equally likely:
        ``resets=[0]`` is the one layout that ``env.reset(seed=0)`` draws. By default 100 and, where these differ, 1,000
        and more until the chance that the next one shows another start is below 1/1000; probabilities are then shares
        of resets, with a standard error of ``sqrt(p (1 - p) / resets)``.
    starts : mapping or sequence, optional
        The start states with their probabilities, or start states that are equally likely, where you know them.
        Every one must have been met, by a reset or later.
    get_state, set_state : callable, optional
        ``get_state(env)`` gives all of the environment's state, ``set_state(env, value)`` restores it: faster than
        copies, and needed where neither copies nor replays work.
    by : {"auto", "copies", "replays"}, default "auto"
        How to come back to a state: by copies of the environment (``copy.deepcopy``), by taking the same actions again
        after a reset with the same seed, or by whatever is faster. Both are checked: copies that do not behave as their
        original are not used.
    action_mask : bool, default True
        Whether ``info["action_mask"]`` says which actions are allowed.
    repeats : int, default 3
        Tries of each pair of state and action that look for randomness. What happens with probability p at one pair
        alone is missed with probability (1 - p)\ :sup:`repeats`.
    max_states : int, default 100,000
        An environment with more states is refused.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default that of ``env.spec``, or the number of steps after which
        the environment was seen to truncate by itself.
    seed : int, default 0
        Of all resets and tries: the same seed gives the same table.
    env_options : mapping, optional
        With an id: options for ``gymnasium.make``.
    progress : bool or callable, optional
        As in `qfast.train`; a callable gets `qfast.progress.Work` events.

    Returns
    -------
    MDP
        ``mdp.states`` are the labels that `state` or the observations gave, in sorted order where they can be sorted,
        else breadth-first; ``mdp.actions`` those of the action space. States in which episodes only end are terminal.
        States that are met only when the environment has truncated the episode by itself have rows without meaning.

    Raises
    ------
    HiddenState
        If an action of one state has two different deterministic outcomes on two ways to it, or two masks; the message
        shows both ways, and what differs inside of the environment.
    InvalidInput
        If the environment is random and `samples` is not given; there are more than `max_states`; observations hold
        floats that are not whole; the environment truncates by a rule that the state does not show; nothing leads back
        to a state; it raises something; or a start of `starts` was never met.
    Interrupted
        On Ctrl-C.

    Warns
    -----
    MissingLimitWarning
        If no limit is known, or if it is one that the environment has of its own and that is now the MDP's.

    Notes
    -----
    Rewards that differ by rounding alone (by a share of 1e-9) count as one, the first that was seen.

    What a state hides is found where outcomes without chance differ; behind random ones it is averaged over, as the
    tries came to it. A walk at random as long as there are pairs comes at the end and looks for more. Where a way that
    looks just the same may lead to other outcomes, as with a dealer's card that was drawn at the reset and lies face
    down, that is chance too: all samples then come from fresh episodes, and rare states may have fewer than `samples`.

    Examples
    --------
    >>> import qfast
    >>> mdp = qfast.from_env("CliffWalking-v1", max_episode_steps=200, progress=False)
    >>> mdp.n_states, mdp.is_deterministic, mdp.states[mdp.start_state]
    (38, True, 36)
    """
    limit = episode_limit(max_episode_steps)
    samples = None if samples is None else whole("samples", samples, 2, fix="use one such as 1000")
    repeats, max_states = whole("repeats", repeats), whole("max_states", max_states)
    seed = whole("seed", seed, 0, 2**63)
    mask = flag("action_mask", action_mask)
    given = None if starts is None else _given_starts(starts)
    _check_resets(resets)
    exploration: Exploration | None = None
    try:
        with (
            opened(env, dict(env_options or {})) as made,
            global_streams_kept(),
            work_reporter(progress) as report,
        ):
            simulator = Simulator(made, state, action_mask=mask)
            names, layout = _names(made, len(simulator.actions.labels))
            with simulator.without_limit():
                global_streams = fresh = False
                while True:
                    returns = Returns(
                        simulator, by=by, get_state=get_state, set_state=set_state, rng=np.random.default_rng(seed),
                        global_streams=global_streams,
                    )  # fmt: skip
                    exploration = Exploration(
                        returns, repeats=repeats, samples=samples, max_states=max_states, report=report,
                        seeds=_seeds(resets), fresh=fresh, names=names,
                    )  # fmt: skip
                    try:
                        returns.check()
                        shares = find_starts(exploration, resets)
                        exploration.explore()
                        if not fresh:
                            exploration.check()
                    except DrawnBefore:
                        fresh = True
                        continue
                    except CopiesWrong:
                        by = _without_copies(by, simulator.name)
                        continue
                    except InvalidInput:
                        if not returns.global_used():
                            raise
                    if not returns.global_used():
                        break
                    global_streams = True
    except KeyboardInterrupt:
        n = 0 if exploration is None else len(exploration.labels)
        raise Interrupted(f"stopped; {n:,} states were found") from None
    limit = _limit(exploration, simulator, limit, asked=max_episode_steps is not None)
    return _table(exploration, given or shares, limit, names, layout, samples)


def _without_copies(by: str, name: str) -> str:
    if by == "copies":
        fix = "use by='auto', or give get_state= and set_state="
        raise InvalidInput(f"{name}: a copy did not behave as its original; {fix}")
    return "replays"


def _check_resets(resets: Any) -> None:
    if resets is None or (is_whole(resets) and resets >= 1):
        return
    seeds = list(resets) if isinstance(resets, (Sequence, np.ndarray)) and not isinstance(resets, str) else []
    if not seeds or not all(is_whole(seed) and seed >= 0 for seed in seeds):
        msg = f"resets is {shown(resets)}, neither a number of resets nor seeds of some"
        raise InvalidInput(f"{msg}; use one such as 1000, or seeds such as [0]")


def _seeds(resets: Any) -> list[int] | None:
    """Give the seeds of resets where they are given, and not a number of resets."""
    return None if resets is None or is_whole(resets) else [int(seed) for seed in resets]


def _given_starts(starts: Any) -> dict[Label, float]:
    """Check the start states and their probabilities."""
    if isinstance(starts, Mapping):
        shares = {observed(key, "starts"): number("a probability of starts", p, "[0, 1]") for key, p in starts.items()}
    elif isinstance(starts, Sequence) and not isinstance(starts, str):
        labels = [observed(label, "starts") for label in starts]
        shares = {label: count / len(labels) for label, count in Counter(labels).items()}
    else:
        raise InvalidInput(f"starts is {shown(starts)}; give a list of states, or a dict with the probability of each")
    if abs(math.fsum(shares.values()) - 1.0) > SUM_TOLERANCE:
        raise InvalidInput(f"the probabilities of starts sum to {math.fsum(shares.values()):.9g}, not 1; correct them")
    return shares


def find_starts(exploration: Exploration, resets: int | Sequence[int] | None) -> dict[Label, float]:
    """Reset again and again, and give the share of each start state."""
    counts: Counter[int] = Counter()
    seeds = _seeds(resets)
    wanted = len(seeds) if seeds is not None else int(resets) if is_whole(resets) else _FEW_RESETS
    n = 0
    while n < wanted:
        counts[exploration.start(seeds[n] if seeds is not None else exploration.returns.fresh())] += 1
        n += 1
        exploration.tell("resetting", n, wanted, "resets")
        if n == wanted and resets is None and len(counts) > 1:
            once = sum(count == 1 for count in counts.values())
            if n >= _ENDLESS and once > n / 2:
                name = exploration.simulator.name
                msg = f"{name}: {n:,} resets led to {len(counts):,} different states, most of them once"
                raise InvalidInput(f"{msg}; give resets=[0] for the one layout of that seed, or starts=, or state=")
            if n < _RESETS or (once > n * _UNSEEN and n < _MOST_RESETS):
                wanted = max(_RESETS, min(2 * n, _MOST_RESETS))
    return {exploration.labels[state]: count / n for state, count in counts.items()}


def _limit(exploration: Exploration, simulator: Simulator, limit: int | None, *, asked: bool) -> int | None:
    """Settle on the limit of an episode, and say where it does not come from the user or `env.spec`."""
    if asked:
        return limit
    own = exploration.own_limit
    if own is not None and (simulator.limit is None or own < simulator.limit):
        warn_caller(
            f"{simulator.name} truncates episodes after {own} steps by a counter of its own, which is no part of the "
            f"state; it is now the limit: give max_episode_steps={own} if that is right",
            MissingLimitWarning,
        )
        return own
    if simulator.limit is None:
        ends = any(outcome.terminated for state in exploration.found for tried in state for outcome in tried)
        what = "early episodes may be very long" if ends else "no action ends an episode, which would never end"
        warn_caller(
            f"{simulator.name} has no limit on the length of episodes, and {what}; set max_episode_steps, "
            f"for example 200",
            MissingLimitWarning,
        )
    return simulator.limit


def _names(env: Any, n_actions: int) -> tuple[Sequence[str] | None, list[str] | None]:
    """Give the names of actions that an environment has, and the map of those that qfast knows."""
    inner = getattr(env, "unwrapped", env)
    known, layout = printing_of(inner)
    names: Sequence[str] | None = known
    kind = getattr(inner, "actions", None)
    if names is None and isinstance(kind, type) and issubclass(kind, enum.Enum):
        named = {member.value: name for name, member in kind.__members__.items()}
        names = [named[a] for a in range(n_actions)] if set(named) == set(range(n_actions)) else None
    return names if names is not None and len(names) == n_actions else None, layout


def _order(exploration: Exploration) -> list[int]:
    """The states in the order of their labels where they have one, else breadth-first."""
    labels: Any = exploration.labels
    try:
        return sorted(range(len(labels)), key=labels.__getitem__)
    except TypeError:
        order = dict.fromkeys(exploration.starts)
        queue = list(order)
        for state in queue:
            for tried in exploration.found[state]:
                fresh = [outcome.state for outcome in tried if outcome.state not in order]
                queue += dict.fromkeys(fresh)
                order.update(dict.fromkeys(fresh))
        return list(dict.fromkeys([*order, *range(len(labels))]))


def _table(
    exploration: Exploration,
    shares: dict[Label, float],
    limit: int | None,
    names: Sequence[str] | None,
    layout: list[str] | None,
    samples: int | None,
) -> MDP:
    """Make the MDP of what was found."""
    order = _order(exploration)
    place = {state: row for row, state in enumerate(order)}
    actions = exploration.simulator.actions.labels
    shape = (len(order), len(actions))
    allowed, counts = np.ones(shape, np.bool_), np.zeros(shape, np.int64)
    rows: list[list[list[outcomes.Outcome]]] = []
    for row, state in enumerate(order):
        acts = exploration.acts[state] if exploration.was_tried(state) else None
        rows.append([])
        for action in range(len(actions)):
            tried = exploration.found[state][action] if acts and action in acts else {}
            n = sum(tried.values())
            found = [(count / n, place[o.state], o.reward, o.terminated) for o, count in tried.items()]
            rows[row].append(found or [(1.0, row, 0.0, True)])  # never read, but a table has no holes
            counts[row, action] = n
            allowed[row, action] = acts is None or bool(tried)
    return outcomes.tables_of_rows(rows).mdp(
        start=_start(exploration, shares, place),
        max_episode_steps=limit,
        allowed=allowed,
        states=[exploration.labels[state] for state in order],
        actions=actions,
        action_names=names,
        layout=_layout(layout, [exploration.labels[state] for state in order]),
        name=exploration.simulator.name[:80],
        counts=counts if samples is not None and exploration.random else None,
    )


def _layout(layout: list[str] | None, labels: Sequence[Label]) -> list[str] | None:
    """Give the map if every cell of it is a state, in reading order."""
    cells = sum(map(len, layout)) if layout else 0
    return layout if cells and list(labels) == list(range(cells)) else None


def _start(exploration: Exploration, shares: dict[Label, float], place: dict[int, int]) -> NDArray[np.float64]:
    start = np.zeros(len(place))
    for label, share in shares.items():
        if label not in exploration.index:
            msg = f"the start {label!r:.60} of starts= was never met, neither by a reset nor by an action"
            raise InvalidInput(f"{msg}; use states such as {exploration.labels[0]!r:.60}, or more resets")
        start[place[exploration.index[label]]] = share
    return start
