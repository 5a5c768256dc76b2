"""Random input for everything that takes any: sensible things, changed at random.

Each surface is a function of a generator of random numbers: it makes one case and carries it out.  What it may raise is
an error of qfast's own, which names the value and the fix; a TypeError, where words are wrong; nothing else.
"""

import contextlib
import io
import json
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np

import qfast
from qfast.storage.archive import read_npz, write_npz


class Reached(qfast.QfastError):
    """The input was accepted: training would begin."""


def odd(rng):
    """A value that may be anything."""
    values = [
        None, True, False, 0, 1, -1, 2, 3, 7, 10**9, 2**31, 2**63, -(2**63), 2**64, 10**30, 0.0, 0.5, 1.0, -0.0, 1e-320,
        1e308, -1e308, 1.5, np.nan, np.inf, -np.inf, "", "x", "0.5", "\0", "ü" * 50, b"bytes", [], [1], [0.1, 0.2],
        [[1, 2], [3]], (), {}, {"a": 1}, {1, 2}, object(), np.array(3), np.array([]), np.zeros((0, 3)), np.ones((2, 2)),
        np.array(["a"]), np.array([None]), np.float32(0.3), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), 1j,
        np.array([1j]), range(3), int, lambda: 0, np.datetime64("2020-01-01"), np.array([0.1, 0.2, 0.3]), "random",
        Ellipsis, slice(3), float, np.float16(0.1), np.zeros(3, ">f8"), np.ones(3, bool), memoryview(b"abc"),
    ]  # fmt: skip
    return values[rng.integers(len(values))]


def chosen(rng, *values, oddness=0.15):
    """One of some values; now and then anything."""
    return odd(rng) if rng.random() < oddness else values[rng.integers(len(values))]


def tables(rng):
    """The tables of a problem, often a wrong one."""
    states, actions, outcomes = rng.integers(1, 6), rng.integers(1, 4), rng.integers(1, 4)
    shape = (states, actions) if rng.random() < 0.5 else (states, actions, outcomes)
    other = tuple(int(n + rng.integers(-1, 2) * (rng.random() < 0.1)) for n in shape)
    next_state = rng.integers(-1 if rng.random() < 0.1 else 0, states + (rng.random() < 0.1), shape)
    reward = rng.normal(size=tuple(max(n, 0) for n in other))
    if rng.random() < 0.1 and reward.size:
        reward.flat[rng.integers(reward.size)] = rng.choice([np.nan, np.inf, 1e300])
    probability = None
    if len(shape) == 3 and rng.random() < 0.7:
        probability = rng.random(shape)
        probability /= probability.sum(axis=-1, keepdims=True)
        if rng.random() < 0.2:
            probability.flat[0] = rng.choice([-0.1, 2.0, np.nan])
    start = rng.integers(-1, states + 1)
    if rng.random() < 0.3:
        start = rng.random(states)
        start = start / start.sum()
    return {
        "next_state": chosen(rng, next_state, next_state.tolist(), oddness=0.05),
        "reward": chosen(rng, reward, reward.tolist(), oddness=0.05),
        "terminated": chosen(rng, rng.random(shape) < 0.4, oddness=0.05),
        "probability": chosen(rng, probability, oddness=0.05),
        "start": chosen(rng, start, oddness=0.05),
        "max_episode_steps": chosen(rng, None, 5, 100, oddness=0.1),
        "allowed": chosen(rng, None, None, rng.random(shape[:2]) < 0.8, oddness=0.05),
        "state_names": chosen(rng, None, None, [f"s{i}" for i in range(states)], oddness=0.05),
        "action_names": chosen(rng, None, None, list("abcd")[:actions], oddness=0.05),
        "layout": chosen(rng, None, None, "S..G"[:states], oddness=0.05),
    }


def mdp(rng):
    """A problem out of tables; what is accepted describes itself, and survives a copy."""
    made = qfast.MDP(**tables(rng))
    repr(made)
    assert qfast.MDP.from_arrays(made.to_arrays()) == made


def from_p(rng):
    """A problem out of Gymnasium's table."""
    states = int(rng.integers(1, 5))
    rows = [[[
        chosen(
            rng,
            (float(rng.random()), int(rng.integers(states)), float(rng.normal()), bool(rng.random() < 0.3)),
            (1.0, int(rng.integers(states)), 1.0, True), oddness=0.02,
        )
        for _ in range(rng.integers(1, 3))] for _ in range(2)] for _ in range(states)]  # fmt: skip
    if rng.random() < 0.5:  # a table that sums to 1
        rows = [[[(1 / len(a), *o[1:]) if type(o) is tuple and len(o) == 4 else o for o in a] for a in s] for s in rows]
    table = rows if rng.random() < 0.4 else {s: dict(enumerate(row)) for s, row in enumerate(rows)}
    if rng.random() < 0.15:
        table = odd(rng)
    qfast.from_P(table, start=chosen(rng, 0, 1), max_episode_steps=chosen(rng, None, 10))


