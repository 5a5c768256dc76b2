"""Updates of pairs of earlier steps: several steps ahead, after the next action is chosen, or along traces.

Each lane keeps the pairs and rewards of its last `n_step` steps in a ring whose place for this step, `slot`, is the
same in all lanes.  `look_n_steps_ahead` and `spread_along_traces` make the updates that are due in the course of an
episode, `close` what is left at its end.
"""

from numba import int32, int64, uint64

from qfast.kernel.jit import inlined
from qfast.kernel.lanes import first_lane, lanes_set, where
from qfast.kernel.memory import fetch_one, load, scatter, store


@inlined
def step_size(spec, tables, lanes, at, visits):
    """The alpha of each lane, at this visit to a pair where it depends on that."""
    if spec.alpha_by_visits:
        last = int32(tables.alpha_of_visit.size)
        visits = where(visits < last, visits, last) - int32(1)
        store(spec, lanes.indices, at, where(visits > int32(0), visits, int32(0)))
        return fetch_one(spec, tables.alpha_of_visit, lanes.indices, at, 0)[0]
    return load(spec, lanes.alpha, at)


@inlined
def visits_so_far(spec, agents, lanes, at, place):
    """How often the pairs at `place` were taken, where that is counted."""
    if spec.alpha_by_visits:
        store(spec, lanes.indices, at, place)
        return fetch_one(spec, agents.visits, lanes.indices, at, 0)[0]
    return place


@inlined
def one_step_size(spec, tables, agents, lanes, i, pair):
    """The same for one lane."""
    if spec.alpha_by_visits:
        visit = agents.visits[lanes.base[i] + pair] - 1
        return tables.alpha_of_visit[max(0, min(visit, tables.alpha_of_visit.size - 1))]
    return lanes.alpha[i]


@inlined
def remember(spec, lanes, at, slot, pair, reward, resting):
    """Put a step into the ring; not where the lane rests."""
    place = slot * spec.lanes + at
    if spec.on_policy and spec.limited:
        pair = where(resting, load(spec, lanes.past_pair, place), pair)
        reward = where(resting, load(spec, lanes.past_reward, place), reward)
    store(spec, lanes.past_pair, place, pair)
    store(spec, lanes.past_reward, place, reward)


@inlined
def look_n_steps_ahead(spec, tables, agents, lanes, at, last, value, due, later):
    """Q(s_t, a_t) += alpha (r_t+1 + gamma r_t+2 + … + gamma**n value - Q(s_t, a_t)) (S&B 2018, eq. 7.4, 7.5).

    `last` is the ring's place of the last step, `due` the lanes with an update, `later` a pair whose last visit comes
    after the update.  The pairs updated and their new Q.
    """
    n, gamma = tables.n_step, load(spec, lanes.gamma, at)
    target, place, first = value, last, last
    for _ in range(n):
        target = load(spec, lanes.past_reward, place * spec.lanes + at) + gamma * target
        first = place
        place = place - 1 if place > 0 else n - 1
    pair, base = load(spec, lanes.past_pair, first * spec.lanes + at), load(spec, lanes.base, at)
    there = where(due, base + pair, base)
    store(spec, lanes.indices, at, there)
    old = fetch_one(spec, agents.q, lanes.indices, at, 0)[0]
    visits = visits_so_far(spec, agents, lanes, at, there)
    visits = where(pair == later, visits - int32(1), visits)
    new = old + step_size(spec, tables, lanes, at, visits) * (target - old)
    scatter(spec, agents.q, there, new, due)
    return pair, new


@inlined
def spread_along_traces(spec, tables, agents, lanes, at, last, value, due):
    """One lane after the other: an episode leaves too few traces, in too many places, for vectors to pay."""
    store(spec, lanes.ahead, at, value)
    bits = lanes_set(due)
    while bits != uint64(0):
        i = first_lane(bits) + at
        bits &= bits - uint64(1)
        follow_traces(spec, tables, agents, lanes, i, last, lanes.gamma[i] * lanes.ahead[i])


