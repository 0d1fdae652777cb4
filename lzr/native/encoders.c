/* Outcomes into JSON lines; the same bytes as encoders.JsonEncoder makes in Python.
 *
 * The output is ASCII whatever the peer sent: a payload byte stands as the code point of the same value,
 * and everything outside printable ASCII, the quote and the backslash is escaped (RFC 8259 §7).
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>

enum {
    SADDR, DADDR, SPORT, DPORT, SEQNUM, ACKNUM, WINDOW, TTL, COUNTER, ACK, ACKED, SYN, RST, FIN, PUSH,
    HANDSHAKE_NUM, FINGERPRINT, TIMESTAMP, EXPECTED, DATA, FIREWALL, APPLICATION, PRODUCT, VERSION, TRUNCATED,
    HANDSHAKE, REASON, SA_ONLY, DEVICE, HARDWARE, OS, CPE, SUBJECT, FIELD_COUNT
};

/* The encoder is told which fields to write by their place here. */
#define NAME_ROOM 16
static const char FIELD_NAMES[FIELD_COUNT][NAME_ROOM] = {
    "saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window", "ttl", "Counter", "ACK", "ACKed", "SYN",
    "RST", "FIN", "PUSH", "HandshakeNum", "fingerprint", "Timestamp", "expectedRToLZR", "data",
    "ackingFirewall", "application", "product", "version", "truncated", "handshake", "reason",
    "sa_only", "device", "hardware", "os", "cpe", "subject",
};

static const uint8_t NAME_SIZES[FIELD_COUNT] = {5, 5, 5, 5, 6, 6, 6, 3, 7, 3, 5, 3, 3,
                                                3, 4, 12, 11, 9, 14, 4, 14, 11, 7, 7, 9, 9, 6,
                                                7, 6, 8, 2, 3, 7};

static const char *const EXPECTED_NAMES[] = {"", "sa", "ack", "data"};
static const char *const REASON_NAMES[] = {"data",        "silent",     "rst",             "fin",
                                           "zero_window", "no_syn_ack", "acking_firewall", "duplicate",
                                           "send_refused", "blocked", "sa_only"};
#define BY_SYN_ACK (sizeof REASON_NAMES / sizeof *REASON_NAMES - 1) /* sa_only, as in flow.h */

#define TYPICAL 256       /* a record without its payload, to begin with */
#define LONGEST_FIXED 128 /* one field without a string from outside: name, punctuation, value */

struct text {
    char *at;
    size_t size, room;
};

static int reserve(struct text *out, size_t more)
{
    if (out->room - out->size >= more)
        return 1;
    if (more > PY_SSIZE_T_MAX / 4 - out->size) {
        PyErr_NoMemory();
        return 0;
    }
    size_t room = (out->size + more) * 2;
    char *at = realloc(out->at, room);
    if (at == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    out->at = at;
    out->room = room;
    return 1;
}

/* The put functions write into room that was reserved, some of them a few bytes beyond what they put. */
static void put(struct text *out, const char *text, size_t size)
{
    memcpy(out->at + out->size, text, size);
    out->size += size;
}

#define PUT(out, literal) put(out, literal, sizeof literal - 1)

static void put_name(struct text *out, const char *text) { put(out, text, strlen(text)); }

static void put_number(struct text *out, uint64_t value)
{
    char digits[40]; /* 20 is the most; all 20 bytes behind the first are copied */
    size_t at = 20;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    memcpy(out->at + out->size, digits + at, 20);
    out->size += 20 - at;
}

/* Exactly `size` digits. */
static void put_digits(struct text *out, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0; value /= 10)
        out->at[out->size + i] = (char)('0' + value % 10);
    out->size += size;
}

static const char HEX[] = "0123456789abcdef";