def grid(rng):
    """A grid world out of text."""
    letters = "S.FGHC# \n" if rng.random() < 0.8 else "S.G\t\r\n\0üX→😀"
    text = "".join(rng.choice(list(letters), rng.integers(0, 30)))
    if rng.random() < 0.5:
        width = int(rng.integers(1, 6))
        text = "\n".join("".join(rng.choice(list("S.GH#"), width)) for _ in range(rng.integers(1, 5)))
    options = {
        name: chosen(rng, 0.0, 1.0, -1.0, 0.1)
        for name in ("step_reward", "goal_reward", "hole_reward", "cliff_reward", "slip")
        if rng.random() < 0.2
    }
    qfast.arrows(
        made := qfast.grid(chosen(rng, text, text.split("\n"), oddness=0.05), max_episode_steps=chosen(rng, None, 10),
                           **options),
        np.zeros(made.n_states, int),
    )  # fmt: skip


def rate(rng):
    """A rate or a schedule of any kind."""
    kind = rng.integers(6)
    if kind == 0:
        return qfast.linear(chosen(rng, 0.1, 1.0, oddness=0.3), chosen(rng, 0.0, 0.5, oddness=0.3))
    if kind == 1:
        return qfast.exponential(chosen(rng, 0.1, 1.0, oddness=0.3), chosen(rng, 0.01, 0.5, oddness=0.3))
    if kind == 2:
        return qfast.by_visits(**{chosen(rng, "power", "c", "values", oddness=0): odd(rng)})
    make = (qfast.constant, qfast.per_agent, qfast.by_episode)[kind - 3]
    return make(chosen(rng, 0.1, [0.1, 0.2, 0.3], np.linspace(0, 1, 5), oddness=0.4))


PROBLEM = qfast.corridor()
LIMITED = PROBLEM.with_limit(20)
SHORT = qfast.problems.frozen_lake("4x4", slip=0.0, max_episode_steps=20)  # a variant of the house


def train(rng):
    """The settings of a training, up to the point where it would begin."""
    problem = chosen(rng, None, PROBLEM, LIMITED, LIMITED, oddness=0.03)

    def number():
        return rate(rng) if rng.random() < 0.15 else chosen(rng, 0.0, 0.1, 0.5, 1.0, oddness=0.2)

    settings = {
        "n_agents": lambda: chosen(rng, 1, 3, 100),
        "episodes": lambda: chosen(rng, 1, 3, 5),
        "alpha": number, "gamma": number, "epsilon": number, "initial_q": number, "lambda_": number,
        "temperature": number, "c": number,
        "ties": lambda: chosen(rng, "random", "first", "last"),
        "dtype": lambda: chosen(rng, "float32", "float64", np.float32),
        "rule": lambda: chosen(rng, "q_learning", "sarsa", "expected_sarsa", "double_q_learning", "article"),
        "n": lambda: chosen(rng, 1, 2, 5),
        "traces": lambda: chosen(rng, None, "accumulating", "replacing"),
        "trace_cutoff": lambda: chosen(rng, 0.0, 0.01),
        "explore": lambda: chosen(rng, "epsilon_greedy", "greedy", "softmax", "ucb"),
        "seed": lambda: chosen(rng, None, 0, 7, [1, 2]),
        "first_agent": lambda: chosen(rng, 0, 5, 2**40),
        "threads": lambda: chosen(rng, None, 1, 2),
        "executor": lambda: chosen(rng, None),
        "record": lambda: chosen(rng, None, "returns", "summary"),
        "keep_q": lambda: chosen(rng, True, False),
        "checkpoints": lambda: chosen(rng, None, 2, [0, 1], "log"),
        "checkpoint_q": lambda: chosen(rng, False, True),
        "progress": lambda: chosen(rng, False, None),
    }  # fmt: skip
    names = rng.choice(list(settings), rng.integers(0, 7), replace=False)
    given = {str(name): settings[name]() for name in names}
    if rng.random() < 0.02:
        given["alhpa"] = 0.1
    with mock.patch("qfast.execution.collect", side_effect=Reached("training begins")):
        qfast.train(problem, **given)


