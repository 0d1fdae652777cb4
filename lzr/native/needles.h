/* Short strings that are looked for in replies (needles.c), and tables of them (webreply.c). */
#ifndef LZR_NEEDLES_H
#define LZR_NEEDLES_H

#include "native.h"

#define NOWHERE SIZE_MAX
#define LONGEST_NEEDLE 512

struct needle {
    const uint8_t *text;
    size_t size, one, two; /* two of its bytes by which it is looked for */
};

int lzr_needle(PyObject *object, struct needle *needle); /* 0 and an exception if it is none */

/* Those of a tuple, for PyMem_Free; NULL and an exception if it is no tuple of needles. */
struct needle *lzr_needles(PyObject *tuple, size_t *count);

/* Whether it is a tuple of this size, of any where that is negative; 0 and an exception if not. */
int lzr_is_tuple(PyObject *object, Py_ssize_t size);

/* Where a tag of this name (small letters, two at least) first begins, or NOWHERE. */
size_t lzr_find_tag(const uint8_t *data, size_t size, const uint8_t *name, size_t length);

/* Where the needle first stands in the `size` bytes of data, or NOWHERE. */
size_t lzr_find(const uint8_t *data, size_t size, const struct needle *needle);

#endif
