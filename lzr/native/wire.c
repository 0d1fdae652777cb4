/* Received frames into SEGMENT rows; gives what `parse` of lzr/packet/segments.py gives.
 *
 * A packet is judged as there: what does not hold what its headers claim is counted by kind and makes no row.
 */
#include "native.h"

#define MOST_EXTENSIONS 4

enum fault { TRUNCATED, NOT_TCP, FRAGMENT, BAD_OFFSET, BAD_CHECKSUM, FAULTS, GOOD = FAULTS };

/* linux/if_packet.h: struct tpacket2_hdr */
struct arrival {
    uint32_t status, length, captured;
    uint16_t link_at, network_at;
    uint32_t seconds, nanoseconds;
};


static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static inline uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }

static enum fault parse(const uint8_t *p, size_t captured, uint32_t at, uint64_t ts, int checked, struct segment *out)
{
    size_t header, total;
    uint64_t pseudo;
    if (captured < 40)
        return TRUNCATED;
    if (p[0] >> 4 == 4) {
        header = (size_t)(p[0] & 15) * 4;
        total = get16(p + 2);
        if (p[9] != 6)
            return NOT_TCP;
        if (get16(p + 6) & 0x3fff) /* more fragments, or an offset */
            return FRAGMENT;
        if (header < 20)
            return TRUNCATED;
        out->peer_hi = out->own_hi = 0;
        out->peer_lo = (uint64_t)0xffff << 32 | get32(p + 12);
        out->own_lo = (uint64_t)0xffff << 32 | get32(p + 16);
        out->ttl = p[8];
        pseudo = add_bytes(0, p + 12, 8);
    } else if (p[0] >> 4 == 6) {
        uint8_t kind = p[6];
        total = (size_t)get16(p + 4) + 40;
        header = 40;
        size_t limit = captured < total ? captured : total;
        for (int i = 0; i < MOST_EXTENSIONS && header + 8 <= limit; i++) {
            size_t length = 8;
            if (kind == 0 || kind == 43 || kind == 60)
                length = ((size_t)p[header + 1] + 1) * 8;
            else if (kind != 44 || get16(p + header + 2) & 0xfff9) /* an offset, or more fragments */
                break;
            kind = p[header];
            header += length;
            header = header < limit ? header : limit;
        }
        if (kind == 44)
            return FRAGMENT;
        if (kind != 6)
            return NOT_TCP;
        out->peer_hi = get64(p + 8);
        out->peer_lo = get64(p + 16);
        out->own_hi = get64(p + 24);
        out->own_lo = get64(p + 32);
        out->ttl = p[7];
        pseudo = add_bytes(0, p + 8, 32);
    } else {
        return NOT_TCP;
    }
    size_t end = captured < total ? captured : total;
    if (header + 20 > end)
        return TRUNCATED;
    if (captured < total && captured < CUT) /* not cut off by the ring: its length is a lie */
        return TRUNCATED;
    const uint8_t *tcp = p + header;
    size_t offset = (size_t)(tcp[12] >> 4) * 4;
    if (offset < 20 || header + offset > end)
        return BAD_OFFSET;
    if (!checked && captured >= total) {
        size_t size = total - header;
        pseudo += (uint64_t)6 << 8; /* as a native word */
        pseudo += __builtin_bswap16((uint16_t)size); /* at most 65,535: total less 40 is a 16-bit field */
        if (fold(add_bytes(pseudo, tcp, size)) != 0xffff)
            return BAD_CHECKSUM;
    }
    out->peer_port = get16(tcp);
    out->own_port = get16(tcp + 2);
    out->seq = get32(tcp + 4);
    out->ack = get32(tcp + 8);
    out->flags = tcp[13];
    out->window = get16(tcp + 14);
    out->ts = ts;
    out->data_at = at + (uint32_t)(header + offset);
    out->data_len = (uint32_t)(end - header - offset);
    return GOOD;
}

/* (ring, at, limit, out, faults, payloads, used) -> (frames, segments, octets, used)
 *
 * The ready frames from `at` on, at most `limit`. What they carry is copied to `payloads` from `used` on, and
 * `data_at` says where in it; a frame whose payload finds no room there is left for the next call. */