static void put_v6(struct text *out, uint64_t hi, uint64_t lo, int expanded)
{
    unsigned group[8];
    for (int i = 0; i < 4; i++) {
        group[i] = (unsigned)(hi >> (48 - 16 * i)) & 0xffff;
        group[4 + i] = (unsigned)(lo >> (48 - 16 * i)) & 0xffff;
    }
    int best = -1, longest = 1; /* RFC 5952 §4.2: the first longest run of at least two zero groups */
    for (int i = 0; i < 8 && !expanded; i++) {
        int run = 0;
        while (i + run < 8 && group[i + run] == 0)
            run++;
        if (run > longest) {
            longest = run;
            best = i;
        }
        i += run;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            PUT(out, "::");
            i += longest - 1;
            continue;
        }
        if (i && i != best + (best < 0 ? 0 : longest))
            PUT(out, ":");
        for (int shift = 12, started = expanded; shift >= 0; shift -= 4) {
            unsigned digit = group[i] >> shift & 15;
            started |= digit != 0 || shift == 0;
            if (started)
                out->at[out->size++] = HEX[digit];
        }
    }
}

static void put_address(struct text *out, uint64_t hi, uint64_t lo, int expanded)
{
    if (!is_v4(hi, lo)) {
        put_v6(out, hi, lo, expanded);
        return;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        put_number(out, lo >> shift & 255);
        if (shift)
            PUT(out, ".");
    }
}

static char *escape_unit(char *to, unsigned unit)
{
    static const char SHORT[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b',
                                    ['\f'] = 'f', ['\n'] = 'n',  ['\r'] = 'r', ['\t'] = 't'};
    *to++ = '\\';
    if (unit < 256 && SHORT[unit]) {
        *to++ = SHORT[unit];
        return to;
    }
    *to++ = 'u';
    *to++ = HEX[unit >> 12 & 15];
    *to++ = HEX[unit >> 8 & 15];
    *to++ = HEX[unit >> 4 & 15];
    *to++ = HEX[unit & 15];
    return to;
}

static inline int plain(unsigned unit) { return unit >= 0x20 && unit < 0x7f && unit != '"' && unit != '\\'; }

/* How many of eight bytes, from the first on, are plain. What is subtracted and added below carries from a byte only to
 * those behind it, so the first that is not plain is told exactly. */
static inline unsigned plain_of(uint64_t eight)
{
    const uint64_t ones = ~(uint64_t)0 / 255, high = ones * 128;
    uint64_t quote = eight ^ ones * '"', slash = eight ^ ones * '\\';
    uint64_t strange = (eight - ones * 0x20) | (eight + ones) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
    strange = (strange | eight) & high;
    return strange == 0 ? 8 : (unsigned)__builtin_ctzll(strange) / 8;
}

static int put_bytes(struct text *out, const uint8_t *p, size_t size)
{
    if (size > PY_SSIZE_T_MAX / 32 || !reserve(out, 6 * size + LONGEST_FIXED)) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        return 0;
    }
    char *to = out->at + out->size;
    const uint8_t *end = p + size;
    while (end - p >= 8) {
        uint64_t eight;
        memcpy(&eight, p, 8);
        memcpy(to, &eight, 8); /* there is room: LONGEST_FIXED more than the text can take */
        unsigned good = plain_of(eight);
        p += good;
        to += good;
        if (good < 8)
            to = escape_unit(to, *p++);
    }
    for (; p < end; p++) {
        if (plain(*p))
            *to++ = (char)*p;
        else
            to = escape_unit(to, *p);
    }
    out->size = (size_t)(to - out->at);
    return 1;
}

static int put_unicode(struct text *out, PyObject *string)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(string);
    if (size > PY_SSIZE_T_MAX / 32 || !reserve(out, 12 * (size_t)size + LONGEST_FIXED)) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        return 0;
    }
    int kind = PyUnicode_KIND(string);
    const void *units = PyUnicode_DATA(string);
    char *to = out->at + out->size;
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_UCS4 unit = PyUnicode_READ(kind, units, i);
        if (unit >= 0xd800 && unit < 0xe000)
            unit = 0xfffd; /* half of a pair is not text */
        if (plain(unit)) {
            *to++ = (char)unit;
        } else if (unit < 0x10000) {
            to = escape_unit(to, unit);
        } else {
            to = escape_unit(to, 0xd800 + ((unit - 0x10000) >> 10));
            to = escape_unit(to, 0xdc00 + (unit & 0x3ff));
        }
    }
    out->size = (size_t)(to - out->at);
    return 1;
}

