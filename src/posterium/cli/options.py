"""Numbers in options, each with its allowed range."""

from posterium.tables.errors import UserError, quote

MAX_DRAWS = 2**15
"""Draws times classes at most: a tile of 256 rows then keeps within the limit of `predict`."""
MAX_SEED = 2**64 - 1
LEAST, MOST = 1e-12, 1e12
"""The range of prior precisions and noise sds."""


def seed(text: str) -> int:
    """Return a seed, or refuse it."""
    return whole("--seed", text, 0, MAX_SEED)


def draws(text: str | None) -> int | None:
    """Return a number of draws, None for the method's own, or refuse it."""
    return None if text is None else whole("--draws", text, 1, MAX_DRAWS)


def check_draws(number: int | None, classes: int) -> None:
    """Refuse more draws than predictions of so many classes (0: of numbers) can hold."""
    limit = MAX_DRAWS // max(1, classes)
    if number is not None and number > limit:
        raise UserError(
            f"--draws {number} is too many for {classes} classes.", f"Give at most {limit}."
        )


def whole(option: str, text: str, low: int, high: int) -> int:
    """Return a whole number from low to high."""
    digits = text.strip().lstrip("0") or text.strip()[:1]
    if not digits.isascii() or not digits.isdigit() or not low <= int(digits[:30]) <= high:
        raise UserError(
            f"{option} takes a whole number; {quote(text)} found.",
            f"Give one from {low} to {high}.",
        )
    return int(digits)


def fraction(text: str) -> float:
    """Return the share of rows to hold out, from 0 to below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise UserError(
            f"--test-fraction takes a share of the rows; {quote(text)} found.",
            "Give a number from 0 (hold out none) to below 1.",
        )
    return value


def level(text: str) -> float:
    """Return the probability of an interval, between 0 and 1."""
    value = _number(text)
    if not 0 < value < 1:
        raise UserError(
            f"--level takes a probability; {quote(text)} found.",
            "Give a number between 0 and 1, 0.9 say.",
        )
    return value


def positive(option: str, text: str | None) -> float | None:
    """Return a number above 0, None where it was not given."""
    if text is None:
        return None
    value = _number(text)
    if not LEAST <= value <= MOST:
        raise UserError(
            f"{option} takes a number above 0; {quote(text)} found.",
            f"Give one from {LEAST:g} to {MOST:g}.",
        )
    return value


def one_of(option: str, text: str | None, known: tuple[str, ...]) -> str | None:
    """Return a word of those known, None where it was not given."""
    if text is not None and text not in known:
        raise UserError(
            f"{option} takes {' or '.join(known)}; {quote(text)} found.", "Choose one of them."
        )
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