PyObject *lzr_take_frames(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t frames, room, kinds, space, taken = 0, made = 0;
    uint64_t octets = 0;
    const uint8_t *ring;
    uint8_t *payloads;
    struct segment *out;
    int64_t *faults;
    if (count != 7) {
        PyErr_SetString(PyExc_TypeError, "wants (ring, at, limit, out, faults, payloads, used)");
        return NULL;
    }
    size_t at = PyLong_AsSize_t(args[1]), limit = PyLong_AsSize_t(args[2]), used = PyLong_AsSize_t(args[6]);
    if (PyErr_Occurred())
        return NULL;
    if ((ring = lzr_view(&views, args[0], 0, FRAME_SIZE, &frames)) == NULL ||
        (out = lzr_view(&views, args[3], 1, sizeof *out, &room)) == NULL ||
        (faults = lzr_view(&views, args[4], 1, sizeof *faults, &kinds)) == NULL ||
        (payloads = lzr_view(&views, args[5], 1, 1, &space)) == NULL)
        goto end;
    if (at > frames || kinds != FAULTS || used > space || space > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "outside the ring");
        goto end;
    }
    limit = limit < frames - at ? limit : frames - at;
    limit = limit < room ? limit : room;
    while (taken < limit) {
        const uint8_t *row = ring + (at + taken) * FRAME_SIZE;
        struct arrival head;
        uint32_t status = __atomic_load_n((const uint32_t *)row, __ATOMIC_ACQUIRE);
        if (!(status & STATUS_USER))
            break;
        if (taken + 2 < limit) {
            __builtin_prefetch(row + 2 * FRAME_SIZE);
            __builtin_prefetch(row + 2 * FRAME_SIZE + 64);
            __builtin_prefetch(row + 2 * FRAME_SIZE + 128);
        }
        memcpy(&head, row, sizeof head);
        size_t before = head.network_at >= head.link_at ? (size_t)(head.network_at - head.link_at) : 0;
        size_t captured = head.captured > before ? head.captured - before : 0;
        if (head.network_at > FRAME_SIZE || captured > FRAME_SIZE - (size_t)head.network_at)
            captured = 0; /* the kernel would not do that */
        uint64_t ts = (uint64_t)head.seconds * 1000000000 + head.nanoseconds;
        int checked = (status & (STATUS_CSUM_NOT_READY | STATUS_CSUM_VALID)) != 0;
        struct segment one;
        enum fault fault = parse(row + head.network_at, captured, 0, ts, checked, &one);
        if (fault == GOOD) {
            if (one.data_len > space - used)
                break;
            memcpy(payloads + used, row + head.network_at + one.data_at, one.data_len);
            one.data_at = (uint32_t)used;
            used += one.data_len;
            memcpy(out + made++, &one, sizeof one);
        } else {
            faults[fault]++;
        }
        taken++;
        octets += head.length;
    }
    result = Py_BuildValue("nnKn", (Py_ssize_t)taken, (Py_ssize_t)made, (unsigned long long)octets, (Py_ssize_t)used);
end:
    lzr_release(&views);
    return result;
}

/* (buffer, at, captured, ts, checked, out, faults) -> segments: what segments.parse does */
PyObject *lzr_parse_packets(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t size, n, n_captured, n_ts, n_checked, room, kinds, made = 0;
    const uint8_t *buffer, *checked;
    const int64_t *at, *captured;
    const uint64_t *ts;
    struct segment *out;
    int64_t *faults;
    if (count != 7) {
        PyErr_SetString(PyExc_TypeError, "wants (buffer, at, captured, ts, checked, out, faults)");
        return NULL;
    }
    if ((buffer = lzr_view(&views, args[0], 0, 1, &size)) == NULL ||
        (at = lzr_view(&views, args[1], 0, 8, &n)) == NULL ||
        (captured = lzr_view(&views, args[2], 0, 8, &n_captured)) == NULL ||
        (ts = lzr_view(&views, args[3], 0, 8, &n_ts)) == NULL ||
        (checked = lzr_view(&views, args[4], 0, 1, &n_checked)) == NULL ||
        (out = lzr_view(&views, args[5], 1, sizeof *out, &room)) == NULL ||
        (faults = lzr_view(&views, args[6], 1, sizeof *faults, &kinds)) == NULL)
        goto end;
    if (n_captured != n || n_ts != n || n_checked != n || room < n || kinds != FAULTS || size > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the columns do not fit together");
        goto end;
    }
    for (size_t i = 0; i < n; i++) {
        size_t length = captured[i] > 0 ? (size_t)captured[i] : 0;
        if (at[i] < 0 || (size_t)at[i] > size || length > size - (size_t)at[i]) {
            PyErr_SetString(PyExc_ValueError, "a packet outside the buffer");
            goto end;
        }
        struct segment one;
        enum fault fault = parse(buffer + at[i], length, (uint32_t)at[i], ts[i], checked[i], &one);
        if (fault == GOOD)
            memcpy(out + made++, &one, sizeof one);
        else
            faults[fault]++;
    }
    result = PyLong_FromSize_t(made);
end:
    lzr_release(&views);
    return result;
}