@inlined
def follow_traces(spec, tables, agents, lanes, i, last, ahead):
    """Q += alpha delta e for every pair with a trace e, then e *= gamma lambda (S&B 1998, section 7.5).

    The traces stand in a list without gaps, so that an episode costs what it visited, not what there is: on the
    corridor a step costs as much as with dense traces, on Taxi far less.
    """
    n_pairs = lanes.trace.size // spec.lanes
    mine = i * n_pairs
    base = lanes.base[i]
    pair = lanes.past_pair[last * spec.lanes + i]
    change = lanes.past_reward[last * spec.lanes + i] + ahead - agents.q[base + pair]
    change = one_step_size(spec, tables, agents, lanes, i, pair) * change
    at = lanes.trace_at[mine + pair]
    count = lanes.trace_count[i]
    if at == 0:
        count += 1
        at = count
        lanes.trace_at[mine + pair] = at
        lanes.trace_pair[mine + at - 1] = pair
        lanes.trace[mine + at - 1] = 0
    if spec.accumulates:
        lanes.trace[mine + at - 1] += 1
    else:
        lanes.trace[mine + at - 1] = 1
    decay = lanes.gamma[i] * lanes.trace_decay[i]
    k = 0
    while k < count:
        place = mine + k
        where_to = base + lanes.trace_pair[place]
        agents.q[where_to] = agents.q[where_to] + change * lanes.trace[place]
        lanes.trace[place] = decay * lanes.trace[place]
        if lanes.trace[place] < tables.trace_cutoff:
            count -= 1
            end = mine + count
            lanes.trace_at[mine + lanes.trace_pair[place]] = 0
            if end != place:
                lanes.trace_pair[place], lanes.trace[place] = lanes.trace_pair[end], lanes.trace[end]
                lanes.trace_at[mine + lanes.trace_pair[place]] = k + 1
        else:
            k += 1
    lanes.trace_count[i] = count


@inlined
def clear_traces(spec, lanes, i):
    mine = i * (lanes.trace.size // spec.lanes)
    for k in range(lanes.trace_count[i]):
        lanes.trace_at[mine + lanes.trace_pair[mine + k]] = 0
    lanes.trace_count[i] = 0


@inlined
def close(spec, tables, agents, lanes, i, last, ahead):
    """What is left to update when an episode of lane i ends; `ahead` is gamma times the value of what follows."""
    if spec.has_traces:
        follow_traces(spec, tables, agents, lanes, i, last, ahead)
        clear_traces(spec, lanes, i)
    elif spec.waits:
        # Of a terminated episode only: a truncated one has rested for its last update.
        pair, old = lanes.past_pair[i], lanes.past_old[i]
        if pair >= 0:
            change = lanes.past_alpha[i] * (lanes.past_reward[i] - old)
            agents.q[lanes.base[i] + pair] = old + change
            lanes.past_pair[i] = -1
    else:
        close_n_steps(spec, tables, agents, lanes, i, last, ahead)


@inlined
def close_n_steps(spec, tables, agents, lanes, i, last, ahead):
    """The updates of the last n pairs."""
    n, alpha, gamma, base = tables.n_step, lanes.alpha[i], lanes.gamma[i], lanes.base[i]
    count = min(n, int64(lanes.length[i]))
    at = last * spec.lanes + i
    for _ in range(count):  # from the last pair back: the rewards become the targets
        target = lanes.past_reward[at] + ahead
        lanes.past_reward[at] = target
        ahead = gamma * target
        at = at - spec.lanes if at >= spec.lanes else at + (n - 1) * spec.lanes
    for _ in range(count):  # and in the order in which the pairs were taken
        at = at + spec.lanes if at < (n - 1) * spec.lanes else at - (n - 1) * spec.lanes
        pair = lanes.past_pair[at]
        if spec.alpha_by_visits:
            alpha = one_step_size(spec, tables, agents, lanes, i, pair)
        old = agents.q[base + pair]
        agents.q[base + pair] = old + alpha * (lanes.past_reward[at] - old)
