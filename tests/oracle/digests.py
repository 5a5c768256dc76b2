"""Two runs whose bits must be the same everywhere; ``python -m oracle.digests [plain] [rich]`` prints their digests.

The plain one is the article's corridor in float32; the rich one has everything that can be compiled in.
"""

import hashlib
import sys

import numpy as np

import qfast

RICH_EPISODES = 100


def plain(n_agents=200, **changes):
    """Settings of the corridor."""
    return {"n_agents": n_agents, "episodes": 100, "seed": 11, "record": "returns", "progress": False} | changes


def rich_mdp():
    """Unequal outcomes, several unequal starts, a mask, a limit, a state that leads to itself."""
    rng = np.random.default_rng(5)
    shape = (7, 5, 3)
    next_state = rng.integers(0, 7, shape)
    probability = rng.random(shape)
    allowed = rng.random(shape[:2]) < 0.7
    allowed[:, 2] = True
    allowed[6] = False
    start = np.array([0.5, 0.2, 0.3, 0, 0, 0, 0])
    return qfast.MDP(
        next_state, rng.integers(-2, 3, shape) / 3, terminated=next_state == 6, start=start, allowed=allowed,
        probability=probability / probability.sum(axis=-1, keepdims=True), max_episode_steps=9,
    )  # fmt: skip


def rich(n_agents=200, *, first=0, until=RICH_EPISODES, **changes):
    """Settings for `rich_mdp`: rates with a schedule each, and values for each agent; episodes first … until - 1."""
    settings = {
        "n_agents": n_agents,
        "episodes": until - first,
        "alpha": qfast.by_episode(np.linspace(0.9, 0.1, RICH_EPISODES)[first:until]),
        "epsilon": qfast.by_episode(np.geomspace(1, 0.01, RICH_EPISODES)[first:until]),
        "gamma": qfast.per_agent(np.linspace(0.5, 1, 200)[:n_agents]),
        "initial_q": qfast.per_agent(np.linspace(-1, 1, 200)[:n_agents]),
    }
    return settings | {"dtype": "float64", "seed": 12, "record": "returns", "progress": False} | changes


def digest(run):
    """SHA-256 of Q, returns, lengths and of where the streams stand."""
    parts = [run.q, run.returns, run.lengths, run.rng, run.state]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def digests(names=()):
    """The digests of the runs with these names, or of both."""
    runs = {"plain": lambda: qfast.train(**plain()), "rich": lambda: qfast.train(rich_mdp(), **rich())}
    return [digest(run()) for name, run in runs.items() if name in (names or runs)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(digests(sys.argv[1:])) + "\n")
