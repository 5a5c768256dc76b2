"""Files that hold an MDP, of whatever format: one way in."""

import os
from typing import Any, Final

import numpy as np

from qfast.arguments import path_of
from qfast.errors import BadFile, InvalidInput
from qfast.model.labels import title_of
from qfast.model.mdp import MDP
from qfast.problems.files.cassandra import read_cassandra
from qfast.problems.files.explicit_files import read_drn, read_prism
from qfast.problems.files.file_model import FileModel
from qfast.problems.from_matrices import absorbing, finished
from qfast.problems.naming import is_name, start_of, terminal_marks
from qfast.text import printable

__all__ = ["MODEL_SUFFIXES", "read_mdp"]

#: Suffixes of files that `read_mdp` reads, in lower case.
MODEL_SUFFIXES: Final = (".mdp", ".pomdp", ".drn", ".tra")


def read_mdp(
    path: str | os.PathLike[str],
    *,
    reward: str | None = None,
    goal: Any = None,
    terminal: Any = "absorbing",
    start: Any = None,
    max_episode_steps: int | None = None,
    name: str | None = None,
) -> MDP:
    """Read an MDP from a file; its suffix says what it is.

    - ``.MDP``, ``.POMDP``: Cassandra's format; of a POMDP the process under the observations, with the mean reward
      where one depends on what is observed.
    - ``.drn``: Storm's explicit format (MDP, DTMC, POMDP).
    - ``.tra``: PRISM's explicit transitions, also in row form and as Storm has them; beside it and called alike
      ``.sta`` (states), ``.lab`` (labels), ``.srew`` and ``.trew`` (rewards of states and transitions).
    - ``.npz``: what `MDP.save` wrote.

    Parameters
    ----------
    path : path-like
        The file.
    reward : str, optional
        Which reward model counts, if there are several.
    goal : label, state, or sequence of states, optional
        States that pay 1 more on entering, and end the episode: with a file without rewards, the value undiscounted
        is the probability of reaching them.
    terminal : "absorbing", label, state, sequence of states, or None, default "absorbing"
        States that end the episode on entering. ``"absorbing"``: those that every action leaves as they are, for no
        reward, and in which no episode begins; they are worth 0 in any case. None: only states without an action.
    start : state, dict of state to float, or array_like of float, shape (S,), optional
        Where episodes begin, in place of what the file says: the starting belief; the states labelled ``init``, equally
        likely. If it says nothing: all states that are not terminal, equally likely (Cassandra's), or state 0.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit; no format has one.
    name : str, optional
        What the problem is called; by default the file's name, and the discount if the file has one, which is no part
        of an MDP.

    Returns
    -------
    MDP
        `states` and `actions` are called as in the file; where a state has two choices of one name, actions are
        numbers.

    Raises
    ------
    BadFile
        If the file is damaged or not what its suffix says: the message names the line.
    InvalidInput
        If the suffix is unknown, a name is not in the file, there are several reward models or none and no goal; and
        as `qfast.MDP` does.
    OSError
        If the file does not exist or may not be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from qfast.problems import read_mdp
    >>> text = '''
    ... discount: 0.95
    ... values: reward
    ... states: hall out
    ... actions: wait go
    ... start: hall
    ... T: wait identity
    ... T: go : * : out 1.0
    ... R: go : hall : out 1.0
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "house.MDP")
    ...     _ = path.write_text(text)
    ...     mdp = read_mdp(path)
    >>> mdp.states, mdp.terminated[0].tolist(), mdp.name
    (('hall', 'out'), [[False], [True]], 'house.MDP (discount 0.95)')
    """
    path = path_of(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        mdp = MDP.load(path)
        return mdp if max_episode_steps is None else mdp.with_limit(max_episode_steps)
    if suffix not in MODEL_SUFFIXES:
        known = ", ".join(MODEL_SUFFIXES)
        raise InvalidInput(f"{printable(path)} has the suffix {suffix!r}; models are read from {known} and .npz files")
    if suffix in (".mdp", ".pomdp"):
        model = read_cassandra(path)
    else:
        model = (read_drn if suffix == ".drn" else read_prism)(path, reward)
    if not model.pays and goal is None:
        raise InvalidInput(
            f"{printable(path)} has no rewards; say what counts, goal=… with a label"
            f"{_listed(model)} or a state, which pays 1 on entering"
        )
    if name is None:
        name = path.name if model.discount is None else f"{path.name} (discount {model.discount:g})"
    try:
        return _problem(model, goal, terminal, start, max_episode_steps=max_episode_steps, name=title_of(name))
    except InvalidInput as error:
        raise InvalidInput(f"{printable(path)}: {error}") from error


def _listed(model: FileModel) -> str:
    return f" ({', '.join(map(repr, list(model.marked)[:6]))})" if model.marked else ""


def _problem(model: FileModel, goal: Any, terminal: Any, start: Any, **options: Any) -> MDP:
    """Make the problem of what was read."""
    n_states = model.possible.shape[0]
    index = dict(zip(range(n_states) if model.states is None else model.states, range(n_states), strict=True))
    if len(index) < n_states:
        raise BadFile("two states are called alike; export the states anew")
    goals = _marks(goal, model, index)
    outcomes = model.outcomes
    outcomes = outcomes._replace(reward=outcomes.reward + goals[outcomes.next_state])
    begins = None if start is None and model.start is None else (
        model.start if start is None else start_of(start, index, n_states)
    )  # fmt: skip
    if isinstance(terminal, str) and terminal == "absorbing" and terminal not in (*index, *model.marked):
        ends = absorbing(model.outcomes, model.possible.shape)
        if begins is not None:
            ends &= begins == 0
    else:
        ends = _marks(terminal, model, index)
    ends |= goals | ~model.possible.any(axis=1)
    if begins is None:
        begins = np.zeros(n_states)
        if model.discount is None:
            begins[0] = 1.0
        else:
            begins[~ends] = 1.0 / max(1, int((~ends).sum()))
    return finished(outcomes, model.possible, ends, start=begins, states=model.states, actions=model.actions, **options)


def _marks(given: Any, model: FileModel, index: dict[Any, int]) -> Any:
    """Mark states that are given by a label of the file, or by their names."""
    if is_name(given) and given in model.marked and given not in index:
        marks = np.zeros(len(index), dtype=np.bool_)
        marks[model.marked[given]] = True
        return marks
    try:
        return terminal_marks(given, index, len(index))
    except InvalidInput as error:
        problem = str(error).removeprefix("terminal names ")
        raise InvalidInput(f"{problem}; labels are{_listed(model) or ' none'}") from error
