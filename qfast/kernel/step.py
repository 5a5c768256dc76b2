"""One step of a group of lanes: act, observe, learn."""

from typing import Any, NamedTuple

from numba import int32, uint64

from qfast.kernel.backups import clear_traces, look_n_steps_ahead, remember, spread_along_traces, step_size
from qfast.kernel.environment import draw, next_state_and_reward, outcome_slot
from qfast.kernel.explore import choose, highest, pick
from qfast.kernel.jit import inlined
from qfast.kernel.lanes import first_lane, full, lanes_set, where
from qfast.kernel.memory import MOST_COUNTED, fetch_chunk, fetch_one, load, scatter, store
from qfast.kernel.rules import bootstrap, flips_to_second


class Move(NamedTuple):
    """What happened in a step, in each lane."""

    live: Any  # whether the lane has an agent
    s: Any
    a: Any
    pair: Any  # s * n_actions + a
    visits: Any  # of the pair, this one included, where they are counted
    after: Any
    reward: Any
    terminated: Any
    end: Any  # terminated or truncated
    resting: Any
    steps: Any  # of the episode, before this one
    word: Any  # the learning rule's random word


@inlined
def step(spec, tables, agents, lanes, at, started, slot, before):
    """One step of each lane of a group.  Which lanes ended, were truncated, succeeded.

    The row of Q fetched for the bootstrap is the row that the next action is chosen from, so that a step fetches one
    row.  Where the episode terminates no bootstrap is needed: the start state's row is fetched in its place, unless
    the variant begins episodes apart.
    """
    live = load(spec, lanes.agent, at) >= int32(0)
    s, steps = load(spec, lanes.state, at), steps_so_far(spec, lanes, at, started)
    words = draw(spec, lanes, at)
    a = choose(spec, tables, agents, lanes, at, words.action)
    pair = s * int32(spec.n_actions) + a
    resting = learn_before_acting(spec, tables, agents, lanes, at, before, a, steps, live)
    visits = count_visit(spec, agents, lanes, at, pair, live & ~resting)

    outcome = outcome_slot(spec, tables, lanes, at, pair, words.outcome)
    after, reward = next_state_and_reward(spec, tables, lanes, at, outcome)
    terminated = (after < int32(0)) & ~resting
    after = where(resting, s, enter_state(spec, tables, lanes, at, after, words.start))
    store(spec, lanes.state, at, after)
    fetch_row(spec, agents, lanes, at, after, lanes.next_row, 0)

    cut = count_step(spec, tables, lanes, at, steps, terminated, resting)
    end = terminated | cut
    add_reward(spec, lanes, at, started, reward, resting)
    move = Move(live, s, a, pair, visits, after, reward, terminated, end, resting, steps, words.rule)
    learn(spec, tables, agents, lanes, at, slot, before, move)
    return end, cut, terminated & (reward >= tables.goal_reward)


@inlined
def steps_so_far(spec, lanes, at, started):
    """Steps in the episode under way, where they matter."""
    if spec.counts_steps:
        return where(started, int32(0), load(spec, lanes.length, at))
    return full(spec, lanes.length, 0)


@inlined
def learn_before_acting(spec, tables, agents, lanes, at, before, a, steps, live):
    """What is learned once the next action is known.  Gives the lanes that rest.

    They chose an action only because the last update of a truncated episode needs one.
    """
    if spec.learns and spec.on_policy:
        resting = load(spec, lanes.resting, at) > int32(0)
        value = pick(spec, lanes.row, at * spec.n_actions, a)
        if spec.waits:
            wait_no_longer(spec, agents, lanes, at, a, value, live)
        elif spec.has_traces:
            due = live & ~resting & (steps >= int32(1))
            spread_along_traces(spec, tables, agents, lanes, at, before, value, due)
        else:
            store(spec, lanes.ahead, at, value)
        return resting
    if spec.learns and spec.has_traces:
        cut_traces(spec, lanes, at, a, live)
    return live & ~live


@inlined
def wait_no_longer(spec, agents, lanes, at, a, value, live):
    """Make the update that waited; what a terminated episode left is settled here too, with a discount below 0."""
    pair, old = load(spec, lanes.past_pair, at), load(spec, lanes.past_old, at)
    discount = load(spec, lanes.past_discount, at)
    target = load(spec, lanes.past_reward, at) + where(discount >= 0, discount * value, 0)
    new = old + load(spec, lanes.past_alpha, at) * (target - old)
    waited = live & (pair >= int32(0))
    scatter(spec, agents.q, load(spec, lanes.base, at) + pair, new, waited)
    again = load(spec, lanes.state, at) * int32(spec.n_actions) + a == pair
    store(spec, lanes.past_old, at, where(waited & again, new, value))


