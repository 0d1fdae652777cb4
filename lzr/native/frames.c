/* FRAME rows into frames, and into the rows of a transmit ring; gives what segments.Builder gives.
 *
 * A probe comes as a program (see lzr/packet/payloads.py): a byte that says which part, then what it takes.
 * Everything is written into a frame of a fixed size first, and its end is checked at each part.
 *
 * The last of them also sleeps and sends, which no other kernel does: it repeats workers/flow/transmitrows.py.
 */
#include "native.h"
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#define ETHERNET 14
#define TEXT 64 /* more than an address in brackets with a port */

enum part { CONSTANT, HOST, ADDRESS, RANDOM };

#define ROW_LENGTH 4 /* tpacket2_hdr.tp_len */
#define VNET_COPY 2  /* virtio_net_hdr.hdr_len: as long as the frame, so that the kernel copies it */
#define SECOND 1000000000 /* ns */

struct program {
    const uint8_t *at;
    size_t size;
};

struct job {
    const uint8_t *own_mac, *gateway_v4, *gateway_v6;
    uint16_t mss_v4, mss_v6;
    struct program *programs;
    Py_ssize_t count;
};

static inline void put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void put32(uint8_t *p, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(p, &value, 4);
}

static inline void put64(uint8_t *p, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(p, &value, 8);
}

static size_t port_text(char *to, uint16_t port)
{
    char digits[5];
    size_t n = 0, size = 0;
    do
        digits[n++] = (char)('0' + port % 10);
    while (port /= 10);
    to[size++] = ':';
    while (n > 0)
        to[size++] = digits[--n];
    return size;
}

/* The peer as text, into TEXT bytes: bare, or as an HTTP authority. */
static size_t peer_text(char *to, uint64_t hi, uint64_t lo, uint16_t port, int host)
{
    size_t size = 0;
    int brackets = host && !is_v4(hi, lo);
    if (brackets)
        to[size++] = '[';
    size += lzr_address_text(to + size, hi, lo);
    if (brackets)
        to[size++] = ']';
    if (host && port != 80)
        size += port_text(to + size, port);
    return size;
}

/* The bytes a probe has for this peer; with `to`, writes them too. SIZE_MAX if they do not fit. */
static size_t render(struct program program, uint64_t hi, uint64_t lo, uint16_t port, uint64_t nonce, uint8_t *to,
                     size_t room)
{
    const uint8_t *p = program.at, *end = p + program.size;
    size_t size = 0;
    uint64_t salt = 0;
    while (p < end) {
        enum part part = *p++;
        char text[TEXT];
        uint32_t length;
        if (part == HOST || part == ADDRESS) {
            size_t written = peer_text(text, hi, lo, port, part == HOST);
            if (to != NULL && written <= room - size)
                memcpy(to + size, text, written);
            length = (uint32_t)written;
        } else {
            if (end - p < 4)
                return SIZE_MAX;
            memcpy(&length, p, 4);
            p += 4;
            if (part == CONSTANT) {
                if ((size_t)(end - p) < length)
                    return SIZE_MAX;
                if (to != NULL && length <= room - size)
                    memcpy(to + size, p, length);
                p += length;
            } else if (part == RANDOM) {
                if (to != NULL && length <= room - size) {
                    for (uint32_t at = 0; at < length; at += 8) {
                        uint64_t word = lzr_mix64(nonce + ++salt);
                        memcpy(to + size + at, &word, length - at < 8 ? length - at : 8);
                    }
                    for (uint32_t at = 0; at < length; at++) /* no line ends in them: see payloads.py */
                        to[size + at] += to[size + at] == '\n' || to[size + at] == '\r';
                }
            } else {
                return SIZE_MAX;
            }
        }
        if (length > room - size)
            return SIZE_MAX;
        size += length;
    }
    return size;
}

size_t lzr_probe_length(const uint8_t *program, size_t size, uint64_t hi, uint64_t lo, uint16_t port)
{
    return render((struct program){.at = program, .size = size}, hi, lo, port, 0, NULL, UINT32_MAX);
}

