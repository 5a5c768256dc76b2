"""The loop: a block of agents, one agent a lane, through their episodes."""

from numba import int32, int64, uint64

from qfast.kernel.backups import close
from qfast.kernel.environment import start_state
from qfast.kernel.jit import inlined, kernel
from qfast.kernel.lanes import first_lane, lanes_set, set_lanes, where
from qfast.kernel.memory import flatten, load, on_the_stack, prefetch_to_write, read_now, store
from qfast.kernel.state import enter, leave, read_row, set_rates, vacate
from qfast.kernel.step import step


@kernel
def train_block(spec, tables, agents, lanes, begin, until, max_steps, stop):
    """Take every agent of a block to episode `until`, or as far as about `max_steps` steps a lane go.

    `tables`, `agents` and `lanes` are those of `qfast.kernel.state`; agents change in place, always between two
    episodes: after `max_steps` each lane only finishes its episode.  Episodes from `begin` on are recorded.  `stop`
    (int64, (1,)) is read in every step: as soon as it is not 0 the kernel returns, and the block is worthless.  Gives
    the number of agents that did not come to the end.
    """
    tables, agents, lanes = flatten(spec, tables), flatten(spec, agents), flatten(spec, lanes)
    on_the_stack(spec, lanes)
    W = spec.width
    waiting, agents_in, occupied = int64(0), int64(0), uint64(0)
    for i in range(spec.lanes):
        waiting = enter(spec, tables, agents, lanes, i, waiting, begin, until)
        if lanes.agent[i] >= 0:
            occupied |= uint64(1) << i
            agents_in += 1
    for i in range(spec.lanes):
        lanes.entered[i] = max_steps
    used = (agents_in + W - 1) // W * W  # a small block leaves whole groups of lanes out
    started = ~uint64(0)  # the lanes whose episode has just begun
    cut_short, slot, before = int64(0), int64(0), int64(0)
    while agents_in > 0 and read_now(stop) == 0:
        max_steps -= 1
        ended, truncated, finished, succeeded = uint64(0), uint64(0), uint64(0), uint64(0)
        for at in range(0, used, W):
            fresh = set_lanes(spec, started >> at)
            end, cut, success = step(spec, tables, agents, lanes, at, fresh, slot, before)
            left = load(spec, lanes.left, at)
            left = where(end, left - int32(1), left)
            store(spec, lanes.left, at, left)
            ended |= lanes_set(end) << at
            truncated |= lanes_set(cut) << at
            finished |= lanes_set(left == int32(0)) << at
            if spec.records_score:
                succeeded |= lanes_set(success) << at
        # What follows happens to few lanes a step, so it is done one lane at a time.
        started = ended
        close_episodes(spec, tables, agents, lanes, ended & occupied, truncated, slot, before)
        if spec.restarts_apart:
            truncated = ended
        while truncated != uint64(0):
            i = first_lane(truncated)
            truncated &= truncated - uint64(1)
            if spec.waits:
                rest_no_more(spec, agents, lanes, i)
            lanes.state[i] = start_state(spec, tables, lanes.start_word[i])
            read_row(spec, agents, lanes, i)
        record(spec, tables, agents, lanes, until, ended & occupied, succeeded)
        finished &= occupied  # a lane without an agent, too, can come to the end of its count
        if max_steps <= 0:
            finished = ended & occupied
        while finished != uint64(0):
            i = first_lane(finished)
            finished &= finished - uint64(1)
            if spec.waits and spec.learns:
                close(spec, tables, agents, lanes, i, before, lanes.gamma[i])
            agents.steps[lanes.agent[i]] += lanes.entered[i] - max_steps
            lanes.entered[i] = max_steps
            leave(spec, agents, lanes, i, until)
            if lanes.left[i] > 0:
                cut_short += 1
            if max_steps <= 0:
                vacate(lanes, i)
            else:
                waiting = enter(spec, tables, agents, lanes, i, waiting, begin, until)
            if lanes.agent[i] < 0:
                occupied &= ~(uint64(1) << i)
                agents_in -= 1
        if spec.looks_back:
            before = slot
            slot = slot + 1 if slot + 1 < tables.n_step else 0
    return agents_in + cut_short + agents.state.size - waiting


@inlined
def rest_no_more(spec, agents, lanes, i):
    """The last update of a truncated episode is made: the lane goes on."""
    if lanes.agent[i] >= 0:
        agents.rests[lanes.agent[i]] += lanes.resting[i]
    lanes.resting[i] = 0


@inlined
def close_episodes(spec, tables, agents, lanes, ended, truncated, slot, before):
    """The updates that an episode's end leaves to be made, where updates look back."""
    if not spec.learns or not (spec.looks_back or (spec.waits and spec.restarts_apart)):
        return
    while ended != uint64(0):
        i = first_lane(ended)
        ended &= ended - uint64(1)
        ahead = lanes.gamma[i] * lanes.ahead[i]
        if (truncated >> i) & uint64(1) == uint64(0):
            ahead = lanes.gamma[i] - lanes.gamma[i]  # terminated: nothing lies ahead, not even NaN
        close(spec, tables, agents, lanes, i, before if lanes.resting[i] else slot, ahead)
        rest_no_more(spec, agents, lanes, i)


@inlined
def record(spec, tables, agents, lanes, until, ended, succeeded):
    """Write down the episodes that ended in this step, and look up the rates of the next ones."""
    if not (spec.records_any or spec.has_schedules):
        return
    while ended != uint64(0):
        i = first_lane(ended)
        ended &= ended - uint64(1)
        if spec.records_episodes:
            # Each lane writes to a stretch of memory of its own, a new cache line every 16 episodes; without the
            # prefetch those 128 streams cost 15 % on the corridor.
            at = lanes.cursor[i] - uint64(lanes.left[i])
            agents.returns[at] = lanes.episode_return[i]
            prefetch_to_write(agents.returns, at + uint64(16))
            if spec.records_lengths:
                agents.lengths[at] = lanes.length[i]
                prefetch_to_write(agents.lengths, at + uint64(16))
        if spec.records_score:
            agent = lanes.agent[i]
            agents.score[agent] += lanes.episode_return[i]
            agents.score[agents.state.size + agent] += (succeeded >> i) & uint64(1)
            agents.score[2 * agents.state.size + agent] += lanes.length[i]
        if spec.has_schedules:
            set_rates(spec, tables, lanes, i, until - lanes.left[i])
