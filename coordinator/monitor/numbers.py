"""Numbers as people read them: short, of steady width, with their unit."""

from __future__ import annotations


def count(number: float) -> str:
    """12,345; of a rate below ten as much as it takes to tell it from none: 0.5"""
    return _fraction(number) or f"{number:,.0f}"


def many(number: int, one: str) -> str:
    """12 packets, 1 packet. one: the word for one of them."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _fraction(number: float) -> str:
    """A small number that is not whole, in five characters at most: 2.5, 0.03, 1e-05; else empty."""
    if number == int(number) or abs(number) >= 9.95:
        return ""
    if abs(number) >= 0.095:
        return f"{number:.1f}"
    return f"{number:.1g}" if abs(number) >= 0.00095 else f"{number:.0e}"


def short(number: float) -> str:
    """At most five characters: 999, 1.23K, 45.6M, 0.5."""
    for unit in ("", "K", "M", "G", "T"):
        if abs(number) < 999.5 or unit == "T":
            break
        number /= 1000
    if not unit:
        return _fraction(number) or f"{number:.0f}"
    return f"{number:.{2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0}f}{unit}"


def fit(number: float, width: int) -> str:
    """With thousands where there is room, else short."""
    text = count(number)
    return text if len(text) <= width else short(number)


def bits(number: float) -> str:
    """12.3 Mb/s"""
    text = short(number)
    return f"{text[:-1]} {text[-1]}b/s" if text[-1].isalpha() else f"{text} b/s"


def percent(share: float, digits: int = 0) -> str:
    """Never rounds something to nothing, nor nearly all to all."""
    text = f"{share * 100:.{digits}f}"
    if share > 0 and float(text) == 0:
        return "<" + f"{10**-digits:.{digits}f}" + "%"
    if share < 1 and float(text) == 100:
        return ">99%" if not digits else ">99." + "9" * digits + "%"
    return text + "%"


def clock(seconds: float | None) -> str:
    """0:05, 1:02:03, 3d 04:05; a dash when not known."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def left(seconds: float | None) -> str:
    """Time to go, rounded to what is known of it: 8 s, 12 min, 3.4 h, 2.1 days."""
    if seconds is None:
        return "-"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"