/* One finished frame into MAX_FRAME bytes; 0 and an exception if the row asks for what there is not. */
static size_t build(const struct job *job, const struct frame *f, uint8_t *out)
{
    int v4 = is_v4(f->peer_hi, f->peer_lo), syn = (f->flags & FLAG_SYN) != 0;
    size_t tcp_at = ETHERNET + (v4 ? 20 : 40), header = syn ? 28 : 20, payload = 0;
    uint8_t *ip = out + ETHERNET, *tcp = out + tcp_at;
    memcpy(out, v4 ? job->gateway_v4 : job->gateway_v6, 6);
    memcpy(out + 6, job->own_mac, 6);
    if (f->probe != NO_PROBE) {
        if (f->probe >= job->count) {
            PyErr_SetString(PyExc_ValueError, "a frame with a probe that there is not");
            return 0;
        }
        payload = render(job->programs[f->probe], f->peer_hi, f->peer_lo, f->peer_port, f->nonce, tcp + header,
                         MAX_FRAME - tcp_at - header);
        if (payload == SIZE_MAX) {
            PyErr_SetString(PyExc_ValueError, "a probe that does not fit a frame");
            return 0;
        }
    }
    size_t size = header + payload;
    uint64_t sum;
    if (v4) {
        put16(out + 12, 0x0800);
        put32(ip, 0x45000000 | (uint32_t)(20 + size));
        put32(ip + 4, 0x4000); /* don't fragment */
        put32(ip + 8, (uint32_t)OUR_TTL << 24 | 6 << 16);
        put32(ip + 12, (uint32_t)f->own_lo);
        put32(ip + 16, (uint32_t)f->peer_lo);
        uint16_t checksum = (uint16_t)~fold(add_bytes(0, ip, 20));
        memcpy(ip + 10, &checksum, 2);
        sum = add_bytes(0, ip + 12, 8);
    } else {
        put16(out + 12, 0x86dd);
        put32(ip, 0x60000000);
        put16(ip + 4, (uint16_t)size);
        ip[6] = 6;
        ip[7] = OUR_TTL;
        put64(ip + 8, f->own_hi);
        put64(ip + 16, f->own_lo);
        put64(ip + 24, f->peer_hi);
        put64(ip + 32, f->peer_lo);
        sum = add_bytes(0, ip + 8, 32);
    }
    put16(tcp, f->own_port);
    put16(tcp + 2, f->peer_port);
    put32(tcp + 4, f->seq);
    put32(tcp + 8, f->flags & FLAG_ACK ? f->ack : 0);
    tcp[12] = (uint8_t)(header << 2);
    tcp[13] = f->flags;
    put16(tcp + 14, OUR_WINDOW);
    put32(tcp + 16, 0);
    if (syn) {
        put32(tcp + 20, 2u << 24 | 4 << 16 | (f->mss ? f->mss : v4 ? job->mss_v4 : job->mss_v6)); /* RFC 9293 §3.2, kind 2 */
        put32(tcp + 24, 0x04020101); /* SACK allowed: see segments.py */
    }
    sum += (uint64_t)__builtin_bswap16((uint16_t)size) + ((uint64_t)6 << 8);
    uint16_t checksum = (uint16_t)~fold(add_bytes(sum, tcp, size));
    memcpy(tcp + 16, &checksum, 2);
    return tcp_at + size;
}

/* Our MAC, the next hop's for IPv4 and for IPv6, the MSS of both: 22 bytes; and a tuple of programs. */
static int read_job(struct job *job, struct views *views, PyObject *link, PyObject *programs)
{
    size_t size;
    const uint8_t *macs = lzr_view(views, link, 0, 1, &size);
    if (macs == NULL)
        return 0;
    if (size != 22 || !PyTuple_Check(programs) || PyTuple_GET_SIZE(programs) > NO_PROBE) {
        PyErr_SetString(PyExc_TypeError, "wants 22 bytes of MACs and MSS and a tuple of at most 255 programs");
        return 0;
    }
    job->own_mac = macs;
    job->gateway_v4 = macs + 6;
    job->gateway_v6 = macs + 12;
    memcpy(&job->mss_v4, macs + 18, 2);
    memcpy(&job->mss_v6, macs + 20, 2);
    job->count = PyTuple_GET_SIZE(programs);
    for (Py_ssize_t i = 0; i < job->count; i++) {
        PyObject *program = PyTuple_GET_ITEM(programs, i);
        if (!PyBytes_Check(program)) {
            PyErr_SetString(PyExc_TypeError, "a program is bytes");
            return 0;
        }
        job->programs[i] = (struct program){(const uint8_t *)PyBytes_AS_STRING(program),
                                            (size_t)PyBytes_GET_SIZE(program)};
    }
    return 1;
}

