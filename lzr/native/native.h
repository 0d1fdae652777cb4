/* What the native kernels share: the rows of lzr/rows.py as C structures, and the functions that module.c
 * puts into the module lzr._native. Every kernel has an equal in Python; tests compare the two.
 *
 * House rules, because these functions read bytes from strangers: every pointer is checked against its end
 * before it is read, every size before it is multiplied, no recursion, nothing that depends on the locale.
 */
#ifndef LZR_NATIVE_H
#define LZR_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the rows are little-endian; this machine runs the Python versions"
#endif

/* numpy packs its records, so these are packed too and lie at any address: take members, not pointers to them. */
struct __attribute__((packed)) target {
    uint64_t line, peer_hi, peer_lo, own_hi, own_lo;
    uint32_t seq, ack, ticket;
    uint16_t peer_port, own_port, window;
    uint8_t syn, ttl;
};
_Static_assert(sizeof(struct target) == 60, "rows.TARGET");

struct __attribute__((packed)) outcome {
    uint64_t ts, peer_hi, peer_lo, own_hi, own_lo, line;
    uint32_t ticket, seq, ack, data_len;
    uint16_t peer_port, own_port, window;
    uint8_t ttl, flags, counter, acked, handshake, expected, reason, firewall, final, record;
};
_Static_assert(sizeof(struct outcome) == 80, "rows.OUTCOME");

enum { FLAG_FIN = 1, FLAG_SYN = 2, FLAG_RST = 4, FLAG_PSH = 8, FLAG_ACK = 16 };

static inline int is_v4(uint64_t hi, uint64_t lo) { return hi == 0 && lo >> 32 == 0xffff; }

/* lines.c */
PyObject *lzr_zmap_lines(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_list_lines(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* records.c */
PyObject *lzr_json_records(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_field_names(void);

#endif
