/* What a line says with which a server greets (greetline.c), for a batch of them (webbatch.c). */
#ifndef LZR_GREETLINE_H
#define LZR_GREETLINE_H

#include "needles.h"

#define GREETING_LABELS 5

struct greetings; /* of lzr_greeting_table, which a capsule holds */

const struct greetings *lzr_greetings_of(PyObject *capsule); /* NULL and an exception if it holds none */

/* The identity of a greeting whose label and program are beyond doubt, and the label's number; NULL of other replies, and
 * with an exception. */
PyObject *lzr_greeting_identity(const struct greetings *table, const uint8_t *data, size_t size, size_t *number);

PyObject *lzr_greeting_label(const struct greetings *table, size_t number); /* borrowed */

#endif
