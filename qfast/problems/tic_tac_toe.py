"""Tic-tac-toe against an opponent that does not learn."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from qfast.arguments import flag, is_whole, number
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.from_step import from_step
from qfast.problems.titles import titled

__all__ = ["tic_tac_toe"]

_LINES: Final = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
_FREE: Final = "."
_EMPTY: Final = _FREE * 9


@titled
def tic_tac_toe(
    opponent: str | Callable[[str], int | Mapping[int, float]] = "random",
    *,
    first: bool = True,
    win: float = 1.0,
    draw: float = 0.0,
    loss: float = -1.0,
) -> MDP:
    """Make tic-tac-toe against a fixed opponent.

    A state is the board when the agent is to move: nine characters in reading order, ``X`` for who moves first, ``O``,
    and ``.`` for a free cell. An action is a cell, 0 to 8, allowed where it is free. A step is a move of the agent and
    the opponent's answer; the episode ends with the game, which pays `win`, `draw` or `loss`.

    Parameters
    ----------
    opponent : {"random", "perfect"} or callable, default "random"
        ``"random"`` takes any free cell, equally likely; ``"perfect"`` any of the moves that are best against a perfect
        agent. A function gets the board and gives a cell, or a dict from cells to probabilities.
    first : bool, default True
        Whether the agent moves first.
    win, draw, loss : float, default 1, 0 and -1
        Rewards at the end.

    Notes
    -----
    The game has 5,478 positions, of which 958 are ends, and a draw is the most against perfect play (Sutton & Barto,
    2018, section 1.5, play it). Against ``"random"``, who moves first wins with probability 191/192 at best and never
    loses.

    Examples
    --------
    >>> from qfast.problems import tic_tac_toe
    >>> mdp = tic_tac_toe("perfect")
    >>> mdp.states[0], int(mdp.allowed[0].sum()), mdp.max_episode_steps
    ('.........', 9, None)
    """
    mine, theirs = "XO" if flag("first", first) else "OX"
    rewards = {mine: number("win", win), _FREE: number("draw", draw), theirs: number("loss", loss)}
    answer = _answers(opponent, theirs, mine)

    def step(board: str, cell: int) -> list[tuple[float, str, float, bool]]:
        after = _put(board, cell, mine)
        ended = _result(after)
        if ended is not None:
            return [(1.0, after, rewards[ended], True)]
        outcomes = []
        for answered, share in answer(after).items():
            board = _put(after, answered, theirs)
            ended = _result(board)
            outcomes.append((share, board, 0.0 if ended is None else rewards[ended], ended is not None))
        return outcomes

    start: Any = _EMPTY
    if not first:
        start = {_put(_EMPTY, cell, theirs): share for cell, share in answer(_EMPTY).items()}
    return from_step(step, start, _free, progress=False)


def _free(board: str) -> list[int]:
    return [cell for cell in range(9) if board[cell] == _FREE] if _result(board) is None else []


def _put(board: str, cell: int, mark: str) -> str:
    return f"{board[:cell]}{mark}{board[cell + 1 :]}"


@cache
def _result(board: str) -> str | None:
    """Give the mark of the winner, the free one for a draw, or None where the game goes on."""
    for a, b, c in _LINES:
        if board[a] == board[b] == board[c] != _FREE:
            return board[a]
    return None if _FREE in board else _FREE


@cache
def _worth(board: str, mover: str, other: str) -> int:
    """Give the value of a position for who is to move, by minimax: 1, 0 or -1."""
    ended = _result(board)
    if ended is not None:
        return {mover: 1, other: -1}.get(ended, 0)
    return max(-_worth(_put(board, cell, mover), other, mover) for cell in _free(board))


def _answers(opponent: Any, theirs: str, mine: str) -> Callable[[str], Mapping[int, float]]:
    """Give a function from boards to the opponent's cells and their probabilities."""

    def random(board: str) -> Mapping[int, float]:
        cells = _free(board)
        return dict.fromkeys(cells, 1.0 / len(cells))

    def perfect(board: str) -> Mapping[int, float]:
        worth = {cell: -_worth(_put(board, cell, theirs), mine, theirs) for cell in _free(board)}
        best = [cell for cell, value in worth.items() if value == max(worth.values())]
        return dict.fromkeys(best, 1.0 / len(best))

    def own(board: str) -> Mapping[int, float]:
        given = opponent(board)
        shares: Mapping[int, float] = given if isinstance(given, Mapping) else {given: 1.0}
        for cell in shares:
            if not is_whole(cell) or cell not in _free(board):
                raise InvalidInput(
                    f"the opponent answered {cell!r:.60} to {board}; give one of the free cells {_free(board)}"
                )
        return shares

    if callable(opponent):
        return own
    if opponent not in ("random", "perfect"):
        raise InvalidInput(f"opponent={opponent!r:.60} is unknown; use 'random', 'perfect' or a function of the board")
    return random if opponent == "random" else perfect