/* (rows, link, programs, out, width, lengths): frame i at out + i * width */
PyObject *lzr_build_frames(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    struct program programs[NO_PROBE];
    struct job job = {.programs = programs};
    PyObject *result = NULL;
    size_t n, room, lengths_n;
    const struct frame *rows;
    uint8_t *out;
    uint32_t *lengths;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "wants (rows, link, programs, out, width, lengths)");
        return NULL;
    }
    size_t width = PyLong_AsSize_t(args[4]);
    if (PyErr_Occurred())
        return NULL;
    if (!read_job(&job, &views, args[1], args[2]) || (rows = lzr_view(&views, args[0], 0, sizeof *rows, &n)) == NULL ||
        (out = lzr_view(&views, args[3], 1, 1, &room)) == NULL ||
        (lengths = lzr_view(&views, args[5], 1, 4, &lengths_n)) == NULL)
        goto end;
    if (width < MAX_FRAME || n > room / width || lengths_n < n) {
        PyErr_SetString(PyExc_ValueError, "no room for the frames");
        goto end;
    }
    for (size_t i = 0; i < n; i++) {
        struct frame f;
        memcpy(&f, rows + i, sizeof f);
        size_t length = build(&job, &f, out + i * width);
        if (length == 0)
            goto end;
        lengths[i] = (uint32_t)length;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* As many of `n` frames as there is room for, into rows from `at` to the end of the ring or a busy one; 0 with an
 * exception. */
static int fill(const struct job *job, uint8_t *ring, size_t frames, size_t at, const struct frame *rows, size_t n,
                size_t *done, size_t *octets)
{
    for (*done = 0; *done < n && at + *done < frames; ++*done) {
        uint8_t *row = ring + (at + *done) * FRAME_SIZE;
        if (__atomic_load_n((uint32_t *)row, __ATOMIC_ACQUIRE) != STATUS_AVAILABLE)
            break;
        struct frame f;
        memcpy(&f, rows + *done, sizeof f);
        size_t length = build(job, &f, row + TX_DATA + VNET_HEADER);
        if (length == 0)
            return 0;
        uint32_t whole = (uint32_t)(length + VNET_HEADER);
        uint16_t copy = (uint16_t)length;
        memset(row + TX_DATA, 0, VNET_HEADER);
        memcpy(row + TX_DATA + VNET_COPY, &copy, 2);
        memcpy(row + ROW_LENGTH, &whole, 4);
        __atomic_store_n((uint32_t *)row, STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
        *octets += length;
    }
    return 1;
}

static size_t not_available(const uint8_t *ring, size_t frames, size_t at, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t row = at + i < frames ? at + i : at + i - frames;
        uint32_t status = __atomic_load_n((const uint32_t *)(ring + row * FRAME_SIZE), __ATOMIC_ACQUIRE);
        found += (status & STATUS_SEND_REQUEST) != 0 || status == STATUS_WRONG_FORMAT;
    }
    return found;
}

/* (ring, at, rows, link, programs) -> (frames, octets): from row `at` to the end of the ring or a busy row */
PyObject *lzr_fill_ring(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    struct program programs[NO_PROBE];
    struct job job = {.programs = programs};
    PyObject *result = NULL;
    size_t n, frames, done = 0, octets = 0;
    const struct frame *rows;
    uint8_t *ring;
    if (count != 5) {
        PyErr_SetString(PyExc_TypeError, "wants (ring, at, rows, link, programs)");
        return NULL;
    }
    size_t at = PyLong_AsSize_t(args[1]);
    if (PyErr_Occurred())
        return NULL;
    if (!read_job(&job, &views, args[3], args[4]) || (ring = lzr_view(&views, args[0], 1, FRAME_SIZE, &frames)) == NULL ||
        (rows = lzr_view(&views, args[2], 0, sizeof *rows, &n)) == NULL)
        goto end;
    if (at > frames) {
        PyErr_SetString(PyExc_ValueError, "outside the ring");
        goto end;
    }
    if (!fill(&job, ring, frames, at, rows, n, &done, &octets))
        goto end;
    result = Py_BuildValue("nn", (Py_ssize_t)done, (Py_ssize_t)octets);
end:
    lzr_release(&views);
    return result;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* Sleeps if there is longer than `least` ns until `moment`; adds to `slept`. 0: an exception, of a signal. */
static int await(int64_t moment, int64_t least, int64_t *slept)
{
    int64_t wait = moment - monotonic_ns();
    if (wait <= least)
        return 1;
    struct timespec until = {.tv_sec = moment / SECOND, .tv_nsec = moment % SECOND};
    int error;
    do {
        Py_BEGIN_ALLOW_THREADS
        error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        Py_END_ALLOW_THREADS
    } while (error == EINTR && PyErr_CheckSignals() == 0);
    *slept += wait;
    return !PyErr_Occurred();
}

/* Has the kernel send what waits: an Offer's call (workers/flow/transmitrows.py), or what is called instead. That the
 * kernel does not is no matter: whoever tries again sees the same. 0: another exception. */
static int ask(PyObject *offer)
{
    int descriptor;
    const char *address;
    Py_ssize_t size;
    if (PyTuple_Check(offer)) {
        if (!PyArg_ParseTuple(offer, "iy#", &descriptor, &address, &size))
            return 0;
        Py_BEGIN_ALLOW_THREADS
        (void)!sendto(descriptor, NULL, 0, MSG_DONTWAIT, size ? (const void *)address : NULL, (socklen_t)size);
        Py_END_ALLOW_THREADS
        return 1;
    }
    PyObject *done = PyObject_CallNoArgs(offer);
    if (done == NULL && !PyErr_ExceptionMatches(PyExc_OSError))
        return 0;
    PyErr_Clear();
    Py_XDECREF(done);
    return 1;
}

/* (ring, position, rows, link, programs, ends, moments, least, offer) -> (frames, octets, left, slept): the rows up to
 * each of `ends` into the ring at its moment, and offered; stops where they do not leave at once */
PyObject *lzr_spread_frames(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    struct program programs[NO_PROBE];
    struct job job = {.programs = programs};
    PyObject *result = NULL;
    size_t n, frames, parts, moments_n, one, placed = 0, octets = 0, left = 0;
    int64_t slept = 0, *position;
    const int64_t *ends, *moments;
    const struct frame *rows;
    uint8_t *ring;
    if (count != 9)
        return lzr_wants("(ring, position, rows, link, programs, ends, moments, least, offer)");
    int64_t least = PyLong_AsLongLong(args[7]);
    if (PyErr_Occurred())
        return NULL;
    if (!read_job(&job, &views, args[3], args[4]) || (ring = lzr_view(&views, args[0], 1, FRAME_SIZE, &frames)) == NULL ||
        (position = lzr_view(&views, args[1], 1, 8, &one)) == NULL ||
        (rows = lzr_view(&views, args[2], 0, sizeof *rows, &n)) == NULL ||
        (ends = lzr_view(&views, args[5], 0, 8, &parts)) == NULL ||
        (moments = lzr_view(&views, args[6], 0, 8, &moments_n)) == NULL || !lzr_as_many(moments_n == parts) ||
        !lzr_check(one == 1 && *position >= 0 && (uint64_t)*position < frames, "outside the ring"))
        goto end;
    for (size_t part = 0; part < parts; part++) {
        if (!lzr_check(ends[part] >= (int64_t)placed && ends[part] <= (int64_t)n, "parts of other rows") ||
            !await(moments[part], least, &slept))
            goto end;
        size_t end = (size_t)ends[part];
        while (placed < end) {
            /* one row stays free, so that a successor can tell where those that wait begin */
            size_t begin = (size_t)*position, made = 0, wanted = end - placed < frames ? end - placed : frames - 1;
            while (made < wanted) {
                size_t done;
                if (!fill(&job, ring, frames, (size_t)*position, rows + placed, wanted - made, &done, &octets))
                    goto end;
                if (done == 0)
                    break;
                *position = (int64_t)(((size_t)*position + done) % frames); /* before the kernel is asked */
                made += done;
                placed += done;
            }
            if (!ask(args[8]))
                goto end;
            if (made < wanted || not_available(ring, frames, begin, made) > 0) {
                left = made;
                goto stopped;
            }
        }
    }
stopped:
    result = Py_BuildValue("nnnL", (Py_ssize_t)placed, (Py_ssize_t)octets, (Py_ssize_t)left, (long long)slept);
end:
    lzr_release(&views);
    return result;
}

/* (ring, at, count) -> (not yet the kernel's, refused by it): of `count` rows from `at` on, around the end */
PyObject *lzr_unsent(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t frames, requested = 0, refused = 0;
    const uint8_t *ring;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "wants (ring, at, count)");
        return NULL;
    }
    size_t at = PyLong_AsSize_t(args[1]), rows = PyLong_AsSize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if ((ring = lzr_view(&views, args[0], 0, FRAME_SIZE, &frames)) == NULL)
        goto end;
    if (at > frames || rows > frames) {
        PyErr_SetString(PyExc_ValueError, "outside the ring");
        goto end;
    }
    for (size_t i = 0; i < rows; i++) {
        size_t row = at + i < frames ? at + i : at + i - frames;
        uint32_t status = __atomic_load_n((const uint32_t *)(ring + row * FRAME_SIZE), __ATOMIC_ACQUIRE);
        requested += (status & STATUS_SEND_REQUEST) != 0;
        refused += status == STATUS_WRONG_FORMAT;
    }
    result = Py_BuildValue("nn", (Py_ssize_t)requested, (Py_ssize_t)refused);
end:
    lzr_release(&views);
    return result;
}

