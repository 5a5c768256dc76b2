"""The loop: a block of agents, one agent a lane, through their episodes."""

from numba import int32, njit, uint64

from qfast.kernel.environment import next_state_and_reward, outcome_slot, start_state
from qfast.kernel.explore import choose
from qfast.kernel.jit import KERNEL, inlined
from qfast.kernel.lanes import first_lane, lanes_set, set_lanes, where
from qfast.kernel.memory import fetch_chunk, load, prefetch_to_write, scatter, store
from qfast.kernel.rng import draw
from qfast.kernel.rules import bootstrap
from qfast.kernel.state import enter, leave, read_row, set_rates


@njit(**KERNEL)
def train_block(spec, tables, agents, lanes, begin, until, max_steps):
    """Take every agent of a block to episode `until`, or as far as `max_steps` steps a lane go.

    Parameters
    ----------
    spec : Spec
    tables : Tables
    agents : Agents
        Changed in place.  An agent that did not come to the end can go on in another call, to the same bits.
    lanes : Lanes
        Scratch memory.
    begin, until : int
        The episodes to record, and the number of episodes that an agent has completed when it is done.
    max_steps : int

    Returns
    -------
    int
        Agents that did not come to the end.
    """
    W = spec.width
    waiting, live, occupied = 0, 0, uint64(0)
    for i in range(spec.lanes):
        waiting = enter(spec, tables, agents, lanes, i, waiting, begin, until)
        if lanes.agent[i] >= 0:
            occupied |= uint64(1) << uint64(i)
            live += 1
    used = (live + W - 1) // W * W  # a small block leaves whole groups of lanes out
    started = uint64(0)  # the lanes whose episode has just begun
    while live > 0 and max_steps > 0:
        max_steps -= 1
        ended, truncated, finished, succeeded = uint64(0), uint64(0), uint64(0), uint64(0)
        for at in range(0, used, W):
            end, cut, success = step(spec, tables, agents, lanes, at, set_lanes(spec, started >> uint64(at)))
            left = load(spec, lanes.left, at)
            left = where(end, left - int32(1), left)
            store(spec, lanes.left, at, left)
            ended |= lanes_set(end) << uint64(at)
            truncated |= lanes_set(cut) << uint64(at)
            finished |= lanes_set(left == int32(0)) << uint64(at)
            if spec.records_score:
                succeeded |= lanes_set(success) << uint64(at)
        # What follows happens to few lanes a step, so it is done one lane at a time.
        started = ended
        if spec.draws_start:
            truncated = ended
        while truncated != uint64(0):
            i = first_lane(truncated)
            truncated &= truncated - uint64(1)
            lanes.state[i] = start_state(spec, tables, lanes.start_word[i])
            read_row(spec, agents, lanes, i)
        if spec.records_episodes or spec.records_score or spec.schedules:
            record(spec, tables, agents, lanes, until, ended & occupied, succeeded)
        while finished != uint64(0):
            i = first_lane(finished)
            finished &= finished - uint64(1)
            leave(spec, agents, lanes, i, until, True)
            waiting = enter(spec, tables, agents, lanes, i, waiting, begin, until)
            started &= ~(uint64(1) << i)
            if lanes.agent[i] < 0:
                occupied &= ~(uint64(1) << i)
                live -= 1
    unfinished = occupied
    while unfinished != uint64(0):
        i = first_lane(unfinished)
        unfinished &= unfinished - uint64(1)
        leave(spec, agents, lanes, i, until, (started >> i) & uint64(1) != uint64(0))
    return live + agents.state.shape[0] - waiting


@inlined
def step(spec, tables, agents, lanes, at, started):
    """One step of each lane of a group: act, observe, learn.  Which lanes ended, were truncated, succeeded.

    The row of Q fetched for the bootstrap is the row that the next action is chosen from, so that a step fetches one
    row.  Where the episode terminates no bootstrap is needed: the start state's row is fetched in its place.
    """
    A, W, row = spec.n_actions, spec.width, at * spec.n_actions
    a = choose(spec, tables, lanes, at, draw(spec, lanes, at))
    s = load(spec, lanes.state, at)
    pair = s * int32(A) + a
    after, reward = next_state_and_reward(spec, tables, lanes, at, outcome_slot(spec, tables, lanes, at, pair))
    terminated = after < int32(0)
    if spec.draws_start:
        store(spec, lanes.start_word, at, draw(spec, lanes, at))
        after = where(terminated, int32(-1) - after, after)
    else:
        after = where(terminated, tables.starts[0], after)
    store(spec, lanes.state, at, after)

    base = load(spec, lanes.base, at)
    store(spec, lanes.index, at, base + after * int32(A))
    for x in range(0, A, spec.chunk):
        columns = fetch_chunk(spec, agents.q, lanes.index, at, x)
        for c in range(spec.chunk):
            store(spec, lanes.next_row, row + (x + c) * W, columns[c])

    if spec.learns:
        taken = load(spec, lanes.row, row)
        for x in range(1, A):
            taken = where(a == int32(x), load(spec, lanes.row, row + x * W), taken)
        discount = where(terminated, 0, load(spec, lanes.gamma, at))
        target = reward + discount * bootstrap(spec, lanes, at)
        taken = taken + load(spec, lanes.alpha, at) * (target - taken)
        scatter(spec, agents.q, base + pair, taken, load(spec, lanes.agent, at) >= int32(0))
        same = after == s  # the row was fetched before Q(s, a) changed
        for x in range(A):
            value = load(spec, lanes.next_row, row + x * W)
            store(spec, lanes.row, row + x * W, where(same & (a == int32(x)), taken, value))
    else:
        for x in range(A):
            store(spec, lanes.row, row + x * W, load(spec, lanes.next_row, row + x * W))

    end, cut, success = terminated, terminated & ~terminated, terminated & (reward >= tables.goal_reward)
    if spec.counts_steps:
        length = where(started, int32(0), load(spec, lanes.length, at)) + int32(1)
        store(spec, lanes.length, at, length)
        if spec.limited:
            end = terminated | (length >= int32(tables.limit))
            cut = end & ~terminated
    if spec.records_episodes or spec.records_score:
        store(spec, lanes.episode_return, at, where(started, 0, load(spec, lanes.episode_return, at)) + reward)
    return end, cut, success


@inlined
def record(spec, tables, agents, lanes, until, ended, succeeded):
    """Write down the episodes that ended in this step, and look up the rates of the next ones."""
    while ended != uint64(0):
        i = first_lane(ended)
        ended &= ended - uint64(1)
        if spec.records_episodes:
            # Each lane writes to a stretch of memory of its own, a new cache line every 16 episodes; without the
            # prefetch those 128 streams cost 15 % on the corridor.
            at = lanes.cursor[i]
            lanes.cursor[i] = at + uint64(1)
            agents.returns[at] = lanes.episode_return[i]
            agents.lengths[at] = lanes.length[i]
            prefetch_to_write(agents.returns, at + uint64(16))
            prefetch_to_write(agents.lengths, at + uint64(16))
        if spec.records_score:
            agent = lanes.agent[i]
            agents.score[0, agent] += lanes.episode_return[i]
            agents.score[1, agent] += (succeeded >> i) & uint64(1)
            agents.score[2, agent] += lanes.length[i]
        if spec.schedules:
            set_rates(spec, tables, lanes, i, until - lanes.left[i])
