/* What an HTTP response says of itself (webreply.c), for a batch of them (webbatch.c). */
#ifndef LZR_WEBREPLY_H
#define LZR_WEBREPLY_H

#include "needles.h"

struct table; /* of lzr_web_table, which a capsule holds */

const struct table *lzr_web_table_of(PyObject *capsule); /* NULL and an exception if it holds none */

/* The identity of a response that no other protocol can take; NULL of other replies, and with an exception. */
PyObject *lzr_web_identity(const struct table *table, const uint8_t *data, size_t size);

#define WEB_LABELS 2

/* The identity of a TLS record that needs no second look; NULL of other replies, and with an exception. */
PyObject *lzr_tls_identity(const struct table *table, const uint8_t *data, size_t size);

PyObject *lzr_web_label(const struct table *table, size_t number); /* of those two; borrowed */

#endif