/* (rows, size of a row, where its addresses start, table, out): of the last interval that begins at or below the peer */
PyObject *lzr_ways(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, room, intervals;
    const uint8_t *row;
    const struct interval *table;
    uint8_t *out;
    if (count != 5)
        return lzr_wants("(rows, size, addresses, table, out)");
    size_t size = PyLong_AsSize_t(args[1]), addresses = PyLong_AsSize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if (!lzr_check(size >= 16 && size <= 4096 && addresses <= size - 16, "a row without an address"))
        return NULL;
    if ((row = lzr_view(&views, args[0], 0, size, &n)) == NULL ||
        (table = lzr_view(&views, args[3], 0, sizeof *table, &intervals)) == NULL ||
        (out = lzr_view(&views, args[4], 1, 1, &room)) == NULL || !lzr_as_many(room >= n) ||
        !lzr_check(intervals > 0, "an empty table"))
        goto end;
    for (size_t i = 0; i < n; i++, row += size) {
        uint64_t hi, lo;
        memcpy(&hi, row + addresses, 8);
        memcpy(&lo, row + addresses + 8, 8);
        size_t low = 0, high = intervals; /* the first begins at or below any address */
        while (high - low > 1) {
            size_t middle = low + (high - low) / 2;
            if (table[middle].hi < hi || (table[middle].hi == hi && table[middle].lo <= lo))
                low = middle;
            else
                high = middle;
        }
        out[i] = table[low].way;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* (rows, size of a row, where its addresses start, where its ports, program, out): bytes of each probe */
PyObject *lzr_probe_lengths(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, room, program_size;
    const uint8_t *row;
    struct program program;
    uint32_t *out;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "wants (rows, size, addresses, ports, program, out)");
        return NULL;
    }
    size_t size = PyLong_AsSize_t(args[1]), addresses = PyLong_AsSize_t(args[2]), ports = PyLong_AsSize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if (size < 36 || size > 4096 || addresses > size - 32 || ports > size - 4) {
        PyErr_SetString(PyExc_ValueError, "a row without a 4-tuple");
        return NULL;
    }
    if ((row = lzr_view(&views, args[0], 0, size, &n)) == NULL ||
        (program.at = lzr_view(&views, args[4], 0, 1, &program_size)) == NULL ||
        (out = lzr_view(&views, args[5], 1, 4, &room)) == NULL)
        goto end;
    program.size = program_size;
    if (room < n) {
        PyErr_SetString(PyExc_ValueError, "no room for the lengths");
        goto end;
    }
    for (size_t i = 0; i < n; i++, row += size) {
        uint64_t hi, lo;
        uint16_t port;
        memcpy(&hi, row + addresses, 8);
        memcpy(&lo, row + addresses + 8, 8);
        memcpy(&port, row + ports, 2);
        size_t length = render(program, hi, lo, port, 0, NULL, UINT32_MAX);
        if (length == SIZE_MAX) {
            PyErr_SetString(PyExc_ValueError, "no program");
            goto end;
        }
        out[i] = (uint32_t)length;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}