struct job {
    struct text out;
    const uint8_t *fields;
    Py_ssize_t field_count;
    PyObject *handshakes; /* tuple */
    PyObject *attributes[5]; /* names of Identity's attributes */
    int expanded;
    uint64_t second;  /* that `time` stands for */
    char time[64];    /* as far as the second */
    size_t time_size; /* 0: nothing yet */
};

/* RFC 3339, UTC, nine digits of a second. Days to a date in the proleptic Gregorian calendar, counted in eras
 * of 400 years from 1 March of year 0, so that the leap day is the last of its year. */
static void put_second(struct text *out, uint64_t seconds)
{
    uint64_t days = seconds / 86400 + 719468, rest = seconds % 86400;
    uint64_t era = days / 146097, day = days % 146097;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    uint64_t month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    year += era * 400 + (month >= 10);
    put_digits(out, year, 4);
    PUT(out, "-");
    put_digits(out, month < 10 ? month + 3 : month - 9, 2);
    PUT(out, "-");
    put_digits(out, day + 1, 2);
    PUT(out, "T");
    put_digits(out, rest / 3600, 2);
    PUT(out, ":");
    put_digits(out, rest / 60 % 60, 2);
    PUT(out, ":");
    put_digits(out, rest % 60, 2);
    PUT(out, ".");
}

/* Records come by the thousand within a second, so the text of the last one is kept. */
static void put_time(struct job *job, uint64_t ns)
{
    uint64_t second = ns / 1000000000;
    if (job->time_size == 0 || job->second != second) {
        struct text text = {.at = job->time};
        put_second(&text, second);
        job->second = second;
        job->time_size = text.size;
    }
    memcpy(job->out.at + job->out.size, job->time, 32); /* of which the last may be nothing */
    job->out.size += job->time_size;
    put_digits(&job->out, ns % 1000000000, 9);
    PUT(&job->out, "Z");
}

/* The name as it stands in a record; all NAME_ROOM bytes are copied, which is quicker than as many as there are. */
static void begin(struct job *job, int field, int *first)
{
    struct text *out = &job->out;
    char *to = out->at + out->size;
    *to = ',';
    to += !*first;
    *to++ = '"';
    memcpy(to, FIELD_NAMES[field], NAME_ROOM);
    to += NAME_SIZES[field];
    memcpy(to, "\":", 2);
    out->size = (size_t)(to + 2 - out->at);
    *first = 0;
}

/* A field whose value is a Python string; left out when empty. */
static int string_field(struct job *job, int field, PyObject *value, int *first)
{
    if (!PyUnicode_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "an identity is made of strings");
        return 0;
    }
    if (PyUnicode_GET_LENGTH(value) == 0)
        return 1;
    begin(job, field, first);
    PUT(&job->out, "\"");
    if (!put_unicode(&job->out, value))
        return 0;
    PUT(&job->out, "\"");
    return 1;
}

static int identity_field(struct job *job, int field, PyObject *identity, int *first)
{
    if (field == FINGERPRINT && identity == Py_None) {
        begin(job, field, first);
        PUT(&job->out, "\"unknown\"");
        return 1;
    }
    if (field == FINGERPRINT && PyUnicode_Check(identity))
        return string_field(job, field, identity, first);
    if (identity == Py_None || PyUnicode_Check(identity))
        return 1;
    const int place = field == FINGERPRINT ? 0 : 1 + field - APPLICATION;
    if (PyTuple_Check(identity) && PyTuple_GET_SIZE(identity) == 5) /* a named tuple, in this order */
        return string_field(job, field, PyTuple_GET_ITEM(identity, place), first);
    PyObject *value = PyObject_GetAttr(identity, job->attributes[place]);
    int good = value != NULL && string_field(job, field, value, first);
    Py_XDECREF(value);
    return good;
}

/* Details is a tuple of strings, in the order of the fields. */
static int details_field(struct job *job, int field, PyObject *identity, int *first)
{
    if (identity == Py_None || PyUnicode_Check(identity))
        return 1;
    PyObject *details = PyObject_GetAttr(identity, job->attributes[4]);
    int good = 0;
    if (details != NULL && PyTuple_Check(details) && PyTuple_GET_SIZE(details) == 1 + SUBJECT - DEVICE)
        good = string_field(job, field, PyTuple_GET_ITEM(details, field - DEVICE), first);
    else if (details != NULL)
        PyErr_SetString(PyExc_TypeError, "an identity's details are five strings");
    Py_XDECREF(details);
    return good;
}

