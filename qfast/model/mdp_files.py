"""An MDP as a file, and as the named arrays that a file holds."""

import os
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import path_of
from qfast.errors import BadFile, InvalidInput
from qfast.model.labels import decoded, encoded
from qfast.storage.archive import read_npz, write_npz
from qfast.text import printable

__all__ = ["LATER", "OPTIONS", "TABLES", "Saved"]

#: The fields of an MDP: those that it cannot do without, others, and those that older files and pickles know none of.
TABLES: Final = ("next_state", "reward", "terminated", "probability", "start")
OPTIONS: Final = ("max_episode_steps", "allowed", "state_names", "action_names", "layout")
LATER: Final = ("states", "actions", "name", "counts")




class Saved:
    """What an MDP offers for files; its fields are what ``__getstate__`` gives, and its constructor takes."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the MDP to one ``.npz`` file, whole or not at all, readable by NumPy alone.

        Parameters
        ----------
        path : path-like
            The file; an existing one is replaced.

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        InvalidInput, OSError
            If the folder does not exist, or the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from qfast.model.mdp import MDP
        >>> mdp = MDP([[0]], [[1.0]], terminated=[[True]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     MDP.load(mdp.save(folder + "/mdp.npz")) == mdp
        True
        """
        return write_npz(path_of(path, to_write=True), self.to_arrays(), "mdp")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an MDP that `save` wrote; it is checked like a new one.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        MDP
            Equal to the one saved.

        Raises
        ------
        BadFile
            If the file is truncated, damaged, foreign, or holds something else.
        OSError
            If it does not exist or may not be read.
        """
        path = path_of(path)
        if path.is_dir():
            raise BadFile(f"{printable(path)} is a folder, no file of an MDP; name the .npz that MDP.save wrote")
        arrays = read_npz(path, "mdp")
        try:
            return cls.from_arrays(arrays)
        except InvalidInput as error:
            raise BadFile(f"{path} does not hold a valid MDP ({error}); write it anew") from error

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything that is not None as named arrays, as files need it.

        Returns
        -------
        dict of str to ndarray
            Numbers, booleans and text; `from_arrays` makes an equal MDP from it. Labels of states and actions are
            texts of JSON.
        """
        state: dict[str, Any] = self.__getstate__()  # type: ignore[assignment]
        fields = {name: value for name, value in state.items() if value is not None}
        texts = {name: encoded(fields.pop(name)) for name in ("states", "actions") if name in fields}
        return {name: np.asarray(value) for name, value in fields.items()} | texts

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Make an MDP from what `to_arrays` gave, checked like a new one.

        Parameters
        ----------
        arrays : dict of str to ndarray

        Returns
        -------
        MDP

        Raises
        ------
        InvalidInput
            If an array is missing, unknown, or not valid.

        Examples
        --------
        >>> from qfast.model.mdp import MDP
        >>> mdp = MDP([[0]], [[1.0]], terminated=[[True]])
        >>> MDP.from_arrays(mdp.to_arrays()) == mdp
        True
        """
        missing = set(TABLES) - set(arrays)
        unknown = set(arrays) - set(TABLES + OPTIONS + LATER)
        if missing or unknown:
            msg = f"arrays of an MDP: missing {sorted(missing)}, unknown {sorted(unknown)}; use MDP.to_arrays()"
            raise InvalidInput(msg)
        texts = {
            name: arrays[name].tolist() if name in arrays else None
            for name in ("max_episode_steps", "state_names", "action_names", "layout", "name")
        }
        labels = {name: decoded(name, arrays[name]) for name in ("states", "actions") if name in arrays}
        tables = {name: arrays.get(name) for name in (*TABLES, "allowed", "counts")}
        return cls(**tables, **texts, **labels)
