"""One configuration of a study, trained again with fresh agents."""

import json
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from numpy.random import SeedSequence

from qfast.errors import InvalidInput
from qfast.model.seeding import seed_from_json
from qfast.model.settings import DEFAULTS, meaningful
from qfast.studies.design import PROBLEM
from qfast.studies.job import prepare
from qfast.studies.metrics import BUILT_IN
from qfast.studies.settings import decode
from qfast.training_checks import check_count, check_options

if TYPE_CHECKING:
    from qfast.studies.result import Study

__all__ = ["problem_of", "rerun", "seed_of", "settings_of"]


def settings_of(study: "Study", number: int) -> dict[str, Any]:
    """The settings of a configuration, as `qfast.train` takes them."""
    attributes = study.dataset.attrs
    fixed = {name: decode(value) for name, value in json.loads(attributes["settings"]).items()}
    own: dict[str, Any] = json.loads(attributes["configurations"])[number]
    return meaningful(DEFAULTS | fixed | {name: decode(value) for name, value in own.items()})


def problem_of(study: "Study", number: int) -> str:
    """The name of a configuration's problem."""
    if PROBLEM in study.varied:
        return str(study.dataset[PROBLEM].to_numpy()[number])
    names = list(json.loads(study.dataset.attrs["problems"]))
    return str(names[0])


def seed_of(study: "Study", number: int) -> SeedSequence:
    """The seed of a configuration's agents: that of its problem."""
    return seed_from_json(json.loads(study.dataset.attrs["problem_seeds"])[problem_of(study, number)])


def rerun(
    study: "Study",
    configuration: Any,
    n_agents: int | None,
    seed: Any,
    *,
    threads: int | None,
    executor: Executor | None,
    progress: Any,
) -> "Study":
    """Train a configuration again; see `qfast.Study.rerun`."""
    number = study.find(configuration)
    name = problem_of(study, number)
    if name not in study.problems:
        msg = f"the study does not hold the problem {name!r}; run it again with qfast.study"
        raise InvalidInput(msg)
    count = study.n_agents if n_agents is None else n_agents
    check_count("n_agents", count)
    check_options(threads, executor, None)
    first = 0
    if seed is None:
        seed = seed_of(study, number)
        first = int(study.dataset["first_agent"].max()) + study.n_agents
    settings = settings_of(study, number)
    varied = {key: [settings[key]] for key in study.varied if key != PROBLEM}
    known = {metric.name: metric for metric in study.functions} | BUILT_IN
    job = prepare(
        {name: study.problems[name]}, varied, settings, n_agents=count, episodes=study.episodes, seed=seed,
        first_agent=first, paired=True, metrics=[known[key] for key in study.metrics if key in known],
        checkpoints=study.dataset["checkpoint"].to_numpy().tolist() if "checkpoint" in study.dataset else None,
        curves=study.n_quantile_episodes or False, precision=None, out=None, executor=executor,
    )  # fmt: skip
    return job.run(threads=threads, executor=executor, progress=progress)
