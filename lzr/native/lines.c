/* Input lines into TARGET rows: ZMap's JSON, its CSV, and ip:port lists.
 *
 * Only the plain case is decided here: a flat object of plain strings, integers, true, false and
 * null, an address and a port.
 * Whatever else a line holds (an escape, a nested value, a float, a bad number, a host name) is left to the
 * Python reader, which accepts or rejects it and says why. So this code never needs to reject anything,
 * and what it accepts, the Python reader accepts as the same row.
 */
#include "native.h"
#include <arpa/inet.h>
#include <string.h>

#define LONGEST_LINE 65536

struct __attribute__((packed)) again {
    uint32_t row, start, stop, number; /* a line left to Python: its row, its bytes in the block, its number */
};

static const uint8_t *skip_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* Dotted quad without leading zeros, RFC 6943 §3.1.1 "strict"; all of p..end. */
static int parse_v4(const uint8_t *p, const uint8_t *end, uint32_t *value)
{
    uint32_t whole = 0;
    for (int part = 0; part < 4; part++) {
        if (part && (p == end || *p++ != '.'))
            return 0;
        uint32_t number = 0;
        int digits = 0;
        while (p < end && *p >= '0' && *p <= '9') {
            if (digits && number == 0)
                return 0;
            number = number * 10 + (*p++ - '0');
            if (++digits > 3)
                return 0;
        }
        if (digits == 0 || number > 255)
            return 0;
        whole = whole << 8 | number;
    }
    if (p != end)
        return 0;
    *value = whole;
    return 1;
}

static int parse_v6(const uint8_t *p, const uint8_t *end, uint64_t *hi, uint64_t *lo)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t raw[16];
    size_t size = (size_t)(end - p);
    if (size < 2 || size >= sizeof text || memchr(p, 0, size) != NULL)
        return 0;
    memcpy(text, p, size);
    text[size] = 0;
    if (inet_pton(AF_INET6, text, raw) != 1)
        return 0;
    uint64_t halves[2] = {0, 0};
    for (int i = 0; i < 16; i++)
        halves[i / 8] = halves[i / 8] << 8 | raw[i];
    *hi = halves[0];
    *lo = halves[1];
    return 1;
}

/* One host: not the unspecified address, not multicast, not the limited broadcast. */
static int one_host(uint64_t hi, uint64_t lo)
{
    if (is_v4(hi, lo)) {
        uint32_t v4 = (uint32_t)lo;
        return v4 != 0 && v4 != 0xffffffff && v4 >> 28 != 14;
    }
    return hi >> 56 != 0xff && (hi | lo) != 0;
}

static int parse_host(const uint8_t *p, const uint8_t *end, uint64_t *hi, uint64_t *lo)
{
    uint32_t v4;
    if (parse_v4(p, end, &v4)) {
        *hi = 0;
        *lo = (uint64_t)0xffff << 32 | v4;
    } else if (!parse_v6(p, end, hi, lo)) {
        return 0;
    }
    return one_host(*hi, *lo);
}

/* A JSON integer that fits, not followed by what would make it another number. */
static const uint8_t *parse_integer(const uint8_t *p, const uint8_t *end, int64_t *value)
{
    int negative = p < end && *p == '-';
    if (negative)
        p++;
    const uint8_t *first = p;
    int64_t number = 0;
    while (p < end && *p >= '0' && *p <= '9') {
        if (p - first == 18)
            return NULL;
        number = number * 10 + (*p++ - '0');
    }
    if (p == first || (*first == '0' && (p - first > 1 || negative)))
        return NULL;
    if (p < end && (*p == '.' || *p == 'e' || *p == 'E'))
        return NULL;
    *value = negative ? -number : number;
    return p;
}

/* A JSON string of plain printable ASCII: p is after the quote; returns the closing quote. */
static const uint8_t *parse_string(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p != '"') {
        if (*p < 0x20 || *p > 0x7e || *p == '\\')
            return NULL;
        p++;
    }
    return p < end ? p : NULL;
}

enum { SADDR, DADDR, SPORT, DPORT, SEQNUM, ACKNUM, WINDOW, TTL, CLASSIFICATION, SUCCESS, REPEAT, OTHER };
#define REQUIRED ((1u << TTL) - 1)

