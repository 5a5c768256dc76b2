"""What the readers of MDP files share: lines with their numbers, numbers in them, and a model as it is read."""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp_checks import SUM_TOLERANCE
from qfast.problems.outcomes import Outcomes
from qfast.text import printable

__all__ = ["Choices", "FileModel", "Source", "chosen"]


class Source:
    """A text file; errors name it and the line."""

    def __init__(self, path: Path) -> None:
        """Read the file whole."""
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            msg = f"{printable(path)} is no text file ({error.reason}); give the text that was exported"
            raise BadFile(msg) from error

    def lines(self, comment: str) -> Iterator[tuple[int, str]]:
        """Give the lines that say something, with their numbers, without comments and white space around."""
        for number, line in enumerate(self.text.splitlines(), 1):
            said = line.partition(comment)[0].strip()
            if said:
                yield number, said

    def fail(self, line: int, problem: str) -> NoReturn:
        """Say what is wrong in a line, and what would be right."""
        raise BadFile(f"{printable(self.path)}, line {line}: {printable(problem)}")

    def number(self, text: str, line: int, what: str) -> float:
        """Read a number: decimal, or a fraction such as 1/3."""
        try:
            value = float(Fraction(text)) if "/" in text else float(text)
        except (ValueError, ZeroDivisionError, OverflowError):
            self.fail(line, f"{what} {text!r:.40} is no number; write one such as 0.25 or 1/4")
        if not math.isfinite(value):
            self.fail(line, f"{what} {text!r:.40} is not finite; write a finite number")
        return value

    def probability(self, text: str, line: int) -> float:
        """Read a number in [0, 1]."""
        value = self.number(text, line, "the probability")
        if not 0.0 <= value <= 1.0 + SUM_TOLERANCE:
            self.fail(line, f"the probability {text} is outside [0, 1]; write probabilities, not rates or counts")
        return value

    def whole(self, text: str, line: int, what: str, below: int | None = None) -> int:
        """Read a whole number from 0, below a limit where one is known."""
        if not (text.isascii() and text.isdigit()):
            self.fail(line, f"{what} {text!r:.40} is no whole number; write one from 0 on")
        if below is not None and int(text) >= below:
            self.fail(line, f"{what} {text} is outside [0, {below - 1}]; the file announces {below}")
        return int(text)


@dataclass
class FileModel:
    """A model as a file has it; states that are marked by a label are found by it."""

    outcomes: Outcomes
    possible: NDArray[np.bool_]  # (n_states, n_actions)
    start: NDArray[np.float64] | None = None  # None where the file does not say
    states: Sequence[Hashable] | None = None
    actions: Sequence[Hashable] | None = None
    marked: dict[str, list[int]] = field(default_factory=dict)
    pays: bool = True  # whether the file has rewards
    discount: float | None = None


class Choices:
    """Collects what can be chosen in each state, as model checkers write it: numbered choices that may have names."""

    def __init__(self, source: Source) -> None:
        """Begin without any."""
        self.source = source
        self.choices: list[tuple[int, int, str | None, int]] = []  # state, number, name, line
        self.outcomes: list[tuple[int, float, int, float]] = []  # choice, probability, next state, reward

    def choice(self, state: int, number: int, name: str | None, line: int) -> int:
        """Begin a choice; gives its place."""
        self.choices.append((state, number, name, line))
        return len(self.choices) - 1

    def outcome(self, place: int, probability: float, entered: int, reward: float = 0.0) -> None:
        """Add an outcome to a choice."""
        self.outcomes.append((place, probability, entered, reward))

    def model(self, n_states: int, **more: Any) -> FileModel:
        """Check the sums and make the model: one action for each name, or for each number where names do not do."""
        if not self.outcomes:
            raise BadFile(f"{printable(self.source.path)} has no transition; is it the file of a model?")
        place, probability, entered, reward = map(np.array, zip(*self.outcomes, strict=True))
        total = np.bincount(place, weights=probability, minlength=len(self.choices))
        for k in np.flatnonzero(np.abs(total - 1.0) > SUM_TOLERANCE)[:1]:
            state, number, name, line = self.choices[k]
            named = number if name is None else name
            self.source.fail(line, f"the probabilities of state {state}, choice {named}, sum to {total[k]:.9g}, not 1")
        states = np.array([choice[0] for choice in self.choices])
        columns, actions = self._columns()
        possible = np.zeros((n_states, int(columns.max()) + 1), dtype=np.bool_)
        possible[states, columns] = True
        pair = states * possible.shape[1] + columns
        outcomes = Outcomes.of(pair[place], probability, entered, reward, np.zeros(place.size))
        return FileModel(outcomes, possible, actions=actions, **more)

    def _columns(self) -> tuple[NDArray[np.int64], list[Hashable] | None]:
        """Give the action of each choice, and the names of the actions where each state has each name but once."""
        names = [name for _, _, name, _ in self.choices]
        if None in names or len({(state, name) for state, _, name, _ in self.choices}) < len(names):
            return np.array([number for _, number, _, _ in self.choices]), None
        once = list(dict.fromkeys(names))
        if all(str(name).isdigit() for name in once):
            once.sort(key=lambda name: int(str(name)))
            if once == [str(i) for i in range(len(once))]:
                return np.array([int(str(name)) for name in names]), None
        place = {name: i for i, name in enumerate(once)}
        return np.array([place[name] for name in names]), list(once)


def chosen(what: str, names: Sequence[str], wanted: str | None) -> int:
    """Choose one of several reward structures by name or by number from 1."""
    if wanted is None:
        if len(names) == 1:
            return 0
        raise InvalidInput(f"the file has the {what} {', '.join(map(repr, names))}; choose one by reward=…")
    if wanted in names:
        return names.index(wanted)
    raise InvalidInput(f"reward={wanted!r:.60} is none of the {what} {', '.join(map(repr, names))}; use one of them")
