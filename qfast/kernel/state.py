"""What the kernel reads and writes: the problem's tables, the block's agents, and the lanes' scratch memory."""

from typing import Any, NamedTuple

import numpy as np

from qfast.kernel.jit import inlined
from qfast.kernel.memory import ALIGNMENT, aligned

PAGE = 4096  # bytes that the system gives at a time
NEVER = 2**31 - 1  # episodes left in a lane without an agent: it runs on idle, writes nothing and never finishes

_Array = np.ndarray[Any, Any]


class Tables(NamedTuple):
    """The problem and the schedules as lookup arrays; all flat, shared by all agents.

    `pair` below is s * n_actions + a, `slot` is pair * n_outcomes + outcome.  Arrays that a variant does not use are
    empty.
    """

    model: _Array  # int32 (2 slots): next state (-1 - next state where terminated), bits of the float32 reward
    reward: _Array  # float64 (slots): the rewards where Q is float64
    alias: _Array  # uint32 (2 slots): threshold, other outcome (Walker 1977; Vose 1991)
    starts: _Array  # int32 (starts): the states in which episodes begin
    start_alias: _Array  # uint32 (2 starts): threshold, other start; empty where all are equally likely
    n_allowed: _Array  # int32 (states): number of allowed actions
    allowed: _Array  # int32 (pairs): the allowed actions of each state, first ones first
    alpha: _Array  # (episodes): step size, where it changes with the episode
    explore: _Array  # int32 (episodes): epsilon * 2**24, where it changes with the episode
    temperature: _Array  # float32 (episodes): 1 / temperature, where it changes with the episode
    trace_decay: _Array  # (episodes): lambda, where it changes with the episode
    alpha_of_visit: _Array  # (visits): step size at the 1st, 2nd, … visit of a pair; later visits have the last one
    action_value: _Array  # (actions): what the article takes for the value of an action
    n_outcomes: int
    limit: int  # steps after which an episode is truncated
    n_step: int  # steps between a pair and what its update looks ahead to
    trace_cutoff: float  # traces below it are dropped
    goal_reward: float  # a terminated outcome with at least this reward is a success


class Agents(NamedTuple):
    """The agents of one block, (n,) unless said otherwise; changed in place, always between two episodes."""

    q: _Array  # (n * states * actions * tables), and SLACK elements behind
    visits: _Array  # int32 (n * states * actions), and SLACK behind: how often each pair was taken, where it matters
    rng: _Array  # uint32 (4 n): the words a, b, c, d
    state: _Array  # int32
    episode: _Array  # int64: episodes completed
    alpha: _Array
    gamma: _Array
    explore: _Array  # int32: epsilon * 2**24
    temperature: _Array  # float32: 1 / temperature
    trace_decay: _Array  # lambda
    confidence: _Array  # float32: c of UCB
    returns: _Array  # (n * episodes recorded)
    lengths: _Array  # int32 (n * episodes recorded)
    steps: _Array  # int64: steps done, those of `rests` among them
    rests: _Array  # int64: steps in which the agent only waited for an action (see `Lanes.resting`)
    score: _Array  # float64 (3 n): sums of returns, of successes, of lengths


class Lanes(NamedTuple):
    """The lanes' own memory, (lanes,) each: agents move in and out of it.  Vectors live in it between two steps."""

    agent: _Array
    base: _Array  # agent * states * actions
    cursor: _Array  # uint64: where the agent's last record goes
    left: _Array  # episodes to go
    entered: _Array  # int64: the steps that the call had left when the agent came in
    state: _Array
    length: _Array
    episode_return: _Array
    rng: _Array
    alpha: _Array
    gamma: _Array
    explore: _Array
    above: _Array  # float32: 1 / (2**24 - explore)
    temperature: _Array
    trace_decay: _Array
    confidence: _Array
    row: _Array  # (actions, width) a group: what the next action is chosen by
    next_row: _Array  # (actions * tables, width), of the group at work: Q of the state that the lane goes to
    indices: _Array  # indices on their way from vectors to `fetch`
    start_word: _Array  # the random word that chooses the next start
    resting: _Array  # int32: 1 where a truncated episode still waits for the action that its update needs
    weight: _Array  # float32 (actions, width) a group: running sums of what softmax weighs actions by
    ahead: _Array  # the bootstrap value that an ended episode's last updates use
    past_pair: _Array  # (n_step, lanes): the pairs of the last steps, a ring
    past_reward: _Array  # (n_step, lanes): their rewards
    past_old: _Array  # one-step SARSA: Q of the last pair, before its update
    past_alpha: _Array  # its step size
    past_discount: _Array  # and what it discounts the next value by
    trace_count: _Array  # number of traces
    trace_pair: _Array  # (lanes, pairs): the pairs that have a trace
    trace: _Array  # (lanes, pairs): their traces
    trace_at: _Array  # (lanes, pairs): 1 + where a pair's trace stands, 0 if it has none


