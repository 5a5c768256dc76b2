"""Numbers as words that say no more than the numbers do."""

__all__ = ["p_text", "percent", "probability"]


def percent(share: float, digits: int | None = None) -> str:
    """A share in percent: ``0`` and ``100`` only where they are exact.

    Examples
    --------
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
    """A probability with four digits; below what its error (or four digits) can tell from 0, that bound.

    Examples
    --------
    >>> probability(0.41452), probability(0.0, 0.0001), probability(3e-15), probability(0.0)
    ('0.4145', '< 0.0003', '< 0.0001', '0')
    """
    # Nothing seen in n experiments: at 95 % the probability is below 3 / n.
    least = max(3 * error, 1e-4) if error > 0 else 1e-4
    if p != p:  # noqa: PLR0124
        return "-"
    if p == 0.0 and error == 0.0:
        return "0"
    return f"< {least:.1g}" if p < least and (p == 0.0 or p < 5e-5) else f"{p:.4f}"


def p_text(p: float) -> str:
    """A p-value, with its sign of relation.

    Examples
    --------
    >>> p_text(0.0312), p_text(0.0)
    ('= 0.031', '< 1e-15')
    """
    return "< 1e-15" if p < 1e-15 else f"= {p:.2g}"
