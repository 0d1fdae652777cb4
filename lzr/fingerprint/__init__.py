"""The fingerprint: which protocol a first reply is, and what runs there.

`classifier` asks the catalogue of protocols (`dispatch`, `precedence`, `echo`), and adds what the reply says
about the program behind it (`applications`, `products`). Everything here is a pure function of the bytes.
"""