def short_training(rng):
    """A training to its end, of few agents, with numbers of all sizes; and what is done with it."""
    settings = {
        "alpha": chosen(rng, 0.1, 1.0, [0.1, 0.2, 0.3], oddness=0.3),
        "gamma": chosen(rng, 0.9, 1.0, [0.1, 0.2, 0.3], oddness=0.3),
        "epsilon": chosen(rng, 0.1, 1.0, [0.1, 0.2, 0.3], oddness=0.3),
        "initial_q": chosen(rng, 0.0, -3.0, 1e30, 1e-40, [0.1, 0.2, 0.3], oddness=0.3),
        "seed": chosen(rng, 0, [1, 2], oddness=0.3),
        "first_agent": chosen(rng, 0, 2**33, 2**62, oddness=0.3),
        "record": chosen(rng, "summary", "returns", oddness=0),
        "threads": chosen(rng, None, 1, 2, oddness=0),
        "checkpoints": chosen(rng, None, [0, 4], oddness=0),
        "keep_q": chosen(rng, True, False, oddness=0),
    }
    for name in ("alpha", "gamma", "epsilon", "initial_q"):
        if isinstance(settings[name], qfast.Rate) and settings[name].kind in ("episode", "visit"):
            settings[name] = 0.5  # another variant
    run = qfast.train(SHORT, n_agents=3, episodes=4, progress=False, **settings)
    repr(run)
    if settings["keep_q"]:
        run.census()
        qfast.rollout(run, agents=chosen(rng, 0, [0, 1], -1), max_steps=chosen(rng, None, 5))


# --- files ------------------------------------------------------------------------------------------------------------


class Files:
    """Whole files of every kind, to be damaged."""

    def __init__(self, folder):
        self.folder = Path(folder)
        settings = {"n_agents": 3, "episodes": 4, "seed": 0, "progress": False}
        runs = [
            qfast.train(**settings), qfast.train(**settings, record="returns"), qfast.train(**settings, keep_q=False)
        ]  # fmt: skip
        self.paths = [run.save(self.folder / f"run{i}.npz") for i, run in enumerate(runs)]
        self.paths.append(LIMITED.save(self.folder / "mdp.npz"))
        self.contents = [path.read_bytes() for path in self.paths]
        self.arrays = [read_npz(path, self.kind(path)) for path in self.paths]

    @staticmethod
    def kind(path):
        return "mdp" if path.name == "mdp.npz" else "run"

    def load(self, path, kind):
        """Read a file, and use what it gives."""
        if kind == "mdp":
            repr(qfast.MDP.load(path))
            return
        run = qfast.load(path)
        repr(run)
        if isinstance(run.q, np.ndarray):
            run.policies()
            run.table(0)

    def damaged(self, rng):
        """A file in which bytes were changed, cut off, put in or exchanged."""
        at = rng.integers(len(self.paths))
        content = bytearray(self.contents[at])
        for _ in range(rng.integers(1, 4)):
            where = int(rng.integers(len(content)))
            how = rng.integers(4)
            if how == 0:
                content[where] ^= 1 << int(rng.integers(8))
            elif how == 1:
                del content[where:]
                content += b"\0"
            elif how == 2:
                content[where:where] = rng.bytes(int(rng.integers(1, 20)))
            else:
                del content[where : where + int(rng.integers(1, 40))]
        path = self.folder / "damaged.npz"
        path.write_bytes(content)
        self.load(path, self.kind(self.paths[at]))

    def forged(self, rng):
        """A file whose checksums are right and whose content is not."""
        at = rng.integers(len(self.paths))
        arrays = dict(self.arrays[at])
        for _ in range(rng.integers(1, 3)):
            name = str(rng.choice(list(arrays)))
            if name == "about":
                arrays[name] = np.asarray(forged_json(rng, str(arrays[name])))
            elif rng.random() < 0.1:
                del arrays[name]
            else:
                arrays[name] = forged_array(rng, arrays[name])
        kind = self.kind(self.paths[at])
        path = write_npz(self.folder / "forged.npz", arrays, kind)
        with np.errstate(all="ignore"):
            self.load(path, kind)


