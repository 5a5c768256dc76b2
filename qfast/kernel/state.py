"""What the kernel reads and writes: the problem's tables, the block's agents, and the lanes' scratch memory."""

from typing import Any, NamedTuple

import numpy as np

from qfast.kernel.jit import inlined
from qfast.kernel.memory import aligned

NEVER = 2**31 - 1  # episodes left in a lane without an agent: it runs on idle, writes nothing and never finishes

_Array = np.ndarray[Any, Any]


class Tables(NamedTuple):
    """The problem and the schedules as lookup arrays; all flat, shared by all agents.

    `pair` below is s * n_actions + a, `slot` is pair * n_outcomes + outcome.
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
    n_outcomes: int
    limit: int  # steps after which an episode is truncated
    goal_reward: float  # a terminated outcome with at least this reward is a success


class Agents(NamedTuple):
    """The agents of one block, (n,) unless said otherwise; changed in place."""

    q: _Array  # (n * states * actions), and SLACK elements behind
    rng: _Array  # uint32 (4, n)
    state: _Array  # int32
    episode: _Array  # int64: episodes completed
    length: _Array  # int32: steps in the episode under way
    episode_return: _Array  # reward in the episode under way
    alpha: _Array
    gamma: _Array
    explore: _Array  # int32: epsilon * 2**24
    returns: _Array  # (n * episodes recorded)
    lengths: _Array  # int32 (n * episodes recorded)
    score: _Array  # float64 (3, n): sum of returns, of successes, of lengths


class Lanes(NamedTuple):
    """The lanes' own memory, (lanes,) each: agents move in and out of it.  Vectors live in it between two steps."""

    agent: _Array
    base: _Array  # where the agent's table begins in q
    cursor: _Array  # uint64: where the agent's next record goes
    left: _Array  # episodes to go
    state: _Array
    length: _Array
    episode_return: _Array
    rng: _Array
    alpha: _Array
    gamma: _Array
    explore: _Array
    above: _Array  # float32: 1 / (2**24 - explore)
    row: _Array  # (actions, width) a group: Q of the state the lane is in
    next_row: _Array  # the same for the state it goes to
    index: _Array  # indices on their way from vectors to `fetch`
    start_word: _Array  # the random word that chooses the next start


def make_lanes(spec: Any) -> Lanes:
    """Scratch memory for one call of the kernel."""

    def zeros(dtype: Any, per_lane: int = 1) -> _Array:
        return aligned(spec.lanes * per_lane, dtype, fill=0)  # a lane without an agent runs on idle in state 0

    whole, real, row = np.int32, spec.dtype, spec.n_actions + 3  # 3: what the last chunk of a row may add
    return Lanes(
        agent=zeros(whole), base=zeros(whole), cursor=zeros(np.uint64), left=zeros(whole), state=zeros(whole),
        length=zeros(whole), episode_return=zeros(real), rng=zeros(np.uint32, 4), alpha=zeros(real),
        gamma=zeros(real), explore=zeros(whole), above=zeros(np.float32), row=zeros(real, row),
        next_row=zeros(real, row), index=zeros(whole), start_word=zeros(np.uint32),
    )  # fmt: skip


@inlined
def enter(spec, tables, agents, lanes, i, waiting, begin, until):
    """Put the next agent with episodes to go into lane i; the lane is left without one if there is none."""
    n = agents.state.shape[0]
    while waiting < n and agents.episode[waiting] >= until:
        waiting += 1
    if waiting == n:
        lanes.agent[i] = -1
        lanes.left[i] = NEVER
        return waiting
    lanes.agent[i] = waiting
    lanes.base[i] = waiting * (agents.q.shape[0] // n)
    lanes.cursor[i] = waiting * (agents.returns.shape[0] // n) + agents.episode[waiting] - begin
    lanes.left[i] = until - agents.episode[waiting]
    lanes.state[i] = agents.state[waiting]
    lanes.length[i] = agents.length[waiting]
    lanes.episode_return[i] = agents.episode_return[waiting]
    for word in range(4):
        lanes.rng[word * spec.lanes + i] = agents.rng[word, waiting]
    lanes.gamma[i] = agents.gamma[waiting]
    lanes.alpha[i] = agents.alpha[waiting]
    set_explore(lanes, i, agents.explore[waiting])
    set_rates(spec, tables, lanes, i, agents.episode[waiting])
    read_row(spec, agents, lanes, i)
    return waiting + 1


@inlined
def leave(spec, agents, lanes, i, until, started):
    """Take the agent out of lane i; `started`: it is at the first step of an episode."""
    agent = lanes.agent[i]
    agents.state[agent] = lanes.state[i]
    agents.episode[agent] = until - lanes.left[i]
    agents.length[agent] = 0 if started else lanes.length[i]
    agents.episode_return[agent] = 0 if started else lanes.episode_return[i]
    for word in range(4):
        agents.rng[word, agent] = lanes.rng[word * spec.lanes + i]


@inlined
def set_rates(spec, tables, lanes, i, episode):
    """Look up the rates of an episode, where they have a schedule."""
    if spec.schedules_alpha and episode < tables.alpha.shape[0]:
        lanes.alpha[i] = tables.alpha[episode]
    if spec.schedules_explore and episode < tables.explore.shape[0]:
        set_explore(lanes, i, tables.explore[episode])


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
        lanes.row[row + x * spec.width] = agents.q[table + x]
