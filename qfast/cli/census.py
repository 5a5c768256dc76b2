"""A census on the screen and as JSON."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qfast.cli.output import prints_unicode
from qfast.cli.population import problem_json
from qfast.cli.screen import Block, Facts, Line, Table
from qfast.text import percent

if TYPE_CHECKING:
    from qfast.truth import Census

__all__ = ["census_json", "census_page"]

# A page is meant for a terminal of 24 lines and 80 columns; --json has all policies.
_ROWS: Final = 8
_MAPS: Final = 4
_COLUMNS: Final = 78


def census_page(census: "Census") -> list[Block]:
    """Lay out a census: the sentence, the most frequent policies, and their maps where there is a layout.

    Parameters
    ----------
    census : Census

    Returns
    -------
    list of Block
    """
    limit = census.limit
    best = f"gamma {census.gamma:g}: the best value is {census.best_value:.6g}"
    ends = "without an episode limit" if limit is None else f"within {limit:,} steps"
    within = [("an episode", f"return and probability of success {ends}")]
    blocks: list[Block] = [
        Line(f"{census.mdp.name}: {census.sentence()}" if census.mdp.name else census.sentence(), strong=True),
        Facts(
            [
                ("judged by", best),
                *within,
                ("marked", "the values of optimal policies"),
            ]
        ),
    ]
    shown = min(_ROWS, len(census))
    rows = []
    for i in range(shown):
        numbers = (f"{census.value[i]:.6g}", census.regret_text(i), f"{census.expected_return[i]:.4g}")
        cells = (f"{census.agents[i]:,}", percent(int(census.agents[i]), census.n_agents), *numbers)
        rows.append((str(i), [*cells, census.success_text(i), f"{census.example[i]}"]))
    columns = ("agents", "share", "value", "regret", "return", "success", "example")
    # The value of an optimal policy stands out.
    strong = frozenset((int(i), columns.index("value")) for i in np.flatnonzero(census.is_optimal[:shown]))
    blocks.append(Table("policy", columns, rows, strong))
    if shown < len(census):
        others = int(census.agents[shown:].sum())
        blocks.append(Line(f"and {len(census) - shown:,} more with {others:,} agents (--json has them all)"))
    if census.mdp.layout is not None:
        from qfast.problems.policy_map import side_by_side

        plain = not prints_unicode()
        maps = [(f"policy {i}", census.arrows(i, ascii_only=plain)) for i in range(min(_MAPS, shown))]
        blocks.append(Line(side_by_side(maps, _COLUMNS)))
    elif shown:
        names = [(f"policy {i}", census.in_names(i, _COLUMNS - 14)) for i in range(min(_MAPS, shown))]
        blocks.append(Facts(names))
    return blocks


def census_json(census: "Census") -> dict[str, Any]:
    """Give a census with all its policies.

    Parameters
    ----------
    census : Census

    Returns
    -------
    dict
        Ready for `qfast.cli.output.write_json`; actions are lists of numbers, empty in states that are not met.
    """
    numbers = ("agents", "share", "value", "regret", "is_optimal", "expected_return", "success", "example")
    return {
        "problem": problem_json(census.mdp),
        "n_agents": census.n_agents,
        "n_policies": len(census),
        "share_optimal": census.share_optimal,
        "gamma": census.gamma,
        "best_value": census.best_value,
        "max_episode_steps": census.limit,
        "policies": [
            {
                **{name: getattr(census, name)[i] for name in numbers},
                "actions": [np.flatnonzero(row) for row in census.actions(i)],
            }
            for i in range(len(census))
        ],
    }
