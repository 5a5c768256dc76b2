"""What happens to one agent by chance: outcomes, starts, and the words for its choices, all from its stream."""

import numpy as np

from qfast.engine.tables import alias_table


def _all_equal(probability):
    return np.allclose(probability, 1 / probability.shape[-1], rtol=0, atol=1e-12)


class World:
    """A problem as one agent meets it."""

    def __init__(self, mdp, stream, dtype):
        self.stream, self.mdp = stream, mdp
        everything = np.ones((mdp.n_states, mdp.n_actions), bool) if mdp.allowed is None else mdp.allowed
        self.allowed = [[int(action) for action in np.flatnonzero(row)] for row in everything]
        self.reward = mdp.reward.astype(dtype)
        self.probability = None if _all_equal(mdp.probability) else mdp.probability
        self.starts = [int(state) for state in np.flatnonzero(mdp.start)]
        weights = mdp.start[self.starts]
        self.start_weights = None if _all_equal(weights) else weights

    def outcome(self, state, action):
        """Which of the K outcomes happens."""
        if self.mdp.n_outcomes == 1:
            return 0
        weights = None if self.probability is None else self.probability[state, action]
        return self._weighted(self.mdp.n_outcomes, weights)

    def start(self):
        """The state that an episode begins in."""
        if len(self.starts) == 1:
            return self.starts[0]
        return self.starts[self._weighted(len(self.starts), self.start_weights)]

    def word(self):
        """A random word."""
        return self.stream.word()

    def below(self, n):
        """(which, part) = divmod(word n, 2**32): which is uniform in [0, n), part in [0, 2**32)."""
        return divmod(self.stream.word() * n, 2**32)

    def _weighted(self, n, weights):
        which, part = self.below(n)
        if weights is None:
            return which
        threshold, other = alias_table(weights)
        return which if part < int(threshold[which]) else int(other[which])
