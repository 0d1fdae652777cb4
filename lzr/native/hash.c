/* The hashes of lzr/packet/sharding.py, lzr/siphash.py, the ISN of lzr/flow/tcp.py, and what every kernel needs of its arguments. */
#include "native.h"

void *lzr_view(struct views *views, PyObject *object, int writable, size_t unit, size_t *count)
{
    if (views->count == (int)(sizeof views->at / sizeof *views->at)) {
        PyErr_SetString(PyExc_SystemError, "too many buffers");
        return NULL;
    }
    Py_buffer *view = &views->at[views->count];
    if (PyObject_GetBuffer(object, view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0)
        return NULL;
    views->count++;
    if ((size_t)view->len % unit) {
        PyErr_Format(PyExc_ValueError, "%zd bytes are no rows of %zu", view->len, unit);
        return NULL;
    }
    *count = (size_t)view->len / unit;
    return view->buf != NULL ? view->buf : "";
}

PyObject *lzr_wants(const char *arguments)
{
    PyErr_Format(PyExc_TypeError, "wants %s", arguments);
    return NULL;
}

int lzr_check(int condition, const char *text)
{
    if (!condition)
        PyErr_SetString(PyExc_ValueError, text);
    return condition;
}

int lzr_as_many(int condition) { return lzr_check(condition, "columns of different lengths, or no room for the answer"); }

int lzr_slots_fit(const int32_t *slots, size_t n, size_t flows)
{
    for (size_t i = 0; i < n; i++) {
        if (slots[i] < 0 || (size_t)slots[i] >= flows) {
            PyErr_SetString(PyExc_IndexError, "a slot outside the table");
            return 0;
        }
    }
    return 1;
}

void lzr_release(struct views *views)
{
    while (views->count > 0)
        PyBuffer_Release(&views->at[--views->count]);
}

#define GOLDEN 0x9e3779b97f4a7c15u
#define K2 0xc2b2ae3d27d4eb4fu
#define K3 0x165667b19e3779f9u
#define K4 0xd6e8feb86659fd93u
#define K5 0xa0761d6478bd642fu

uint64_t lzr_mix64(uint64_t x)
{
    x += GOLDEN;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t rotated(uint64_t word, int by) { return word << by | word >> (64 - by); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] = rotated(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] = rotated(v[2], 32);
}

/* siphash.siphash of one pair of words */
uint64_t lzr_siphash(const uint64_t key[2], uint64_t first, uint64_t second)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};
    const uint64_t blocks[3] = {first, second, (uint64_t)16 << 56};
    for (int i = 0; i < 3; i++) {
        v[3] ^= blocks[i];
        sip_round(v);
        sip_round(v);
        v[0] ^= blocks[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* (first, second, key, key, out): SipHash-2-4 of each pair of words */
PyObject *lzr_siphashes(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, n_second, room;
    const uint64_t *first, *second;
    uint64_t *out;
    if (count != 5)
        return lzr_wants("(first, second, key, key, out)");
    uint64_t key[2] = {PyLong_AsUnsignedLongLongMask(args[2]), PyLong_AsUnsignedLongLongMask(args[3])};
    if (PyErr_Occurred())
        return NULL;
    if ((first = lzr_view(&views, args[0], 0, 8, &n)) == NULL ||
        (second = lzr_view(&views, args[1], 0, 8, &n_second)) == NULL ||
        (out = lzr_view(&views, args[4], 1, 8, &room)) == NULL || !lzr_as_many(n_second == n && room >= n))
        goto end;
    for (size_t i = 0; i < n; i++)
        out[i] = lzr_siphash(key, first[i], second[i]);
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

uint64_t lzr_key(uint64_t peer_hi, uint64_t peer_lo, uint64_t own_hi, uint64_t own_lo, uint16_t peer_port,
                 uint16_t own_port, uint64_t seed)
{
    uint64_t x = peer_lo * GOLDEN;
    x ^= peer_hi * K2 + seed;
    x ^= x >> 32;
    x *= K5;
    x ^= own_lo * K3 + ((uint64_t)peer_port << 16 | own_port) * K4;
    x ^= own_hi * K2;
    x ^= x >> 29;
    x *= GOLDEN;
    x ^= x >> 32;
    return x ? x : 1;
}

static uint32_t mix(uint32_t h, uint32_t word)
{
    h = (h ^ word) * 0x9e3779b1u;
    return h ^ h >> 15;
}

uint32_t lzr_hash(const uint64_t *address, uint16_t peer_port, uint16_t own_port, uint32_t seed)
{
    uint32_t h = seed;
    int v6 = !is_v4(address[0], address[1]);
    for (int side = 0; side < 2; side++) {
        uint64_t hi = address[2 * side], lo = address[2 * side + 1];
        if (v6) {
            h = mix(h, (uint32_t)(hi >> 32));
            h = mix(h, (uint32_t)hi);
            h = mix(h, (uint32_t)(lo >> 32));
        }
        h = mix(h, (uint32_t)lo);
        if (side == 0)
            h = mix(h, (uint32_t)peer_port << 16 | own_port);
    }
    return h;
}

/* sharding.cookie */
uint32_t lzr_cookie(const uint64_t *address, uint16_t peer_port, uint16_t own_port, uint64_t key)
{
    return mix(lzr_hash(address, peer_port, own_port, (uint32_t)key), (uint32_t)(key >> 32)) >> (32 - COOKIE_BITS);
}

/* tcp.isn */
uint32_t lzr_isn(const uint64_t *address, uint16_t peer_port, uint16_t own_port, uint64_t number, uint64_t salt,
                 const struct secrets *secrets)
{
    uint32_t random = (uint32_t)lzr_siphash(secrets->isn, number, salt);
    return random >> COOKIE_BITS << COOKIE_BITS | lzr_cookie(address, peer_port, own_port, secrets->cookie);
}

const struct secrets *lzr_secrets(struct views *views, PyObject *object)
{
    size_t count;
    const struct secrets *secrets = lzr_view(views, object, 0, sizeof *secrets, &count);
    if (secrets != NULL && count != 1) {
        PyErr_SetString(PyExc_ValueError, "secrets of more than one scan, or of none");
        return NULL;
    }
    return secrets;
}

/* (rows, size of a row, where its four address halves start, where its two ports, seed, out) */
static PyObject *hash_rows(PyObject *const *args, Py_ssize_t count, int wide)
{
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "wants (rows, size, addresses, ports, seed, out)");
        return NULL;
    }
    size_t size = PyLong_AsSize_t(args[1]), addresses = PyLong_AsSize_t(args[2]), ports = PyLong_AsSize_t(args[3]);
    uint64_t seed = PyLong_AsUnsignedLongLongMask(args[4]);
    if (PyErr_Occurred())
        return NULL;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, room;
    const uint8_t *row;
    uint8_t *out;
    if (size < 36 || size > 4096 || addresses > size - 32 || ports > size - 4) {
        PyErr_SetString(PyExc_ValueError, "a row without a 4-tuple");
        return NULL;
    }
    if ((row = lzr_view(&views, args[0], 0, size, &n)) == NULL ||
        (out = lzr_view(&views, args[5], 1, wide ? 8 : 4, &room)) == NULL)
        goto end;
    if (room < n) {
        PyErr_SetString(PyExc_ValueError, "no room for the hashes");
        goto end;
    }
    for (size_t i = 0; i < n; i++, row += size) {
        uint64_t address[4];
        uint16_t port[2];
        memcpy(address, row + addresses, sizeof address);
        memcpy(port, row + ports, sizeof port);
        if (wide) {
            uint64_t key = lzr_key(address[0], address[1], address[2], address[3], port[0], port[1], seed);
            memcpy(out + 8 * i, &key, 8);
        } else {
            uint32_t hash = lzr_hash(address, port[0], port[1], (uint32_t)seed);
            memcpy(out + 4 * i, &hash, 4);
        }
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

PyObject *lzr_flow_keys(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    return hash_rows(args, count, 1);
}

PyObject *lzr_flow_hashes(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    return hash_rows(args, count, 0);
}
