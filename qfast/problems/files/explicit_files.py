"""Models that model checkers export state for state: Storm's ``.drn``, and PRISM's ``.tra`` with its companions.

Sources: the page "Explicit model files" of the PRISM manual; for Storm the pages on its explicit formats and the files
that it writes itself. Rewards of states are paid for acting in them, added to those of the choice.
"""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from qfast.errors import BadFile, InvalidInput
from qfast.problems.files.file_model import Choices, FileModel, Source, chosen
from qfast.text import printable

__all__ = ["read_drn", "read_prism"]

_STATE: Final = re.compile(r"state\s+(\S+)(?:\s+!(\S+))?(?:\s+\{([^}]*)\})?(?:\s*\[([^\]]*)\])?(?:\s+(.*))?$")
_ACTION: Final = re.compile(r"action\s+(\"[^\"]*\"|\S+)(?:\s*\[([^\]]*)\])?$")
_LABEL: Final = re.compile(r"\"([^\"]*)\"|(\S+)")
_DRN_TYPES: Final = ("MDP", "DTMC", "POMDP")
_DECLARED: Final = re.compile(r"(\d+)\s*=\s*\"([^\"]*)\"")


def read_drn(path: Path, reward: str | None) -> FileModel:
    """Read Storm's format; of a POMDP the MDP under it."""
    source = Source(path)
    reader = _Drn(source, reward)
    for line, text in source.lines("//"):
        reader.read(line, text)
    return reader.model()


class _Drn:
    """Reads line by line: the header first, then states, their actions and their transitions."""

    def __init__(self, source: Source, reward: str | None) -> None:
        self.source = source
        self.wanted = reward
        self.section = ""
        self.head: dict[str, str] = {}
        self.n_states: int | None = None
        self.reward: int | None = None
        self.choices = Choices(source)
        self.marked: dict[str, list[int]] = {}
        self.state = -1
        self.paid = 0.0  # for acting in the state
        self.number = 0  # of choices in the state
        self.gain = 0.0  # of the choice

    def read(self, line: int, text: str) -> None:
        """Take one line."""
        if self.section == "model":
            self._row(line, text)
        elif text.startswith("@"):
            key, _, value = text[1:].partition(":")
            self.section = key.strip().lower()
            if value.strip():
                self._header(line, value.strip())
            if self.section == "model":
                self._begin(line)
        else:
            self._header(line, text)

    def _header(self, line: int, value: str) -> None:
        if self.section == "type" and value.upper() not in _DRN_TYPES:
            self.source.fail(line, f"the model is a {value}; only {', '.join(_DRN_TYPES)} can be read")
        if self.section in ("parameters", "placeholders"):
            self.source.fail(line, f"the model has {self.section}, {value!r:.40}; instantiate it before it is exported")
        if self.section == "value_type" and "interval" in value.lower():
            self.source.fail(line, "the model has intervals of probabilities; give one probability each")
        self.head[self.section] = value

    def _begin(self, line: int) -> None:
        if "nr_states" not in self.head:
            self.source.fail(line, "@model comes before @nr_states; write the number of states first")
        self.n_states = self.source.whole(self.head["nr_states"], line, "the number of states")
        names = self.head.get("reward_models", "").split()
        if names:
            self.reward = chosen("reward models", names, self.wanted)
        elif self.wanted is not None:
            raise InvalidInput(f"reward={self.wanted!r:.60}, but {printable(self.source.path)} has no reward model")

    def _row(self, line: int, text: str) -> None:
        if text.startswith("state"):
            self._state(line, text)
        elif text.startswith("action"):
            found = _ACTION.match(text)
            if found is None or self.state < 0:
                self.source.fail(line, f"{text!r:.60} is no action of a state; write: action NAME [reward]")
            self._choose(line, found[1].strip('"'))
            self.gain = self._gain(line, found[2])
        else:
            target, colon, share = text.partition(":")
            if not colon or self.state < 0:
                self.source.fail(line, f"{text!r:.60} is no state, action or transition; write: STATE : PROBABILITY")
            if self.number == 0:  # a chain's transitions may stand right below its state
                self._choose(line, None)
            entered = self.source.whole(target.strip(), line, "the state", self.n_states)
            probability = self.source.probability(share.strip(), line)
            self.choices.outcome(len(self.choices.choices) - 1, probability, entered, self.paid + self.gain)

    def _choose(self, line: int, name: str | None) -> None:
        self.choices.choice(self.state, self.number, name, line)
        self.number += 1
        self.gain = 0.0

    def _state(self, line: int, text: str) -> None:
        found = _STATE.match(text)
        if found is None:
            self.source.fail(line, f"{text!r:.60} is no state; write: state NUMBER [reward] label …")
        if found[2] is not None:
            self.source.fail(line, "the state has an exit rate, of a model in continuous time; export the MDP under it")
        number = self.source.whole(found[1], line, "the state", self.n_states)
        if number != self.state + 1:
            self.source.fail(line, f"state {number} follows state {self.state}; states come in order, none left out")
        self.state, self.number, self.gain = number, 0, 0.0
        self.paid = self._gain(line, found[4])
        for quoted, plain in _LABEL.findall(found[5] or ""):
            self.marked.setdefault(quoted or plain, []).append(number)

    def _gain(self, line: int, text: str | None) -> float:
        """Read the chosen one of the rewards in brackets."""
        if text is None or self.reward is None:
            return 0.0
        values = [value for value in re.split(r"[,\s]+", text.strip()) if value]
        if len(values) <= self.reward:
            self.source.fail(line, f"[{text}] holds {len(values)} rewards; there is one for each reward model")
        return self.source.number(values[self.reward], line, "the reward")

    def model(self) -> FileModel:
        """Finish."""
        if self.n_states is None:
            raise BadFile(f"{printable(self.source.path)} has no @model; it is cut off, or no .drn file")
        if self.state + 1 != self.n_states:
            path = printable(self.source.path)
            raise BadFile(f"{path} announces {self.n_states} states and ends after {self.state + 1}; it is cut off")
        start = _initial(self.marked, self.n_states)
        return self.choices.model(self.n_states, start=start, marked=self.marked, pays=self.reward is not None)


