"""A study's scores in the layouts of other libraries."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qfast.studies.design import PROBLEM
from qfast.studies.select import StudyData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Layouts"]


class Tabular(StudyData, Protocol):
    """A study that can be laid out."""

    @property
    def varied(self) -> list[str]: ...

    @property
    def episodes(self) -> int: ...

    def to_dataframe(self) -> "pd.DataFrame": ...


class Layouts:
    """Scores as tables: methods of `qfast.Study`."""

    def to_dataframe(self: Tabular) -> "pd.DataFrame":
        """Give the metrics as a tidy table: a row for each agent that was run, a column for each metric.

        Returns
        -------
        pandas.DataFrame
            Columns ``configuration``, ``label``, what varies, ``agent``, and the metrics.

        Examples
        --------
        >>> import qfast
        >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> study.to_dataframe().groupby("alpha")["auc"].count().tolist()
        [64, 64]
        """
        import pandas as pd

        run = self.dataset["agents_run"].to_numpy()
        numbers = np.repeat(np.arange(self.dataset.sizes["configuration"]), run)
        agents = np.concatenate([np.arange(n) for n in run])
        columns: dict[str, Any] = {"configuration": numbers}
        for name in ("label", *self.varied):
            columns[name] = self.dataset[name].to_numpy()[numbers]
        columns["agent"] = agents + self.dataset["first_agent"].to_numpy()[numbers]
        for name in self.metrics:
            values = self.dataset[name].to_numpy()[numbers, agents]
            columns[name] = values == 1.0 if self.dataset[name].attrs.get("is_bool") else values
        return pd.DataFrame(columns)

    def to_rliable(self: Tabular, metric: str = "auc") -> dict[str, NDArray[np.float64]]:
        """Give a metric in the layout of rliable: for each algorithm a matrix (runs, tasks).

        The algorithms are the configurations, by label; where there are several problems, those are the tasks.

        Parameters
        ----------
        metric : str, default "auc"
            One of `metrics`.

        Returns
        -------
        dict of str to ndarray of float64, shape (n_agents, n_tasks)
            The first agents only, as many as were run everywhere; infinite and undefined scores (NaN) are handed on
            as they are.

        Examples
        --------
        >>> import qfast
        >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> {label: scores.shape for label, scores in study.to_rliable().items()}
        {'alpha=0.1': (64, 1), 'alpha=0.5': (64, 1)}
        """
        n = int(self.dataset["agents_run"].min())
        scores = self.scores(metric)[:, :n]
        columns: dict[str, list[NDArray[np.float64]]] = {}
        for number, label in enumerate(self.labels):
            name = label.partition(", ")[2] if PROBLEM in self.varied else label
            columns.setdefault(name or metric, []).append(scores[number])
        return {name: np.stack(tasks, axis=1) for name, tasks in columns.items()}

    def to_rl_evaluation(self: Tabular) -> "pd.DataFrame":
        """Give the metrics in the layout of rl-evaluation (rlai-lab): a row for each run.

        ``polars.from_pandas`` of it, with ``data_definition(hyper_cols=study.varied, seed_col="seed",
        time_col="frame")``, is what its functions take; each metric is a metric.

        Returns
        -------
        pandas.DataFrame
            Columns: what varies, ``seed`` (the agent's number), ``frame`` (the episodes, the same in all rows: an
            metric is one number of a whole run), and the metrics as numbers.

        Examples
        --------
        >>> import qfast
        >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> study.to_rl_evaluation().columns[:4].tolist(), len(study.to_rl_evaluation())
        (['alpha', 'seed', 'frame', 'auc'], 128)
        """
        frame = self.to_dataframe().drop(columns=["configuration", "label"]).rename(columns={"agent": "seed"})
        frame.insert(len(self.varied) + 1, "frame", self.episodes)
        return frame.astype(dict.fromkeys(self.metrics, np.float64))