static int key_of(const uint8_t *p, size_t size)
{
#define IS(text) (memcmp(p, text, sizeof text - 1) == 0)
    switch (size) {
    case 3:
        return IS("ttl") ? TTL : OTHER;
    case 5:
        return IS("saddr") ? SADDR : IS("daddr") ? DADDR : IS("sport") ? SPORT : IS("dport") ? DPORT : OTHER;
    case 6:
        return IS("seqnum") ? SEQNUM : IS("acknum") ? ACKNUM : IS("window") ? WINDOW : IS("repeat") ? REPEAT : OTHER;
    case 7:
        return IS("success") ? SUCCESS : OTHER;
    case 14:
        return IS("classification") ? CLASSIFICATION : OTHER;
    default:
        return OTHER;
    }
#undef IS
}

/* true, false, null; their bytes are checked. */
static const uint8_t *parse_word(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    if (left >= 4 && (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0))
        return p + 4;
    if (left >= 5 && memcmp(p, "false", 5) == 0)
        return p + 5;
    return NULL;
}

static int store_number(struct target *row, int key, int64_t value)
{
    switch (key) {
    case SPORT: /* `zmap -p '*'` asks port 0 too */
        row->peer_port = (uint16_t)value;
        return value >= 0 && value <= 65535;
    case DPORT:
        row->own_port = (uint16_t)value;
        return value >= 1 && value <= 65535;
    case SEQNUM: /* ZMap before 3 prints it signed */
        row->seq = (uint32_t)value;
        return value >= INT32_MIN && value <= UINT32_MAX;
    case ACKNUM:
        row->ack = (uint32_t)value;
        return value >= INT32_MIN && value <= UINT32_MAX;
    case WINDOW:
        row->window = (uint16_t)value;
        return value >= 0 && value <= 65535;
    case TTL:
        row->ttl = value >= 0 && value <= 255 ? (uint8_t)value : 0;
        return 1;
    default:
        return key == OTHER;
    }
}

/* What a row says of itself, bit by bit: of classification, success and repeat, why it is none to take over. */
enum { NOT_A_SYN_ACK = 1, NOT_A_SUCCESS = 2, A_REPEAT = 4 };

static int heed(int key, int64_t value, unsigned *said)
{
    if (value != (key == SUCCESS))
        *said |= key == SUCCESS ? NOT_A_SUCCESS : A_REPEAT;
    return value == 0 || value == 1;
}

/* zmap._passed_over; such a row holds nothing else */
static void pass_over(unsigned said, struct target *row)
{
    memset(row, 0, sizeof *row);
    row->syn = said & NOT_A_SYN_ACK ? OPENING_NO_SYN_ACK : said & NOT_A_SUCCESS ? OPENING_UNSUCCESSFUL : OPENING_REPEATED;
}

/* The columns of a CSV: for each, the key that it is of. */
struct columns {
    const uint8_t *keys;
    size_t count;
};