def _initial(marked: dict[str, list[int]], n_states: int) -> Any:
    """Give the start: states marked ``init``, equally likely, or None."""
    states = marked.get("init")
    if not states:
        return None
    start = np.zeros(n_states)
    start[states] = 1.0 / len(states)
    return start


def read_prism(path: Path, reward: str | None) -> FileModel:
    """Read ``.tra`` and, beside it and called alike, ``.sta``, ``.lab``, ``.srew`` and ``.trew``."""
    source = Source(path)
    rows = list(source.lines("#"))
    if not rows:
        raise BadFile(f"{printable(path)} is empty; give the transitions that PRISM or Storm exported")
    line, first = rows[0]
    counts = first.split()
    bare = counts[0].lower() in ("mdp", "dtmc")  # Storm's: a word in place of the counts
    if counts[0].lower() in ("ctmc", "ma"):
        source.fail(line, f"the model is a {counts[0]}, in continuous time; only MDPs and DTMCs can be read")
    if bare:
        chain, n_states, announced = counts[0].lower() == "dtmc", None, None
    else:
        sizes = [source.whole(text, line, "the count") for text in counts]
        if len(sizes) not in (2, 3):
            source.fail(line, f"{first!r:.60} are no counts; write: states [choices] transitions")
        chain, n_states, announced = len(sizes) == 2, sizes[0], sizes[-1]
    transitions = [entry for row in _rows(rows[1:]) for entry in _entries(source, *row, chain=chain, below=n_states)]
    if announced is not None and len(transitions) != announced:
        held = len(transitions)
        raise BadFile(f"{printable(path)} announces {announced} transitions and holds {held}; export it anew")
    if n_states is None:
        n_states = 1 + max((max(entry[1], entry[3]) for entry in transitions), default=0)
    paid, gain, pays = _prism_rewards(path, reward, n_states, chain=chain, bare=bare)
    choices = Choices(source)
    places: dict[tuple[int, int], int] = {}
    for line, state, number, entered, value, name in transitions:
        if (state, number) not in places:
            places[state, number] = choices.choice(state, number, name, line)
        if not 0.0 <= value <= 1.000001:
            source.fail(line, f"the probability {value:g} is outside [0, 1]; rates are those of another kind of model")
        worth = paid.get(state, 0.0) + gain.get((state, number, entered), 0.0)
        choices.outcome(places[state, number], value, entered, worth)
    marked = _labels(path.with_suffix(".lab"), n_states)
    states = _valuations(path.with_suffix(".sta"), n_states)
    return choices.model(n_states, start=_initial(marked, n_states), marked=marked, pays=pays, states=states)


_Entry = tuple[int, int, int, int, float, str | None]
"""Line, state, choice, next state, value, name of the action."""


def _rows(rows: list[tuple[int, str]]) -> list[tuple[int, list[str], int]]:
    """Split lines into words, with the number of lines that the same state had before."""
    seen: dict[str, int] = {}
    result = []
    for line, text in rows:
        words = text.split()
        before = seen.get(words[0], 0)
        seen[words[0]] = before + 1
        result.append((line, words, before))
    return result