def _elements(spec: Any, n_step: int, traces: int) -> dict[str, tuple[Any, int]]:
    """Element type and number of elements that a lane has of each array."""
    whole, real, row = np.int32, spec.dtype, spec.n_actions + 3  # 3: what the last chunk of a row may add
    return {
        "agent": (whole, 1), "base": (whole, 1), "cursor": (np.uint64, 1), "left": (whole, 1), "entered": (np.int64, 1),
        "state": (whole, 1), "length": (whole, 1), "episode_return": (real, 1), "rng": (np.uint32, 4),
        "alpha": (real, 1), "gamma": (real, 1), "explore": (whole, 1), "above": (np.float32, 1),
        "temperature": (np.float32, 1), "trace_decay": (real, 1), "confidence": (np.float32, 1), "row": (real, row),
        "next_row": (real, row * spec.n_tables), "indices": (whole, 1), "start_word": (np.uint32, 1),
        "resting": (whole, 1), "weight": (np.float32, row), "ahead": (real, 1), "past_pair": (whole, n_step),
        "past_reward": (real, n_step), "past_old": (real, 1), "past_alpha": (real, 1), "past_discount": (real, 1),
        "trace_count": (whole, 1), "trace_pair": (whole, traces), "trace": (real, traces), "trace_at": (whole, traces),
    }  # fmt: skip


def make_lanes(spec: Any, n_step: int = 1, n_pairs: int = 0) -> Lanes:
    """Scratch memory for one call of the kernel; a lane without an agent runs on idle in state 0, so zeros."""
    elements = _elements(spec, n_step, n_pairs if spec.traces != "none" else 0)
    # One piece of memory for all: 31 small ones took a quarter of the time that a block of agents costs in Python.
    sizes = {name: spec.lanes * each * np.dtype(kind).itemsize for name, (kind, each) in elements.items()}
    memory = aligned(sum(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes.values()), np.uint8, fill=0)
    arrays, begin = {}, 0
    for name, size in sizes.items():
        arrays[name] = memory[begin : begin + size].view(elements[name][0])
        begin += -(-size // ALIGNMENT) * ALIGNMENT
    return Lanes(**arrays)


def lanes_bytes(spec: Any, n_step: int, n_pairs: int, n_agents: int, episodes: int, steps: int | None) -> int:
    """Bytes that the kernel touches of `make_lanes`: so many agents and episodes of at most so many steps."""
    each = sum(count * np.dtype(kind).itemsize for kind, count in _elements(spec, n_step, 0).values())
    if spec.traces == "none":
        return spec.lanes * each
    used = min(spec.lanes, n_agents)
    most = n_pairs if steps is None else min(n_pairs, steps)
    lists = most * (4 + np.dtype(spec.dtype).itemsize)
    where = min(4 * n_pairs, PAGE * most * episodes * -(-n_agents // spec.lanes))  # a page a step, if it must be
    return spec.lanes * each + used * (lists + where)


@inlined
def enter(spec, tables, agents, lanes, i, waiting, begin, until):
    """Put the next agent with episodes to go into lane i; the lane is left without one if there is none."""
    n = agents.state.size
    while waiting < n and agents.episode[waiting] >= until:
        waiting += 1
    if waiting == n:
        vacate(lanes, i)
        return waiting
    lanes.agent[i] = waiting
    lanes.base[i] = waiting * (agents.q.size // n // spec.n_tables)
    lanes.cursor[i] = waiting * (agents.returns.size // n) + until - begin - 1
    lanes.left[i] = until - agents.episode[waiting]
    lanes.state[i] = agents.state[waiting]
    for word in range(4):
        lanes.rng[word * spec.lanes + i] = agents.rng[word * n + waiting]
    lanes.alpha[i] = agents.alpha[waiting]
    lanes.gamma[i] = agents.gamma[waiting]
    lanes.temperature[i] = agents.temperature[waiting]
    lanes.trace_decay[i] = agents.trace_decay[waiting]
    lanes.confidence[i] = agents.confidence[waiting]
    set_explore(lanes, i, agents.explore[waiting])
    set_rates(spec, tables, lanes, i, agents.episode[waiting])
    lanes.past_pair[i], lanes.resting[i] = -1, 0  # on idle the lane may have been truncated
    read_row(spec, agents, lanes, i)
    return waiting + 1


@inlined
def vacate(lanes, i):
    """Leave lane i without an agent."""
    lanes.agent[i] = -1
    lanes.left[i] = NEVER


@inlined
def leave(spec, agents, lanes, i, until):
    """Take the agent out of lane i, between two episodes."""
    agent = lanes.agent[i]
    agents.state[agent] = lanes.state[i]
    agents.episode[agent] = until - lanes.left[i]
    for word in range(4):
        agents.rng[word * agents.state.size + agent] = lanes.rng[word * spec.lanes + i]


@inlined
def set_rates(spec, tables, lanes, i, episode):
    """Look up the rates of an episode, where they have a schedule."""
    if spec.schedules_alpha and episode < tables.alpha.size:
        lanes.alpha[i] = tables.alpha[episode]
    if spec.schedules_explore and episode < tables.explore.size:
        set_explore(lanes, i, tables.explore[episode])
    if spec.schedules_temperature and episode < tables.temperature.size:
        lanes.temperature[i] = tables.temperature[episode]
    if spec.schedules_trace_decay and episode < tables.trace_decay.size:
        lanes.trace_decay[i] = tables.trace_decay[episode]


@inlined
def set_explore(lanes, i, threshold):
    lanes.explore[i] = threshold
    lanes.above[i] = np.float32(1) / np.float32(max(2**24 - threshold, 1))


@inlined
def read_row(spec, agents, lanes, i):
    """Lane i's row of Q, of the state it is in, from memory."""
    at = i // spec.width * spec.width
    row = at * spec.n_actions + i - at
    table = lanes.base[i] + lanes.state[i] * spec.n_actions
    for x in range(spec.n_actions):
        if spec.n_tables == 1:
            lanes.row[row + x * spec.width] = agents.q[table + x]
        else:
            first, second = agents.q[2 * (table + x)], agents.q[2 * (table + x) + 1]
            lanes.row[row + x * spec.width] = first + second