@inlined
def cut_traces(spec, lanes, at, a, live):
    """Watkins's Q(lambda): an exploratory action cuts the traces; another action of the same value does not."""
    row = at * spec.n_actions
    explores = lanes_set(live & (pick(spec, lanes.row, row, a) < highest(spec, lanes.row, row)))
    while explores != uint64(0):
        i = first_lane(explores) + at
        explores &= explores - uint64(1)
        clear_traces(spec, lanes, i)


@inlined
def one_more(count):
    """Add one to counts, which stay at the largest number of 32 bits: wrapped ones would lead out of tables."""
    more = count + int32(1)
    return where(more < int32(0), MOST_COUNTED, more)


@inlined
def count_visit(spec, agents, lanes, at, pair, mask):
    """Count that the pair was taken.  How often it was, where that is counted."""
    if not (spec.counts_visits and spec.learns):
        return pair
    place = load(spec, lanes.base, at) + pair
    store(spec, lanes.indices, at, place)
    visits = one_more(fetch_one(spec, agents.visits, lanes.indices, at, 0)[0])
    scatter(spec, agents.visits, place, visits, mask)
    return visits


@inlined
def enter_state(spec, tables, lanes, at, after, word):
    """The state whose row comes next: the one entered, or the start where an episode terminated."""
    if not spec.restarts_apart:
        return where(after < int32(0), tables.starts[0], after)
    if spec.draws_start:
        store(spec, lanes.start_word, at, word)
    return where(after < int32(0), int32(-1) - after, after)


@inlined
def fetch_row(spec, agents, lanes, at, state, values, place):
    """Read each lane's row of Q for a state from memory into `values`."""
    row = load(spec, lanes.base, at) + state * int32(spec.n_actions)
    store(spec, lanes.indices, at, row * int32(spec.n_tables))
    first = place
    for x in range(0, spec.n_actions * spec.n_tables, spec.chunk):
        columns = fetch_chunk(spec, agents.q, lanes.indices, at, x)
        for c in range(spec.chunk):
            if x + c < spec.n_actions * spec.n_tables:  # the last chunk may reach beyond the row, into another group's
                store(spec, values, first + (x + c) * spec.width, columns[c])


@inlined
def count_step(spec, tables, lanes, at, steps, terminated, resting):
    """Count the step, where steps matter.  The lanes whose episode is truncated."""
    if not spec.counts_steps:
        return resting
    if not spec.limited:
        store(spec, lanes.length, at, where(resting, steps, one_more(steps)))
        return resting
    length = where(resting, steps, steps + int32(1))
    store(spec, lanes.length, at, length)
    if not (spec.on_policy and spec.learns):
        return (length >= int32(tables.limit)) & ~terminated
    # The update of a truncated episode's last pair still needs an action: its lane rests for one step.
    cut = (length >= int32(tables.limit)) & ~terminated
    store(spec, lanes.resting, at, where(cut, int32(1), length - length))
    return resting


@inlined
def add_reward(spec, lanes, at, started, reward, resting):
    """Add the reward to the episode's return, where it is recorded."""
    if spec.records_any:
        total = where(started, 0, load(spec, lanes.episode_return, at))
        store(spec, lanes.episode_return, at, where(resting, total, total + reward))


@inlined
def learn(spec, tables, agents, lanes, at, slot, before, move):
    """Learn from the step, and make the next state's row the row that the next action is chosen from."""
    if not spec.learns:
        move_row(spec, lanes, at)
    elif spec.waits:
        wait_for_next_action(spec, tables, lanes, at, move)
    elif not spec.looks_back:
        learn_one_step(spec, tables, agents, lanes, at, move)
    elif spec.many_steps:
        learn_n_steps(spec, tables, agents, lanes, at, slot, before, move)
    elif spec.on_policy:
        remember(spec, lanes, at, slot, move.pair, move.reward, move.resting)
        move_row(spec, lanes, at)
    else:
        learn_along_traces(spec, tables, agents, lanes, at, slot, move)


@inlined
def learn_one_step(spec, tables, agents, lanes, at, move):
    """Q(s, a) += alpha (r + gamma bootstrap - Q(s, a)); nothing is bootstrapped beyond a terminated outcome."""
    second = flips_to_second(move.word)
    old = old_value(spec, agents, lanes, at, move, second)
    value = bootstrap(spec, tables, lanes, at, move.word)
    target = move.reward + discounted(spec, lanes, at, move.terminated, value)
    new = old + step_size(spec, tables, lanes, at, move.visits) * (target - old)
    scatter(spec, agents.q, own_place(spec, lanes, at, move.pair, second), new, move.live)
    keep_row(spec, lanes, at, move, second, new)