static int zmap_line(const uint8_t *p, const uint8_t *end, const struct columns *none, struct target *row)
{
    (void)none;
    unsigned seen = 0, said = 0;
    uint64_t hi, lo;
    if (*p++ != '{')
        return 0;
    for (;;) {
        p = skip_blank(p, end);
        if (p == end || *p++ != '"')
            return 0;
        const uint8_t *name = p;
        if ((p = parse_string(p, end)) == NULL)
            return 0;
        int key = key_of(name, (size_t)(p - name));
        if (key != OTHER && seen & 1u << key)
            return 0;
        if (key != OTHER)
            seen |= 1u << key;
        p = skip_blank(p + 1, end);
        if (p == end || *p++ != ':')
            return 0;
        p = skip_blank(p, end);
        if (p == end)
            return 0;
        if (*p == '"') {
            const uint8_t *value = ++p;
            if ((p = parse_string(p, end)) == NULL)
                return 0;
            if (key == SADDR || key == DADDR) {
                if (!parse_host(value, p, &hi, &lo))
                    return 0;
                if (key == SADDR)
                    row->peer_hi = hi, row->peer_lo = lo;
                else
                    row->own_hi = hi, row->own_lo = lo;
            } else if (key == CLASSIFICATION) {
                if (p - value == 3 && memcmp(value, "rst", 3) == 0)
                    said |= NOT_A_SYN_ACK;
                else if (p - value != 6 || memcmp(value, "synack", 6) != 0)
                    return 0;
            } else if (key != OTHER) {
                return 0;
            }
            p++;
        } else if (*p == 't' || *p == 'f' || *p == 'n') {
            const uint8_t *word = p;
            if ((p = parse_word(p, end)) == NULL)
                return 0;
            if (key != OTHER && (key != SUCCESS && key != REPEAT))
                return 0;
            if (key != OTHER && (*word == 'n' || !heed(key, *word == 't', &said)))
                return 0;
        } else {
            int64_t value;
            if ((p = parse_integer(p, end, &value)) == NULL)
                return 0;
            if (key == SUCCESS || key == REPEAT ? !heed(key, value, &said) : !store_number(row, key, value))
                return 0;
        }
        p = skip_blank(p, end);
        if (p == end)
            return 0;
        if (*p == '}')
            break;
        if (*p++ != ',')
            return 0;
    }
    if (p + 1 != end || (seen & REQUIRED) != REQUIRED ||
        is_v4(row->peer_hi, row->peer_lo) != is_v4(row->own_hi, row->own_lo))
        return 0;
    if (said)
        pass_over(said, row);
    return 1;
}

static int csv_cell(int key, const uint8_t *p, const uint8_t *end, unsigned *said, struct target *row)
{
    uint64_t hi, lo;
    int64_t value;
    switch (key) {
    case OTHER:
        return 1;
    case SADDR:
    case DADDR:
        if (!parse_host(p, end, &hi, &lo))
            return 0;
        if (key == SADDR)
            row->peer_hi = hi, row->peer_lo = lo;
        else
            row->own_hi = hi, row->own_lo = lo;
        return 1;
    case CLASSIFICATION:
        if (end - p == 3 && memcmp(p, "rst", 3) == 0)
            *said |= NOT_A_SYN_ACK;
        else if (end - p != 6 || memcmp(p, "synack", 6) != 0)
            return 0;
        return 1;
    default:
        if (parse_integer(p, end, &value) != end)
            return 0;
        return key == SUCCESS || key == REPEAT ? heed(key, value, said) : store_number(row, key, value);
    }
}

static int csv_line(const uint8_t *p, const uint8_t *end, const struct columns *columns, struct target *row)
{
    unsigned said = 0;
    if (memchr(p, '"', (size_t)(end - p)) != NULL)
        return 0;
    for (size_t column = 0; column < columns->count; column++) {
        const uint8_t *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma == NULL ? end : comma;
        if ((comma == NULL) != (column + 1 == columns->count))
            return 0;
        const uint8_t *last = stop;
        while (p < last && (*p == ' ' || *p == '\t'))
            p++;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (!csv_cell(columns->keys[column], p, last, &said, row))
            return 0;
        p = stop + 1;
    }
    if (is_v4(row->peer_hi, row->peer_lo) != is_v4(row->own_hi, row->own_lo))
        return 0;
    if (said)
        pass_over(said, row);
    return 1;
}

static int list_line(const uint8_t *p, const uint8_t *end, const struct columns *none, struct target *row)
{
    (void)none;
    const uint8_t *stop;
    uint64_t hi, lo;
    uint32_t v4;
    if (*p == '[') {
        p++;
        stop = memchr(p, ']', (size_t)(end - p));
        if (stop == NULL || !parse_v6(p, stop, &hi, &lo))
            return 0;
        p = stop + 1;
    } else {
        for (stop = p; stop < end && *stop != ':' && *stop != ';' && *stop != ','; stop++)
            ;
        if (parse_v4(p, stop, &v4)) {
            hi = 0;
            lo = (uint64_t)0xffff << 32 | v4;
        } else {
            for (stop = p; stop < end && *stop != ';' && *stop != ','; stop++)
                ;
            if (!parse_v6(p, stop, &hi, &lo))
                return 0;
        }
        p = stop;
    }
    if (!one_host(hi, lo) || p == end || (*p != ':' && *p != ';' && *p != ','))
        return 0;
    p = skip_blank(p + 1, end);
    const uint8_t *first = p;
    uint32_t port = 0;
    while (p < end && *p >= '0' && *p <= '9' && p - first < 5)
        port = port * 10 + (*p++ - '0');
    if (p == first || port == 0 || port > 65535)
        return 0;
    if (p != end && *p != '#') {
        if (*p != ' ' && *p != '\t')
            return 0;
        p = skip_blank(p, end);
        if (p != end && *p != '#')
            return 0;
    }
    row->peer_hi = hi;
    row->peer_lo = lo;
    row->peer_port = (uint16_t)port;
    row->syn = 1;
    return 1;
}

