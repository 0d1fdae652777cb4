"""Words copied from a page, with dashes, quotation marks and blanks that are none for a shell."""

from __future__ import annotations

from lzr.errors import printable

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d"
_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a"
_BLANKS = "\u00a0\u1680\u2002\u2003\u2007\u2009\u200a\u200b\u202f\u205f\u2060\u3000\ufeff"


def quoted(word: str) -> bool:
    """Whether a word begins with a quotation mark that a shell does not know."""
    return word[:1] in _QUOTES and bool(word)


def typography(word: str) -> str:
    """What is wrong with a word copied from a page that has typographic dashes, quotes or blanks."""
    if word[:1] in _DASHES and word:
        name = word.lstrip(_DASHES + "-")
        dash = "--" if word[0] != "\u2212" and len(name.partition("=")[0]) > 2 and name.islower() else "-"
        shown = dash + printable(name)
        return f"begins with a dash that is none for a shell (copied from a page?); write {shown}"
    if quoted(word):
        return "begins with a quotation mark that is none for a shell (copied from a page?); write ' or \""
    if any(blank in word for blank in _BLANKS):
        return "holds a blank that is none for a shell (copied from a page?); type it anew"
    return ""