@inlined
def learn_n_steps(spec, tables, agents, lanes, at, slot, before, move):
    """A pair's update n steps later; the row was fetched before it, and may hold that very pair.

    SARSA's is late by one more step, since it needs the action that this step began with.
    """
    if spec.on_policy:
        due = move.live & ~move.resting & (move.steps >= int32(tables.n_step))
        value, last, later = load(spec, lanes.ahead, at), before, move.pair
    else:
        remember(spec, lanes, at, slot, move.pair, move.reward, move.resting)
        due = move.live & ~move.end & (move.steps >= int32(tables.n_step - 1))
        value, last, later = bootstrap(spec, tables, lanes, at, move.word), slot, move.pair - move.pair - int32(1)
        store(spec, lanes.ahead, at, value)
    if lanes_set(due) != uint64(0):
        pair, new = look_n_steps_ahead(spec, tables, agents, lanes, at, last, value, due, later)
        first = move.after * int32(spec.n_actions)
        for x in range(spec.n_actions):
            place = at * spec.n_actions + x * spec.width
            here = due & (pair == first + int32(x))
            store(spec, lanes.row, place, where(here, new, load(spec, lanes.next_row, x * spec.width)))
    else:
        move_row(spec, lanes, at)
    if spec.on_policy:
        remember(spec, lanes, at, slot, move.pair, move.reward, move.resting)


@inlined
def learn_along_traces(spec, tables, agents, lanes, at, slot, move):
    """Many pairs change, so the row is read again."""
    remember(spec, lanes, at, slot, move.pair, move.reward, move.resting)
    value = bootstrap(spec, tables, lanes, at, move.word)
    store(spec, lanes.ahead, at, value)
    due = move.live & ~move.end
    spread_along_traces(spec, tables, agents, lanes, at, slot, value, due)
    fetch_row(spec, agents, lanes, at, move.after, lanes.row, at * spec.n_actions)


@inlined
def wait_for_next_action(spec, tables, lanes, at, move):
    """Keep the step until the next action is chosen; it is chosen before the update (S&B 2018, section 6.4).

    Beyond the end it does not wait: the next episode's first action is chosen after the update, so the start's row
    has to have it.
    """
    old = load(spec, lanes.past_old, at)
    alpha = step_size(spec, tables, lanes, at, move.visits)
    new = old + alpha * (move.reward - old)
    for x in range(spec.n_actions):
        place = at * spec.n_actions + x * spec.width
        here = move.terminated & (move.after == move.s) & (move.a == int32(x))
        store(spec, lanes.row, place, where(here, new, load(spec, lanes.next_row, x * spec.width)))
    store(spec, lanes.past_pair, at, where(move.resting, int32(-1), move.pair))
    store(spec, lanes.past_alpha, at, alpha)
    store(spec, lanes.past_reward, at, move.reward)
    store(spec, lanes.past_discount, at, where(move.terminated, -1, load(spec, lanes.gamma, at)))


@inlined
def discounted(spec, lanes, at, terminated, value):
    """Gamma times the value, and 0 beyond the end, whatever stands there; the article looks beyond it."""
    if spec.is_article:
        return load(spec, lanes.gamma, at) * value
    return where(terminated, 0, load(spec, lanes.gamma, at) * value)


@inlined
def old_value(spec, agents, lanes, at, move, second):
    """Q(s, a) of the table that is updated."""
    if not spec.has_two_tables:
        return pick(spec, lanes.row, at * spec.n_actions, move.a)
    store(spec, lanes.indices, at, own_place(spec, lanes, at, move.pair, second))
    return fetch_one(spec, agents.q, lanes.indices, at, 0)[0]


@inlined
def own_place(spec, lanes, at, pair, second):
    """Where a pair stands in the table that is updated; two of them are interleaved."""
    place = load(spec, lanes.base, at) + pair
    return place + place + where(second, int32(1), pair - pair) if spec.has_two_tables else place


@inlined
def keep_row(spec, lanes, at, move, second, new):
    """The next state's row becomes the row; it was fetched before Q(s, a) changed, which may stand in it."""
    same = move.after == move.s
    for x in range(spec.n_actions):
        place = at * spec.n_actions + x * spec.width
        if spec.has_two_tables:
            here = same & (move.a == int32(x))
            one = load(spec, lanes.next_row, 2 * x * spec.width)
            two = load(spec, lanes.next_row, (2 * x + 1) * spec.width)
            one, two = where(here & ~second, new, one), where(here & second, new, two)
            store(spec, lanes.row, place, one + two)
        else:
            value = load(spec, lanes.next_row, x * spec.width)
            store(spec, lanes.row, place, where(same & (move.a == int32(x)), new, value))


@inlined
def move_row(spec, lanes, at):
    """The next state's row becomes the row, as it is."""
    for x in range(spec.n_actions):
        place = at * spec.n_actions + x * spec.width
        if spec.has_two_tables:
            one = load(spec, lanes.next_row, 2 * x * spec.width)
            store(spec, lanes.row, place, one + load(spec, lanes.next_row, (2 * x + 1) * spec.width))
        else:
            store(spec, lanes.row, place, load(spec, lanes.next_row, x * spec.width))