def forged_array(rng, array):
    """An array of another shape, dtype or content."""
    how = rng.integers(5)
    if how == 0:
        return array.reshape(-1)[: rng.integers(array.size + 1)]
    if how == 1 and array.dtype.kind in "iufb":
        return array.astype(str(rng.choice(["int8", "float64", "float32", "uint8", "bool", "complex64", "U3", "i8"])))
    if how == 2:
        return np.repeat(array[..., None], rng.integers(0, 3), axis=-1)
    if array.size and array.dtype.kind in "iuf":
        array = array.copy()
        value = rng.choice([-1, 2**31 - 1, 1000, 0, 99]) if array.dtype.kind in "iu" else rng.choice([np.nan, -5, 1e30])
        array.flat[rng.integers(array.size)] = np.asarray(value).astype(array.dtype)
        return array
    return np.asarray("x")


def forged_json(rng, text):
    """Settings with one of them changed, or no JSON at all."""
    if rng.random() < 0.1 or not text.endswith("}"):  # the second time in one case
        return text[: rng.integers(len(text) + 1)]
    about = json.loads(text)
    place = about
    while True:
        key = str(rng.choice(list(place)))
        if isinstance(place[key], dict) and place[key] and rng.random() < 0.8:
            place = place[key]
            continue
        plain = [None, True, -1, 0, 2**40, 10**30, 1.5, "x", [], {}, [1, 2], "softmax", "ucb", "sarsa", "float64"]
        place[key] = plain[rng.integers(len(plain))]
        return json.dumps(about)


# --- command lines ----------------------------------------------------------------------------------------------------

WORDS = [
    "train", "resume", "show", "rollout", "problems", "corridor", "FrozenLake-v1", "nothing", "run0.npz", "mdp.npz",
    "run2.npz", "damaged.npz", "-", "--", "-v", "--help", "--version", "--json", "--agents", "--episodes", "--alpha",
    "--gamma", "--epsilon", "--seed", "--out", "--record", "--rule", "--explore", "--traces", "--lambda", "--n", "--c",
    "--temperature", "--threads", "--first-agent", "--max-steps", "--agent", "--dtype", "--ties", "--initial-q", "--x",
    "0", "1", "3", "-1", "1e6", "1e400", "nan", "inf", "0.1", "0.5:0.1", "1:0.1:exponential", "1:2:3:4", ":", "", " ",
    "out.npz", "folder", "/dev/null", "no/such/place.npz", "none", "returns", "summary", "sarsa", "softmax", "ucb",
    "float64", "first", "ü", "\udcff", "a" * 300, "1_000", "0x10", "--agents=5", "--alpha=", "=", "random", "a\nb",
]  # fmt: skip


def command_line(rng):
    """A command line: it may be wrong in any way, and ends with a status and at most one line of complaint."""
    from qfast.cli.app import run

    first = WORDS[rng.integers(5)] if rng.random() < 0.9 else WORDS[rng.integers(len(WORDS))]
    words = [first, *(WORDS[i] for i in rng.integers(len(WORDS), size=rng.integers(0, 7)))]
    told, complained = io.StringIO(), io.StringIO()
    with (
        mock.patch("qfast.execution.collect", side_effect=Reached("training begins")),
        contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained),
    ):  # fmt: skip
        status = run(words)
    said = complained.getvalue()
    assert status in (0, 2), (words, status, said)
    assert "Traceback" not in said + told.getvalue(), (words, said)
    if status:
        lines = [line for line in said.splitlines() if line.startswith("qfast: error: ")]
        assert len(lines) == 1, (words, said)
        raise Reached(said)


SURFACES = {
    "mdp": mdp, "from_P": from_p, "grid": grid, "rate": rate, "train": train, "short training": short_training,
    "damaged file": "damaged", "forged file": "forged", "command line": command_line,
}  # fmt: skip


def fuzz(name, count, seed=0):
    """Carry out many cases of a surface: how many were accepted; what is no clear error is raised, with its case."""
    accepted = silent = 0
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Path.cwd()
        files = Files(folder)
        os.chdir(folder)
        try:
            surface = SURFACES[name]
            surface = getattr(files, surface) if isinstance(surface, str) else surface
            for case in range(count):
                try:
                    surface(np.random.default_rng([seed, case]))
                    accepted += 1
                except qfast.QfastError as error:
                    accepted += isinstance(error, Reached) and "training begins" in str(error)
                    silent += not str(error)
                except TypeError as error:
                    if "unexpected keyword" not in str(error):
                        raise AssertionError(f"{name}, seed {seed}, case {case}: {error!r}") from error
                except OSError as error:
                    if name != "command line":
                        raise AssertionError(f"{name}, seed {seed}, case {case}: {error!r}") from error
                except Exception as error:
                    raise AssertionError(f"{name}, seed {seed}, case {case}: {error!r}") from error
        finally:
            os.chdir(before)
    assert not silent
    return accepted