typedef int line_parser(const uint8_t *p, const uint8_t *end, const struct columns *columns, struct target *row);

static PyObject *parse_block(PyObject *const *args, Py_ssize_t count, line_parser *parse, int comments)
{
    Py_buffer block, rows, again;
    struct columns columns = {NULL, 0};
    if (count != (parse == csv_line ? 5 : 4)) {
        PyErr_SetString(PyExc_TypeError, "wants (block, rows, again, line) and for a CSV its columns");
        return NULL;
    }
    if (parse == csv_line) {
        char *keys;
        Py_ssize_t n_keys;
        if (PyBytes_AsStringAndSize(args[4], &keys, &n_keys) < 0)
            return NULL;
        columns.keys = (const uint8_t *)keys;
        columns.count = (size_t)n_keys;
        unsigned seen = 0;
        for (size_t i = 0; i < columns.count; i++) {
            if (columns.keys[i] > OTHER) {
                PyErr_SetString(PyExc_ValueError, "no such column");
                return NULL;
            }
            seen |= 1u << columns.keys[i];
        }
        if ((seen & REQUIRED) != REQUIRED) {
            PyErr_SetString(PyExc_ValueError, "a column is missing");
            return NULL;
        }
    }
    uint64_t line = PyLong_AsUnsignedLongLong(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if (PyObject_GetBuffer(args[0], &block, PyBUF_SIMPLE) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[1], &rows, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&block);
        return NULL;
    }
    if (PyObject_GetBuffer(args[2], &again, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&block);
        PyBuffer_Release(&rows);
        return NULL;
    }
    size_t room = (size_t)rows.len / sizeof(struct target);
    if ((size_t)again.len / sizeof(struct again) < room)
        room = (size_t)again.len / sizeof(struct again);
    size_t inputs = 0, left = 0, number = 0;
    int full = block.len > INT32_MAX;
    const uint8_t *base = block.buf, *p = base, *end = base + block.len;
    while (!full && p < end) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *next = stop == NULL ? end : stop + 1;
        if (stop == NULL)
            stop = end;
        number++;
        size_t size = (size_t)(stop - p);
        if (size <= LONGEST_LINE) {
            p = skip_blank(p, stop);
            while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
                stop--;
            if (p == stop || (comments && *p == '#')) {
                p = next;
                continue;
            }
        }
        if (inputs == room) {
            full = 1;
            break;
        }
        struct target row;
        memset(&row, 0, sizeof row);
        if (size > LONGEST_LINE || !parse(p, stop, &columns, &row)) {
            struct again one = {(uint32_t)inputs, (uint32_t)(p - base), (uint32_t)(stop - base), (uint32_t)number};
            memcpy((uint8_t *)again.buf + left++ * sizeof one, &one, sizeof one);
        }
        row.line = line + inputs;
        memcpy((uint8_t *)rows.buf + inputs++ * sizeof row, &row, sizeof row);
        p = next;
    }
    PyBuffer_Release(&block);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&again);
    if (full) {
        PyErr_SetString(PyExc_ValueError, "block too large for the rows");
        return NULL;
    }
    return Py_BuildValue("nnn", (Py_ssize_t)inputs, (Py_ssize_t)left, (Py_ssize_t)number);
}

PyObject *lzr_zmap_lines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    return parse_block(args, count, zmap_line, 0);
}

PyObject *lzr_csv_lines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    return parse_block(args, count, csv_line, 0);
}

PyObject *lzr_list_lines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    return parse_block(args, count, list_line, 1);
}