static int record(struct job *job, const struct outcome *row, const uint8_t *data, PyObject *identity)
{
    struct text *out = &job->out;
    int first = 1;
    if (!reserve(out, LONGEST_FIXED))
        return 0;
    PUT(out, "{");
    for (Py_ssize_t i = 0; i < job->field_count; i++) {
        int field = job->fields[i];
        if (!reserve(out, LONGEST_FIXED))
            return 0;
        switch (field) {
        case DATA:
            if (row->data_len == 0)
                continue;
            begin(job, field, &first);
            PUT(out, "\"");
            if (!put_bytes(out, data, row->data_len))
                return 0;
            PUT(out, "\"");
            continue;
        case FINGERPRINT:
        case APPLICATION:
        case PRODUCT:
        case VERSION:
            if (!identity_field(job, field, identity, &first))
                return 0;
            continue;
        case DEVICE:
        case HARDWARE:
        case OS:
        case CPE:
        case SUBJECT:
            if (!details_field(job, field, identity, &first))
                return 0;
            continue;
        case HANDSHAKE:
            if (row->handshake < PyTuple_GET_SIZE(job->handshakes) &&
                !string_field(job, field, PyTuple_GET_ITEM(job->handshakes, row->handshake), &first))
                return 0;
            continue;
        case EXPECTED:
            if (row->expected == 0 || row->expected >= sizeof EXPECTED_NAMES / sizeof *EXPECTED_NAMES)
                continue;
            break;
        case REASON:
            if (row->reason >= sizeof REASON_NAMES / sizeof *REASON_NAMES)
                continue;
            break;
        case FIREWALL:
            if (!row->firewall)
                continue;
            break;
        case TRUNCATED:
            if (!row->cut)
                continue;
            break;
        case SA_ONLY:
            if (row->reason != BY_SYN_ACK)
                continue;
            break;
        default:
            break;
        }
        begin(job, field, &first);
        int flag = 0;
        switch (field) {
        case SADDR:
        case DADDR:
            PUT(out, "\"");
            if (field == SADDR)
                put_address(out, row->peer_hi, row->peer_lo, job->expanded);
            else
                put_address(out, row->own_hi, row->own_lo, job->expanded);
            PUT(out, "\"");
            continue;
        case SPORT:
            put_number(out, row->peer_port);
            continue;
        case DPORT:
            put_number(out, row->own_port);
            continue;
        case SEQNUM:
            put_number(out, row->seq);
            continue;
        case ACKNUM:
            put_number(out, row->ack);
            continue;
        case WINDOW:
            put_number(out, row->window);
            continue;
        case TTL:
            put_number(out, row->ttl);
            continue;
        case COUNTER:
            put_number(out, row->counter);
            continue;
        case HANDSHAKE_NUM:
            put_number(out, row->handshake);
            continue;
        case TIMESTAMP:
            PUT(out, "\"");
            put_time(job, row->ts);
            PUT(out, "\"");
            continue;
        case EXPECTED:
        case REASON:
            PUT(out, "\"");
            put_name(out, field == REASON ? REASON_NAMES[row->reason] : EXPECTED_NAMES[row->expected]);
            PUT(out, "\"");
            continue;
        case ACK:
            flag = row->flags & FLAG_ACK;
            break;
        case SYN:
            flag = row->flags & FLAG_SYN;
            break;
        case RST:
            flag = row->flags & FLAG_RST;
            break;
        case FIN:
            flag = row->flags & FLAG_FIN;
            break;
        case PUSH:
            flag = row->flags & FLAG_PSH;
            break;
        case ACKED:
            flag = row->acked;
            break;
        case TRUNCATED:
            flag = row->cut;
            break;
        case SA_ONLY:
            flag = 1;
            break;
        default:
            flag = row->firewall;
            break;
        }
        if (flag)
            PUT(out, "true");
        else
            PUT(out, "false");
    }
    if (!reserve(out, LONGEST_FIXED))
        return 0;
    PUT(out, "}\n");
    return 1;
}

