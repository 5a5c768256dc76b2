"""What was found in an environment, in words: ways, randomness, and what a state hides."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qfast.errors import HiddenState
from qfast.problems.environments.simulator import Seen
from qfast.problems.environments.ways import Way

if TYPE_CHECKING:
    from qfast.model.labels import Label

__all__ = ["Words", "differences"]

_SHOWN_ACTIONS: Final = 12
_SHOWN_DIFFERENCES: Final = 4
_COMPARED: Final = (bool, int, float, str, tuple, list, dict, set, frozenset, np.generic, np.ndarray)
_SMALL: Final = 20  # numbers of an array
_SHORT: Final = 60  # letters of both values


class Words:
    """Words about one environment.

    Parameters
    ----------
    name : str
        Of the environment.
    names : sequence of str
        Of its actions.
    labels : sequence of label
        What a table calls its actions.
    """

    def __init__(self, name: str, names: Sequence[str], labels: "Sequence[Label]") -> None:
        self.name, self.names, self.labels = name, names, labels

    def way(self, way: Way) -> str:
        """Say a way, the middle of a long one left out."""
        seed, actions = way.actions()
        names = [self.names[a] for a in actions]
        if len(names) > _SHOWN_ACTIONS:
            half = _SHOWN_ACTIONS // 2
            names = [*names[:half], f"… ({len(names) - 2 * half} more) …", *names[-half:]]
        return f"reset(seed={seed})" + (f" and the actions {', '.join(names)}" if names else "")

    def is_random(self, state: "Label", action: int, outcomes: set[Seen]) -> str:
        """Say that steps are random, and what to do."""
        seen = sorted({_outcome(outcome) for outcome in outcomes})
        some = " or ".join(seen[:3]) + (", but not always" if len(seen) < 2 else "")
        return (
            f"{self.name} is random: in the state {state!r:.80} the action {self.names[action]} leads to {some}; say "
            f"how many samples of each state and action may estimate its probabilities, for example samples=1000"
        )

    def hides(
        self, state: "Label", action: int, ways: tuple[Way, Way], outcomes: tuple[Seen, Seen], differ: list[str]
    ) -> HiddenState:
        """Say that a state hides something, with both ways, and what differs inside of the environment."""
        told = ", ".join(differ[:_SHOWN_DIFFERENCES]) + (", …" if len(differ) > _SHOWN_DIFFERENCES else "")
        hint = f" Inside, these differ: {told}." if differ else ""
        mend = "state=lambda env: (…, env.unwrapped." + (differ[0].split(" ")[0] if differ else "…") + ")"
        return HiddenState(
            f"{self.name}: the state {state!r:.80} hides something. In it the action {self.names[action]} always leads "
            f"to {_outcome(outcomes[0])} after {self.way(ways[0])}; and always to {_outcome(outcomes[1])} after "
            f"{self.way(ways[1])}.{hint} Name states so that they tell such ways apart, for example {mend}, or wrap "
            f"the environment so that it does not matter; the error's .ways holds both ways whole",
            self._whole(ways),
        )

    def two_masks(
        self, state: "Label", allowed: tuple[tuple[int, ...], tuple[int, ...]], ways: tuple[Way, Way]
    ) -> HiddenState:
        """Say that the actions allowed in a state depend on the way there."""
        names = [", ".join(self.names[a] for a in some) or "nothing" for some in allowed]
        return HiddenState(
            f"{self.name}: the state {state!r:.80} hides something: info['action_mask'] allows {names[0]} after "
            f"{self.way(ways[0])}, and {names[1]} after {self.way(ways[1])}; name states so that they tell such ways "
            f"apart, by state=",
            self._whole(ways),
        )

    def too_many(self, labels: "Sequence[Label]", most: int) -> str:
        """Say that there are more states than wanted, and what the newest ones look like."""
        newest = ", ".join(f"{label!r:.60}" for label in labels[-3:])
        return (
            f"{self.name} has more than max_states={most:,} states (the last ones found: {newest}); raise max_states, "
            f"or name states by state= without what need not be told apart, such as a counter of steps"
        )

    def _whole(self, ways: tuple[Way, Way]) -> tuple[tuple[int, list[object]], ...]:
        both = [way.actions() for way in ways]
        return tuple((seed, [self.labels[a] for a in actions]) for seed, actions in both)


def _outcome(seen: Seen) -> str:
    end = ", the end" if seen.terminated else ""
    return f"{seen.label!r:.60} (reward {seen.reward:g}{end})"


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Tell the attributes that differ, with their values where these are short."""
    found = []
    for name, value in one.items():
        there = other.get(name)
        if name.startswith("_"):
            continue
        if isinstance(value, _COMPARED) and type(value) is type(there):
            try:
                differs = getattr(value, "shape", ()) != getattr(there, "shape", ()) or bool(np.any(value != there))
            except Exception:  # noqa: BLE001, S112 - arrays within, or objects of the user's own
                continue
            if differs and getattr(value, "size", 0) <= _SMALL and len(repr(value)) + len(repr(there)) < _SHORT:
                found.append(f"{name} ({value!r}, {there!r})")
            elif differs:
                found.append(name)
        elif (value is None) != (there is None) and name in other:
            found.append(f"{name} ({'None' if value is None else 'set'}, {'None' if there is None else 'set'})")
    return found