def _entries(
    source: Source, line: int, words: list[str], before: int, *, chain: bool, below: int | None
) -> list[_Entry]:
    """Read a line: one transition, or in row form a whole choice as ``state value:next value:next … [action]``."""
    state = source.whole(words[0], line, "the state", below)
    if any(":" in word for word in words[1:]):
        name = None if ":" in words[-1] else words.pop()
        found: list[_Entry] = []
        for word in words[1:]:
            value, _, target = word.partition(":")
            entered = source.whole(target, line, "the next state", below)
            found.append((line, state, before, entered, source.number(value, line, "the value"), name))
        return found
    least = 3 if chain else 4
    if len(words) not in (least, least + 1):
        form = "state next probability" if chain else "state choice next probability [action]"
        source.fail(line, f"{' '.join(words)!r:.60} has {len(words)} words; write: {form}")
    number = 0 if chain else source.whole(words[1], line, "the choice")
    entered = source.whole(words[least - 2], line, "the next state", below)
    name = words[least] if len(words) > least else None
    return [(line, state, number, entered, source.number(words[least - 1], line, "the value"), name)]


def _prism_rewards(
    path: Path, wanted: str | None, n_states: int, *, chain: bool, bare: bool
) -> tuple[dict[int, float], dict[tuple[int, int, int], float], bool]:
    """Read rewards of states and of transitions of the structure that is wanted."""
    stem = path.with_suffix("").name
    structures: dict[str, list[Path]] = {}
    for kinds in ("srew", "trew", "rews", "rewt", "state.rew", "trans.rew"):
        for file in sorted(path.parent.glob(f"{_escaped(stem)}*.{kinds}")):
            number = file.name[len(stem) : -len(kinds) - 1]
            if number == "" or number.isdigit():
                structures.setdefault(_structure(file) or number or "rewards", []).append(file)
    if not structures:
        if wanted is not None:
            raise InvalidInput(f"reward={wanted!r:.60}, but there is no {stem}.srew or .trew beside {printable(path)}")
        return {}, {}, False
    name = list(structures)[chosen("reward structures", list(structures), wanted)]
    paid: dict[int, float] = {}
    gain: dict[tuple[int, int, int], float] = {}
    for file in structures[name]:
        source = Source(file)
        rows = list(source.lines("#"))[0 if bare else 1 :]
        if file.suffix in (".srew", ".rews") or file.name.endswith("state.rew"):
            for line, text in rows:
                words = text.split()
                if len(words) != 2:
                    source.fail(line, f"{text!r:.60} is no reward of a state; write: state reward")
                place = source.whole(words[0], line, "the state", n_states)
                paid[place] = source.number(words[1], line, "the reward")
            continue
        for row in _rows(rows):
            if len(row[1]) > 1:  # in row form a choice without rewards is its state alone
                for _, state, choice, entered, value, _ in _entries(source, *row, chain=chain, below=n_states):
                    gain[state, choice, entered] = value
    return paid, gain, True


def _escaped(stem: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", stem)


def _structure(file: Path) -> str | None:
    """Find the name of the structure in the header of a reward file."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        found = re.match(r"#\s*Reward structure:?\s*\"([^\"]+)\"", lines.readline())
    return found[1] if found else None


def _labels(path: Path, n_states: int) -> dict[str, list[int]]:
    """Read labels of states: PRISM's numbered ones, or Storm's ``#DECLARATION … #END``."""
    if not path.is_file():
        return {}
    source = Source(path)
    if source.text.lstrip().upper().startswith("#DECLARATION"):
        head, _, body = source.text.partition("#END")
        known = {name: name for name in head.split()[1:]}
        offset = head.count("\n")
        rows = [(i + offset, text.strip()) for i, text in enumerate(body.splitlines(), 1) if text.strip()]
    else:
        rows = list(source.lines("#"))
        known = dict(_DECLARED.findall(rows[0][1])) if rows else {}
        rows = rows[1:]
    marked: dict[str, list[int]] = {name: [] for name in known.values()}
    for line, text in rows:
        words = text.replace(":", " ").split()
        state = source.whole(words[0], line, "the state", n_states)
        for word in words[1:]:
            if word not in known:
                source.fail(line, f"label {word!r:.40} is not declared in the first line; it has {', '.join(known)}")
            marked[known[word]].append(state)
    return marked


def _valuations(path: Path, n_states: int) -> list[Any] | None:
    """Read the values of the variables in each state: tuples, or the value itself where there is one variable."""
    if not path.is_file():
        return None
    source = Source(path)
    states: list[Any] = []
    for line, text in list(source.lines("#"))[1:]:
        number, _, values = text.partition(":")
        if source.whole(number.strip(), line, "the state", n_states) != len(states):
            source.fail(line, f"state {number} follows {len(states) - 1}; states come in order, none left out")
        parts = [_value(value.strip()) for value in values.strip().strip("()").split(",")]
        states.append(parts[0] if len(parts) == 1 else tuple(parts))
    if len(states) != n_states:
        raise BadFile(f"{printable(path)} holds {len(states)} states, the transitions {n_states}; export both anew")
    return states


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