static int every_record(struct job *job, const Py_buffer *rows, const Py_buffer *blob, const Py_buffer *keep,
                        PyObject *identities)
{
    size_t offset = 0, left = (size_t)blob->len;
    for (Py_ssize_t i = 0; i < keep->len; i++) {
        struct outcome row;
        memcpy(&row, (const uint8_t *)rows->buf + (size_t)i * sizeof row, sizeof row);
        if (row.data_len > left) {
            PyErr_SetString(PyExc_ValueError, "the rows promise more payload than there is");
            return 0;
        }
        if (((const uint8_t *)keep->buf)[i] &&
            !record(job, &row, (const uint8_t *)blob->buf + offset, PyTuple_GET_ITEM(identities, i)))
            return 0;
        offset += row.data_len;
        left -= row.data_len;
    }
    return 1;
}

PyObject *lzr_json_records(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    static const char *const ATTRIBUTES[] = {"label", "application", "product", "version", "details"};
    Py_buffer buffers[4]; /* rows, blob, keep, fields */
    int got = 0;
    PyObject *identities = NULL, *result = NULL;
    struct job job;
    memset(&job, 0, sizeof job);
    if (count != 7) {
        PyErr_SetString(PyExc_TypeError, "wants (rows, blob, keep, fields, identities, handshakes, expanded)");
        return NULL;
    }
    while (got < 4 && PyObject_GetBuffer(args[got], &buffers[got], PyBUF_SIMPLE) == 0)
        got++;
    if (got < 4 || (job.expanded = PyObject_IsTrue(args[6])) < 0 ||
        (identities = PySequence_Tuple(args[4])) == NULL || (job.handshakes = PySequence_Tuple(args[5])) == NULL)
        goto done;
    for (int i = 0; i < 5; i++)
        if ((job.attributes[i] = PyUnicode_InternFromString(ATTRIBUTES[i])) == NULL)
            goto done;
    job.fields = buffers[3].buf;
    job.field_count = buffers[3].len;
    Py_ssize_t total = PyTuple_GET_SIZE(identities);
    if (buffers[2].len != total || buffers[0].len / (Py_ssize_t)sizeof(struct outcome) != total ||
        buffers[0].len % (Py_ssize_t)sizeof(struct outcome)) {
        PyErr_SetString(PyExc_ValueError, "rows, keep and identities must be equally long");
        goto done;
    }
    for (Py_ssize_t i = 0; i < job.field_count; i++) {
        if (job.fields[i] >= FIELD_COUNT) {
            PyErr_SetString(PyExc_ValueError, "no such field");
            goto done;
        }
    }
    if (!reserve(&job.out, (size_t)total * TYPICAL + (size_t)buffers[1].len))
        goto done;
    if (every_record(&job, &buffers[0], &buffers[1], &buffers[2], identities))
        result = PyBytes_FromStringAndSize(job.out.at, (Py_ssize_t)job.out.size);
done:
    free(job.out.at);
    Py_XDECREF(identities);
    Py_XDECREF(job.handshakes);
    for (int i = 0; i < 5; i++)
        Py_XDECREF(job.attributes[i]);
    while (got > 0)
        PyBuffer_Release(&buffers[--got]);
    return result;
}

PyObject *lzr_field_names(void)
{
    PyObject *names = PyTuple_New(FIELD_COUNT);
    for (int i = 0; names != NULL && i < FIELD_COUNT; i++) {
        assert(strlen(FIELD_NAMES[i]) == NAME_SIZES[i]);
        PyObject *name = PyUnicode_FromString(FIELD_NAMES[i]);
        if (name == NULL) {
            Py_DECREF(names);
            return NULL;
        }
        PyTuple_SET_ITEM(names, i, name);
    }
    return names;
}

size_t lzr_address_text(char *to, uint64_t hi, uint64_t lo)
{
    char room[LONGEST_FIXED]; /* what is put is copied in steps that may go beyond the text */
    struct text out = {.at = room};
    put_address(&out, hi, lo, 0);
    memcpy(to, room, out.size);
    return out.size;
}
