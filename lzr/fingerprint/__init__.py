"""The fingerprint: which protocol a first reply is, and what runs there.

`Classifier` asks the catalogue of protocols (`dispatch`, `precedence`, `echo`); `identify` adds what the
reply says about the program behind it (`applications`, `products`). Everything here is a pure function of the
bytes.
"""

from __future__ import annotations

from lzr.fingerprint.classifier import Classifier, identify

__all__ = ["Classifier", "identify"]
