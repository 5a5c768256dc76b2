"""Numbers as words that say no more than the numbers do."""

import math

__all__ = ["p_text", "percent", "probability", "seeds_text"]


def percent(share: float, digits: int | None = None) -> str:
    """A share in percent: ``0`` and ``100`` only where they are exact.

    >>> percent(0.25), percent(0.99999), percent(0.00002), percent(1.0), percent(0.0312)
    ('25 %', '> 99.9 %', '< 0.1 %', '100 %', '3.1 %')
    """
    if digits is None:
        digits = 0 if share in (0.0, 1.0) or 0.0995 <= share <= 0.9005 else 1
    least = 10.0**-digits
    if 0 < 100 * share < least / 2:
        return f"< {least:g} %"
    if 0 < 100 * (1 - share) < least / 2:
        return f"> {100 - least:g} %"
    return f"{100 * share:.{digits}f} %"


def probability(p: float, error: float = 0.0) -> str:
    """A probability with four digits; as a bound where its error (1 / n: nothing seen in n) cannot tell it from 0 or 1.

    >>> probability(0.41452), probability(0.0, 0.0001), probability(3e-15), probability(0.0), probability(1 - 1e-9)
    ('0.4145', '< 0.0003', '< 0.0001', '0', '> 0.9999')
    """
    if math.isnan(p):
        return "-"
    if p in (0.0, 1.0) and not error > 0:
        return f"{p:.0f}"
    # Nothing seen in n experiments: at 95 % the probability is below 3 / n.
    least = max(3 * error, 1e-4) if p in (0.0, 1.0) else 1e-4
    if min(p, 1 - p) >= least / 2:
        return f"{p:.4f}"
    return f"< {least:.1g}" if p < 0.5 else f"> {1 - least:.5g}"


def p_text(p: float) -> str:
    """A p-value, with its sign of relation: ``= 0.031``, ``< 1e-15``."""
    return "< 1e-15" if p < 1e-15 else f"= {p:.2g}"


def seeds_text(*, paired: bool) -> str:
    """What the seeds of an experiment are."""
    return "shared random numbers" if paired else "independent seeds"
