"""Blackjack against a dealer who plays by rule, with an infinite deck: the exact table of Gymnasium's Blackjack-v1."""

from functools import cache
from typing import Any, Final

from qfast.arguments import flag
from qfast.model.mdp import MDP
from qfast.problems.from_table import Found
from qfast.problems.titles import titled

__all__ = ["blackjack"]

#: Cards and their probabilities: ace (1), 2 to 9, and ten, jack, queen and king as 10.
_DECK: Final = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}
_ENDS: Final = {-1: "lost", 0: "draw", 1: "won"}

_Hand = tuple[int, int]  # the sum, and whether an ace counts 11 in it


@titled
def blackjack(
    *, natural: bool = False, sab: bool = True, start: Any = None, max_episode_steps: int | None = None
) -> MDP:
    """Make blackjack, exactly as Gymnasium's ``Blackjack-v1`` deals it.

    A state is ``(sum, dealer's card, usable ace)``: the sum of the player's cards, 4 to 21; the card of the dealer that
    lies open, 1 (ace) to 10; and 1 if an ace counts as 11 in the sum. Where a natural (an ace and a ten dealt at once)
    is paid differently from another 21, it is a state of its own, ``("natural", dealer's card)``; Gymnasium's
    observation does not tell the two apart. Actions are stick (0) and hit (1). The dealer draws up to 17. A hit beyond
    21 loses; then the higher sum wins. The end is ``"lost"`` (-1), ``"draw"`` (0) or ``"won"`` (1, or 1.5).

    Parameters
    ----------
    natural : bool, default False
        Whether a natural that wins pays 1.5 (as in casinos).
    sab : bool, default True
        The rules of Sutton & Barto: a natural wins against every dealer without one, for 1. `natural` then does not
        count. True is what Gymnasium registers, False the default of its class.
    start : state, dict of state to float, or array_like of float, shape (n_states,), optional
        Where episodes begin; by default as two cards of the player and one of the dealer fall.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit; none is longer than 18 steps.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 5.1; Gymnasium, ``envs/toy_text/blackjack.py``. The optimal policy is that
    of their Figure 5.2: without a usable ace stick from 12 on against 4 to 6, from 13 against 2 and 3, from 17 else;
    with one from 18 on against 2 to 8, from 19 else. It loses 0.0431 a game on average, undiscounted.

    Examples
    --------
    >>> from qfast.problems import blackjack
    >>> mdp = blackjack()
    >>> mdp.n_states, mdp.action_names, mdp.states[0]
    (293, ('stick', 'hit'), (4, 1, 0))
    """
    natural, sab = flag("natural", natural), flag("sab", sab)
    hands: list[_Hand | None] = [(total, ace) for ace in (0, 1) for total in range(12 if ace else 4, 22)]
    if natural or sab:
        hands.append(None)
    table = [(hand, card) for hand in hands for card in _DECK]
    found = Found([_state(hand, card) for hand, card in table] + list(_ENDS.values()), (0, 1))
    for hand, card in table:
        found.add(_state(hand, card), 0, _stick(hand, card, natural=natural, sab=sab))
        found.add(_state(hand, card), 1, _hit(hand or (21, 1), card))
    dealt: dict[Any, float] = {}
    for first, p in _DECK.items():
        for second, q in _DECK.items():
            hand = _with_card(_with_card((0, 0), first), second)
            for card, r in _DECK.items():
                state = _state(None if hand == (21, 1) and hands[-1] is None else hand, card)
                dealt[state] = dealt.get(state, 0.0) + p * q * r
    return found.mdp(
        None, dealt if start is None else start, max_episode_steps=max_episode_steps,
        action_names=("stick", "hit"),
    )  # fmt: skip


def _state(hand: _Hand | None, card: int) -> tuple[Any, ...]:
    return ("natural", card) if hand is None else (hand[0], card, hand[1])


def _with_card(hand: _Hand, card: int) -> _Hand:
    """Add a card: an ace counts 11 as long as the sum stays within 21."""
    total, ace = hand[0] + card, hand[1]
    if card == 1 and not ace and total + 10 <= 21:
        return total + 10, 1
    return (total - 10, 0) if ace and total > 21 else (total, ace)


def _hit(hand: _Hand, card: int) -> list[tuple[float, Any, float, bool]]:
    rows: list[tuple[float, Any, float, bool]] = []
    for drawn, share in _DECK.items():
        after = _with_card(hand, drawn)
        bust = after[0] > 21
        rows.append((share, _ENDS[-1] if bust else _state(after, card), -1.0 if bust else 0.0, bust))
    return rows


def _stick(hand: _Hand | None, card: int, *, natural: bool, sab: bool) -> list[tuple[float, Any, float, bool]]:
    total = 21 if hand is None else hand[0]
    shares = dict.fromkeys(_ENDS, 0.0)
    for (score, two_cards), share in _dealer((card, 0) if card > 1 else (11, 1), 1).items():
        better = (total > score) - (total < score)
        if hand is None and sab and not (score == 21 and two_cards):
            better = 1
        shares[better] += share
    wins = 1.5 if hand is None and natural and not sab else 1.0
    return [(share, _ENDS[end], end * (wins if end > 0 else 1.0), True) for end, share in shares.items() if share > 0]


@cache
def _dealer(hand: _Hand, n_cards: int) -> dict[tuple[int, bool], float]:
    """Give the probabilities of the dealer's final sum (0 if beyond 21), and whether it is that of two cards."""
    if hand[0] >= 17:
        return {(hand[0] if hand[0] <= 21 else 0, n_cards == 2): 1.0}
    result: dict[tuple[int, bool], float] = {}
    for card, share in _DECK.items():
        for final, p in _dealer(_with_card(hand, card), n_cards + 1).items():
            result[final] = result.get(final, 0.0) + share * p
    return result
