/* The hot functions of lzr/sweep: the permutation, pairs by number, what a SYN carries. Each is the equal of the
 * function in Python that it stands in for. */
#include "native.h"

#define ROUNDS 6

/* Permutation.packed */
struct order {
    uint64_t size, left, right, keys[ROUNDS];
};

static uint64_t added(uint64_t to, uint64_t of, uint64_t within, uint64_t key)
{
    uint64_t total = to + ((lzr_mix64(of ^ key) >> 32) * within >> 32);
    return total >= within ? total - within : total;
}

static uint64_t once(const struct order *order, uint64_t number)
{
    uint64_t left = number / order->right, right = number - left * order->right;
    for (int i = 0; i < ROUNDS; i += 2) {
        left = added(left, right, order->left, order->keys[i]);
        right = added(right, left, order->right, order->keys[i + 1]);
    }
    return left * order->right + right;
}

/* (order, first, step, out): the elements at first, first + step, ... */
PyObject *lzr_sweep_permute(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t orders, n;
    const void *packed;
    uint64_t *out;
    struct order order;
    if (count != 4)
        return lzr_wants("(order, first, step, out)");
    uint64_t at = PyLong_AsUnsignedLongLong(args[1]), step = PyLong_AsUnsignedLongLong(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if ((packed = lzr_view(&views, args[0], 0, sizeof order, &orders)) == NULL ||
        (out = lzr_view(&views, args[3], 1, 8, &n)) == NULL || !lzr_check(orders == 1, "an order is nine words"))
        goto end;
    memcpy(&order, packed, sizeof order);
    /* The ranges are a little larger than the size together, and no product leaves 64 bits. */
    if (!lzr_check(order.size <= (uint64_t)1 << 48 && order.left - 1 < (uint64_t)1 << 32 &&
                       order.right - 1 < (uint64_t)1 << 32 && order.left * order.right >= order.size &&
                       order.left * order.right - order.size <= order.left,
                   "no order of this size"))
        goto end;
    if (n > 0 && !lzr_check(at < order.size && step > 0 && (order.size - 1 - at) / step >= n - 1,
                            "positions outside the order"))
        goto end;
    for (size_t i = 0; i < n; i++, at += step) {
        uint64_t number = once(&order, at);
        while (number >= order.size)
            number = once(&order, number);
        out[i] = number;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* (numbers, pairs, starts, hi, lo, ports, rows): the pair of each number into a FRAME row */
PyObject *lzr_sweep_place(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, ranges, n_hi, n_lo, ports, room;
    const uint64_t *numbers, *starts, *hi, *lo;
    const uint16_t *port;
    struct frame *rows;
    if (count != 7)
        return lzr_wants("(numbers, pairs, starts, hi, lo, ports, rows)");
    uint64_t pairs = PyLong_AsUnsignedLongLong(args[1]);
    if (PyErr_Occurred())
        return NULL;
    if ((numbers = lzr_view(&views, args[0], 0, 8, &n)) == NULL ||
        (starts = lzr_view(&views, args[2], 0, 8, &ranges)) == NULL ||
        (hi = lzr_view(&views, args[3], 0, 8, &n_hi)) == NULL || (lo = lzr_view(&views, args[4], 0, 8, &n_lo)) == NULL ||
        (port = lzr_view(&views, args[5], 0, 2, &ports)) == NULL ||
        (rows = lzr_view(&views, args[6], 1, sizeof *rows, &room)) == NULL ||
        !lzr_as_many(n_hi == ranges && n_lo == ranges && room >= n))
        goto end;
    for (size_t i = 0; i < n; i++) {
        if (!lzr_check(numbers[i] < pairs && ranges > 0 && ports > 0, "a pair outside the space"))
            goto end;
        uint64_t rank = numbers[i] / ports;
        size_t low = 0, left = ranges; /* the last range that begins at or below the rank; the first begins at 0 */
        while (left > 1) {
            size_t half = left / 2;
            low = starts[low + half] <= rank ? low + half : low; /* no branch to be guessed */
            left -= half;
        }
        rows[i].peer_hi = hi[low];
        rows[i].peer_lo = lo[low] + (rank - starts[low]);
        rows[i].peer_port = port[numbers[i] - rank * ports];
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* (rows, size of a row, where its four address halves start, where its two ports, key, key, key of the filter's cookie,
 * our first port, the last, own_ports, isns) */
PyObject *lzr_sweep_cookies(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, n_ports, n_isns;
    const uint8_t *row;
    uint16_t *own_ports;
    uint32_t *isns;
    if (count != 11)
        return lzr_wants("(rows, size, addresses, ports, key, key, filter, first, last, own_ports, isns)");
    size_t size = PyLong_AsSize_t(args[1]), addresses = PyLong_AsSize_t(args[2]), ports = PyLong_AsSize_t(args[3]);
    const uint64_t key[2] = {PyLong_AsUnsignedLongLongMask(args[4]), PyLong_AsUnsignedLongLongMask(args[5])};
    uint64_t filter = PyLong_AsUnsignedLongLongMask(args[6]);
    unsigned long first = PyLong_AsUnsignedLong(args[7]), last = PyLong_AsUnsignedLong(args[8]);
    if (PyErr_Occurred())
        return NULL;
    if (!lzr_check(size >= 36 && size <= 4096 && addresses <= size - 32 && ports <= size - 4, "a row without a 4-tuple") ||
        !lzr_check(first <= last && last <= 65535, "no range of ports"))
        return NULL;
    if ((row = lzr_view(&views, args[0], 0, size, &n)) == NULL ||
        (own_ports = lzr_view(&views, args[9], 1, 2, &n_ports)) == NULL ||
        (isns = lzr_view(&views, args[10], 1, 4, &n_isns)) == NULL || !lzr_as_many(n_ports >= n && n_isns >= n))
        goto end;
    uint64_t own_hi = 0, own_lo = 0, own = lzr_siphash(key, 0, 0);
    for (size_t i = 0; i < n; i++, row += size) {
        uint64_t address[4];
        uint16_t peer_port;
        memcpy(address, row + addresses, sizeof address);
        memcpy(&peer_port, row + ports, sizeof peer_port);
        if (address[2] != own_hi || address[3] != own_lo) { /* we have few */
            own_hi = address[2];
            own_lo = address[3];
            own = lzr_siphash(key, own_hi, own_lo);
        }
        uint64_t tag = lzr_siphash(key, lzr_siphash(key, address[0], address[1]), own ^ peer_port);
        own_ports[i] = (uint16_t)(first + ((tag & 0xffffffff) * (last - first + 1) >> 32));
        isns[i] = (uint32_t)(tag >> 32) >> COOKIE_BITS << COOKIE_BITS |
                  lzr_cookie(address, peer_port, own_ports[i], filter);
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}
