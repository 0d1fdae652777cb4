/* What this extension was built for, for kernels.py to compare with what Python has: see lzr/layout.py, lzr/rows.py,
 * lzr/flow/machine.py. */
#include "flow.h"
#include "native.h"

struct named {
    const char *name;
    long value;
};

#define AT(row, field) {#field, (long)offsetof(struct row, field)}

static const struct named TARGET_AT[] = {
    AT(target, line), AT(target, peer_hi), AT(target, peer_lo), AT(target, own_hi), AT(target, own_lo),
    AT(target, seq), AT(target, ack), AT(target, ticket), AT(target, peer_port), AT(target, own_port),
    AT(target, window), AT(target, syn), AT(target, ttl), {NULL, sizeof(struct target)},
};
static const struct named OUTCOME_AT[] = {
    AT(outcome, ts), AT(outcome, peer_hi), AT(outcome, peer_lo), AT(outcome, own_hi), AT(outcome, own_lo),
    AT(outcome, line), AT(outcome, ticket), AT(outcome, seq), AT(outcome, ack), AT(outcome, data_len),
    AT(outcome, peer_port), AT(outcome, own_port), AT(outcome, window), AT(outcome, ttl), AT(outcome, flags),
    AT(outcome, counter), AT(outcome, acked), AT(outcome, handshake), AT(outcome, expected), AT(outcome, reason),
    AT(outcome, firewall), AT(outcome, final), AT(outcome, record), AT(outcome, cut), {NULL, sizeof(struct outcome)},
};
static const struct named SEGMENT_AT[] = {
    AT(segment, peer_hi), AT(segment, peer_lo), AT(segment, own_hi), AT(segment, own_lo), AT(segment, ts),
    AT(segment, seq), AT(segment, ack), AT(segment, data_at), AT(segment, data_len), AT(segment, peer_port),
    AT(segment, own_port), AT(segment, window), AT(segment, ttl), AT(segment, flags),
    {NULL, sizeof(struct segment)},
};
static const struct named FRAME_AT[] = {
    AT(frame, peer_hi), AT(frame, peer_lo), AT(frame, own_hi), AT(frame, own_lo), AT(frame, nonce),
    AT(frame, seq), AT(frame, ack), AT(frame, peer_port), AT(frame, own_port), AT(frame, flags), AT(frame, probe),
    AT(frame, mss), {NULL, sizeof(struct frame)},
};
static const struct named FLOW_AT[] = {
    AT(flow, peer_hi), AT(flow, peer_lo), AT(flow, own_hi), AT(flow, own_lo), AT(flow, line), AT(flow, key),
    AT(flow, ts), AT(flow, ticket), AT(flow, una), AT(flow, nxt), AT(flow, rcv), AT(flow, seq), AT(flow, ack),
    AT(flow, generation), AT(flow, syn_ms), AT(flow, peer_port), AT(flow, own_port), AT(flow, window),
    AT(flow, ttl), AT(flow, flags), AT(flow, state), AT(flow, handshake), AT(flow, counter), AT(flow, acked),
    AT(flow, answers), AT(flow, measured), AT(flow, doubt), AT(flow, kept), {NULL, sizeof(struct flow)},
};
static const struct named INTERVAL_AT[] = {
    AT(interval, hi), AT(interval, lo), AT(interval, way), AT(interval, pad), {NULL, sizeof(struct interval)},
};
static const struct {
    const char *name;
    const struct named *fields;
} ROWS[] = {
    {"TARGET", TARGET_AT}, {"OUTCOME", OUTCOME_AT}, {"SEGMENT", SEGMENT_AT}, {"FRAME", FRAME_AT}, {"FLOW", FLOW_AT},
    {"INTERVAL", INTERVAL_AT},
};

/* lzr/layout.py NUMBERS, and the members of rows.Opening, Doubt, Expected, Reason, Number and FirstStep */
#define NUMBER(name) {#name, (long)(name)}

static const struct named NUMBERS[] = {
    {"WINDOW", OUR_WINDOW}, NUMBER(REPEATED), NUMBER(AGES), NUMBER(COOKIE_BITS), NUMBER(MSS_V4), NUMBER(MSS_V6),
    {"TTL", OUR_TTL}, NUMBER(MAX_FRAME), NUMBER(CUT), NUMBER(FRAME_SIZE), NUMBER(TX_DATA), NUMBER(VNET_HEADER),
    NUMBER(STATUS_USER), NUMBER(STATUS_CSUM_NOT_READY), NUMBER(STATUS_CSUM_VALID), NUMBER(STATUS_SEND_REQUEST),
    NUMBER(STATUS_WRONG_FORMAT), {"Opening.OURS", OPENING_OURS}, {"Opening.DOUBTFUL", OPENING_DOUBTFUL},
    {"Expected.NOTHING", AWAITED_NOTHING}, {"Expected.SYN_ACK", AWAITED_SYN_ACK}, {"Expected.ACK", AWAITED_ACK},
    {"Expected.DATA", AWAITED_DATA}, {"Reason.DATA", BY_DATA}, {"Reason.SILENT", BY_SILENCE},
    {"Reason.RST", BY_RST}, {"Reason.FIN", BY_FIN}, {"Reason.ZERO_WINDOW", BY_ZERO_WINDOW},
    {"Reason.NO_SYN_ACK", BY_NO_SYN_ACK}, {"Reason.FIREWALL", BY_FIREWALL}, {"Reason.DUPLICATE", BY_DUPLICATE},
    {"Reason.SEND_REFUSED", BY_SEND_REFUSED},
    {"Reason.BLOCKED", BY_BLOCK}, {"Reason.SA_ONLY", BY_SYN_ACK},
    {"Number.UNA", FROM_UNA}, {"Number.ISN", FROM_ISN}, {"Number.NXT", FROM_NXT}, {"Number.ACK", FROM_ACK},
    {"Number.CLOSE", FROM_CLOSE}, {"FirstStep.READY", READY}, {"FirstStep.ZERO_WINDOW", STEP_ZERO_WINDOW}, {"FirstStep.OURS", OURS},
    {"FirstStep.DUPLICATE", DUPLICATE}, {NULL, 0},
};

/* A dict of name to number; `size`: what stands behind the last, or NULL. */
static PyObject *dict_of(const struct named *from, long *size)
{
    PyObject *found = PyDict_New();
    for (; found != NULL && from->name != NULL; from++) {
        PyObject *value = PyLong_FromLong(from->value);
        if (value == NULL || PyDict_SetItemString(found, from->name, value) < 0)
            Py_CLEAR(found);
        Py_XDECREF(value);
    }
    if (size != NULL)
        *size = from->value;
    return found;
}

PyObject *lzr_numbers(void) { return dict_of(NUMBERS, NULL); }

/* {row: (size, {field: offset})} */
PyObject *lzr_rows(void)
{
    PyObject *found = PyDict_New();
    for (size_t i = 0; found != NULL && i < sizeof ROWS / sizeof *ROWS; i++) {
        long size = 0;
        PyObject *fields = dict_of(ROWS[i].fields, &size);
        PyObject *row = fields == NULL ? NULL : Py_BuildValue("(lN)", size, fields);
        if (row == NULL || PyDict_SetItemString(found, ROWS[i].name, row) < 0)
            Py_CLEAR(found);
        Py_XDECREF(row);
    }
    return found;
}
