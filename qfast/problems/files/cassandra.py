"""Cassandra's files: ``.MDP``, and of ``.POMDP`` the process under the observations.

Source: the format and grammar at pomdp.org. Later entries replace earlier ones, ``*`` stands for all. What is observed
is not kept, but where a reward depends on it, its mean over the observations is taken.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile
from qfast.model.mdp_checks import SUM_TOLERANCE
from qfast.problems.files.file_model import FileModel, Source
from qfast.problems.outcomes import Outcomes
from qfast.text import printable

__all__ = ["read_cassandra"]

_HEAD: Final = ("discount", "values", "states", "actions", "observations")
_TOKEN: Final = re.compile(r"[^\s:]+|:")

_Floats = NDArray[np.float64]
_Rule = tuple[int | None, int | None, int | None, Any]
"""Action, state and next state (None for all), and a function from next states to rewards by observation."""


def read_cassandra(path: Path) -> FileModel:
    """Read a file of Cassandra's format."""
    return _Reader(Source(path)).model()


class _Reader:
    """Reads words; `at` is the next one."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = [(word, line) for line, text in source.lines("#") for word in _TOKEN.findall(text)]
        self.at = 0
        self.names: dict[str, list[str] | int] = {}  # of states, actions, observations; or how many there are
        self.numbers: dict[str, dict[str, int]] = {}
        self.discount: float | None = None
        self.sign = 1.0
        self.start: _Floats | None = None
        self.rows: dict[tuple[int, int], dict[int, float]] = {}  # (state, action): next state: probability
        self.row_line: dict[tuple[int, int], int] = {}
        self.observed: _Floats | None = None  # (n_actions, n_states, n_observations)
        self.rules: list[_Rule] = []

    # Words and numbers.

    def fail(self, problem: str, at: int | None = None) -> Any:
        at = min(self.at if at is None else at, len(self.words) - 1)
        self.source.fail(self.words[at][1] if self.words else 1, problem)

    def peek(self) -> str:
        return self.words[self.at][0] if self.at < len(self.words) else ""

    def take(self) -> str:
        if self.at >= len(self.words):
            self.fail("the file ends within an entry; it is cut off")
        self.at += 1
        return str(self.words[self.at - 1][0])

    def colon(self) -> None:
        if self.take() != ":":
            self.fail(f"{self.words[self.at - 1][0]!r:.40} stands where a colon belongs", self.at - 1)

    def number(self) -> float:
        word = self.take()
        return self.source.number(word, self.words[self.at - 1][1], "the value")

    def numbers_of(self, count: int) -> _Floats:
        return np.array([self.number() for _ in range(count)])

    def size(self, kind: str) -> int:
        given = self.names[kind]
        return given if isinstance(given, int) else len(given)

    def one(self, kind: str) -> int | None:
        """Read a state, an action or an observation, by name or number; None for ``*``."""
        word = self.take()
        if word == "*":
            return None
        if word in self.numbers[kind]:
            return self.numbers[kind][word]
        if word.isascii() and word.isdigit() and int(word) < self.size(kind):
            return int(word)
        listed = ", ".join(list(self.numbers[kind])[:5]) or f"0 to {self.size(kind) - 1}"
        return self.fail(f"{word!r:.40} is none of the {kind} ({listed})", self.at - 1)  # type: ignore[no-any-return]

    def each(self, kind: str, chosen: int | None) -> range:
        return range(self.size(kind)) if chosen is None else range(chosen, chosen + 1)

    def until_section(self) -> Iterator[str]:
        """Give the words up to the next section: a word with a colon behind, or ``start include:``."""
        while self.at < len(self.words):
            ahead = [word for word, _ in self.words[self.at : self.at + 3]]
            if ":" in ahead[1:2] or (ahead[0] == "start" and ":" in ahead[2:3]):
                return
            yield self.take()

    # Sections.

    def model(self) -> FileModel:
        if not self.words:
            raise BadFile(f"{printable(self.source.path)} says nothing; give a file in Cassandra's format")
        while self.at < len(self.words):
            word = self.take()
            if word in _HEAD:
                self.colon()
                self._head(word)
                continue
            for kind in ("states", "actions"):
                if kind not in self.names:
                    self.fail(f"{word!r:.40} comes before '{kind}:'; write the preamble first", self.at - 1)
            self.names.setdefault("observations", 1)
            self.numbers.setdefault("observations", {})
            if word == "start":
                self._start()
            elif word in ("T", "O", "R"):
                self.colon()
                {"T": self._transition, "O": self._observation, "R": self._reward}[word]()
            else:
                self.fail(f"{word!r:.40} begins no entry; use T, O, R, start or the preamble's words", self.at - 1)
        return self._finished()

    def _head(self, word: str) -> None:
        first = self.at
        said = list(self.until_section())
        if not said:
            self.fail(f"'{word}:' has nothing behind it", first - 1)
        if word == "discount":
            self.discount = self.source.number(said[0], self.words[first][1], "the discount")
        elif word == "values":
            if said[0] not in ("reward", "cost"):
                self.fail(f"values: {said[0]!r:.40}; write reward or cost", first)
            self.sign = 1.0 if said[0] == "reward" else -1.0
        elif len(said) == 1 and said[0].isascii() and said[0].isdigit():
            self.names[word] = int(said[0])
            self.numbers[word] = {}
            if int(said[0]) < 1:
                self.fail(f"'{word}: 0'; there must be one at least", first)
        else:
            self.names[word] = said
            self.numbers[word] = {name: i for i, name in enumerate(said)}
            if len(self.numbers[word]) < len(said):
                self.fail(f"'{word}:' has a name twice", first)

    def _start(self) -> None:
        how = self.take() if self.peek() in ("include", "exclude") else None
        self.colon()
        first = self.at
        n = self.size("states")
        self.start = np.zeros(n)
        if how is not None:
            marks = np.zeros(n, dtype=np.bool_)
            end = first + len(list(self.until_section()))
            self.at = first
            while self.at < end:
                marks[list(self.each("states", self.one("states")))] = True
            marks = marks if how == "include" else ~marks
            if not marks.any():
                self.fail("no state is left to start in", first)
            self.start[marks] = 1.0 / marks.sum()
            return
        said = list(self.until_section())
        if said == ["uniform"]:
            self.start[:] = 1.0 / n
        elif len(said) == 1 and (said[0] in self.numbers["states"] or (n > 1 and said[0].isdigit())):
            self.at = first
            self.start[self.one("states")] = 1.0
        elif len(said) == n:
            self.at = first
            self.start = self.numbers_of(n)
            if abs(self.start.sum() - 1.0) > SUM_TOLERANCE:
                self.fail(f"the start sums to {self.start.sum():.9g}, not 1", first)
        else:
            self.fail(f"the start has {len(said)} values; write {n} probabilities, a state or uniform", first)

    def _transition(self) -> None:
        n = self.size("states")
        action = self.one("actions")
        if self.peek() != ":":
            first = self.at
            if self.peek() == "identity":
                self.take()
                for a in self.each("actions", action):
                    self.rows.update({(s, a): {s: 1.0} for s in range(n)})
                return
            rows = self._matrix(n, n)
            for a in self.each("actions", action):
                for s in range(n):
                    self._set_row(s, a, rows[s], first)
            return
        self.colon()
        state = self.one("states")
        first = self.at
        if self.peek() == ":":
            self.colon()
            entered = self.one("states")
            share = self._probability()
            for a in self.each("actions", action):
                for s in self.each("states", state):
                    self.row_line[s, a] = self.words[first][1]
                    if entered is None and share == 0.0:  # as many files begin
                        self.rows[s, a] = {}
                    else:
                        self.rows.setdefault((s, a), {}).update(dict.fromkeys(self.each("states", entered), share))
            return
        if self.peek() == "reset":
            self.take()
            row = np.full(n, 1.0 / n) if self.start is None else self.start
        else:
            row = self._matrix(1, n)[0]
        for a in self.each("actions", action):
            for s in self.each("states", state):
                self._set_row(s, a, row, first)

    def _set_row(self, s: int, a: int, row: _Floats, at: int) -> None:
        self.rows[s, a] = {int(k): float(row[k]) for k in np.flatnonzero(row)}
        self.row_line[s, a] = self.words[at][1]

    def _probability(self) -> float:
        word = self.take()
        return self.source.probability(word, self.words[self.at - 1][1])

    def _matrix(self, n_rows: int, n_columns: int) -> _Floats:
        """Read probabilities row for row, or a word for them."""
        if self.peek() == "uniform":
            self.take()
            return np.full((n_rows, n_columns), 1.0 / n_columns)
        return np.array([[self._probability() for _ in range(n_columns)] for _ in range(n_rows)])

    def _observation(self) -> None:
        n, n_seen = self.size("states"), self.size("observations")
        if self.observed is None:
            self.observed = np.zeros((self.size("actions"), n, n_seen))
        action = self.one("actions")
        a = slice(None) if action is None else action
        if self.peek() != ":":
            self.observed[a] = self._matrix(n, n_seen)
            return
        self.colon()
        state = self.one("states")
        s = slice(None) if state is None else state
        if self.peek() != ":":
            self.observed[a, s] = self._matrix(1, n_seen)[0]
            return
        self.colon()
        seen = self.one("observations")
        self.observed[a, s, slice(None) if seen is None else seen] = self._probability()

    def _reward(self) -> None:
        """Read a rule: rewards of one, a row or a matrix of (next state, observation)."""
        n, n_seen = self.size("states"), self.size("observations")
        action = self.one("actions")
        if self.peek() != ":":  # only without observations: a matrix of (state, next state)
            matrix = self.numbers_of(n * n).reshape(n, n)
            self.rules += [(action, s, None, _by_next(matrix[s])) for s in range(n)]
            return
        self.colon()
        state = self.one("states")
        if self.peek() != ":":
            matrix = self.numbers_of(n * n_seen).reshape(n, n_seen)
            self.rules.append((action, state, None, _by_next(matrix)))
            return
        self.colon()
        entered = self.one("states")
        if self.peek() == ":":
            self.colon()
            seen = self.one("observations")
            self.rules.append((action, state, entered, (seen, self.number())))
        else:
            self.rules.append((action, state, entered, self.numbers_of(n_seen)))

    # What it comes to.

    def _finished(self) -> FileModel:
        n, n_actions = self.size("states"), self.size("actions")
        if not self.rows:
            raise BadFile(f"{printable(self.source.path)} has no transition; it is cut off, or in another format")
        for (s, a), row in self.rows.items():
            total = sum(row.values())
            if abs(total - 1.0) > SUM_TOLERANCE:
                line = self.row_line[s, a]
                self.source.fail(line, f"the probabilities of {self._named(s, a)} sum to {total:.9g}, not 1")
        for s in range(n):
            for a in range(n_actions):
                if (s, a) not in self.rows:
                    path = printable(self.source.path)
                    raise BadFile(f"{path} has no transition of {self._named(s, a)}; every pair needs one")
        flat = [(s * n_actions + a, p, k) for (s, a), row in self.rows.items() for k, p in row.items() if p > 0]
        flat.sort(key=lambda outcome: outcome[0])
        pair, share, entered = (np.array(column) for column in zip(*flat, strict=True))
        reward = self.sign * self._rewards(pair // n_actions, pair % n_actions, entered)
        names = {kind: given if isinstance(given, list) else None for kind, given in self.names.items()}
        return FileModel(
            Outcomes.of(pair, share, entered, reward, np.zeros(pair.size)),
            np.ones((n, n_actions), dtype=np.bool_),
            start=self.start, states=names["states"], actions=names["actions"], discount=self.discount,
            pays=bool(self.rules),
        )  # fmt: skip

    def _named(self, s: int, a: int) -> str:
        named = []
        for kind, i in (("states", s), ("actions", a)):
            given = self.names[kind]
            named.append(f"{i}" if isinstance(given, int) else repr(given[i]))
        return f"state {named[0]} and action {named[1]}"

    def _rewards(self, s: NDArray[np.int64], a: NDArray[np.int64], entered: NDArray[np.int64]) -> _Floats:
        """Apply the rules in order to the outcomes, which are sorted by state and action."""
        pair = s * self.size("actions") + a
        seen_matters = any(isinstance(what, tuple) and what[0] is not None for *_, what in self.rules)
        seen_matters |= any(isinstance(what, np.ndarray) and what.shape[-1] > 1 for *_, what in self.rules)
        rewards = np.zeros((s.size, self.size("observations") if seen_matters else 1))
        for action, state, target, what in self.rules:
            if action is not None and state is not None:
                key = state * self.size("actions") + action
                where = np.arange(*np.searchsorted(pair, (key, key + 1)))
            else:
                fits = np.ones(s.size, dtype=np.bool_)
                fits &= action is None or a == action
                fits &= state is None or s == state
                where = np.flatnonzero(fits)
            if target is not None:
                where = where[entered[where] == target]
            if isinstance(what, tuple):
                rewards[where, slice(None) if what[0] is None or not seen_matters else what[0]] = what[1]
            else:
                rewards[where] = what[entered[where]] if what.ndim == 2 else what
        if not seen_matters:
            return rewards[:, 0]
        if self.observed is None:
            raise BadFile(f"{printable(self.source.path)} has rewards by observation but no O; it is cut off")
        mean: _Floats = np.einsum("ij,ij->i", rewards, self.observed[a, entered])
        return mean


def _by_next(values: _Floats) -> _Floats:
    """Give rewards by next state as (n_states, n_observations)."""
    return values if values.ndim == 2 else values[:, None]
