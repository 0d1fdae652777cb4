/* The hot functions of lzr/sweep: the permutation, pairs by number, what a SYN carries. Each is the equal of the
 * function in Python that it stands in for. */
#include "native.h"

#define ROUNDS 6

/* sweep.permutation.Permutation.packed */
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

static uint64_t taken(uint64_t from, uint64_t of, uint64_t within, uint64_t key)
{
    uint64_t mixed = (lzr_mix64(of ^ key) >> 32) * within >> 32;
    return from < mixed ? from + within - mixed : from - mixed;
}

/* The inverse of once */
static uint64_t back(const struct order *order, uint64_t element)
{
    uint64_t left = element / order->right, right = element - left * order->right;
    for (int i = ROUNDS - 2; i >= 0; i -= 2) {
        right = taken(right, left, order->right, order->keys[i + 1]);
        left = taken(left, right, order->left, order->keys[i]);
    }
    return left * order->right + right;
}

/* Whether it is one: the ranges are a little larger than the size together, and no product leaves 64 bits. */
static int read_order(struct order *order, const void *packed, size_t count)
{
    if (!lzr_check(count == 1, "an order is nine words"))
        return 0;
    memcpy(order, packed, sizeof *order);
    return lzr_check(order->size <= (uint64_t)1 << 48 && order->left - 1 < (uint64_t)1 << 32 &&
                         order->right - 1 < (uint64_t)1 << 32 && order->left * order->right >= order->size &&
                         order->left * order->right - order->size <= order->left,
                     "no order of this size");
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
        (out = lzr_view(&views, args[3], 1, 8, &n)) == NULL || !read_order(&order, packed, orders))
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

/* (order, elements, out): the position of each element */
PyObject *lzr_sweep_places(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t orders, n, room;
    const void *packed;
    const uint64_t *elements;
    uint64_t *out;
    struct order order;
    if (count != 3)
        return lzr_wants("(order, elements, out)");
    if ((packed = lzr_view(&views, args[0], 0, sizeof order, &orders)) == NULL ||
        (elements = lzr_view(&views, args[1], 0, 8, &n)) == NULL ||
        (out = lzr_view(&views, args[2], 1, 8, &room)) == NULL || !lzr_as_many(room >= n) ||
        !read_order(&order, packed, orders))
        goto end;
    for (size_t i = 0; i < n; i++) {
        if (!lzr_check(elements[i] < order.size, "an element outside the order"))
            goto end;
        uint64_t place = back(&order, elements[i]);
        while (place >= order.size)
            place = back(&order, place);
        out[i] = place;
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

/* How many of the ranges begin at or below an address */
static size_t ranges_until(const uint64_t *hi, const uint64_t *lo, size_t count, const uint64_t address[2])
{
    size_t first = 0;
    while (count > 0) {
        size_t half = count / 2, at = first + half;
        int below = hi[at] < address[0] || (hi[at] == address[0] && lo[at] <= address[1]);
        first = below ? at + 1 : first;
        count = below ? count - half - 1 : half;
    }
    return first;
}

/* (rows, size of a row, where its address starts, where its port, starts, hi, lo, counts, ports, numbers, inside): the
 * number of each row's pair, and whether it is in the space */
PyObject *lzr_sweep_numbers(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, ranges, n_hi, n_lo, n_counts, ports, n_numbers, n_inside;
    const uint8_t *row;
    const uint64_t *starts, *hi, *lo, *counts;
    const uint16_t *port;
    uint64_t *numbers;
    uint8_t *inside;
    if (count != 11)
        return lzr_wants("(rows, size, addresses, ports, starts, hi, lo, counts, ports, numbers, inside)");
    size_t size = PyLong_AsSize_t(args[1]), where = PyLong_AsSize_t(args[2]), where_port = PyLong_AsSize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if (!lzr_check(size >= 18 && size <= 4096 && where <= size - 16 && where_port <= size - 2, "a row without a pair"))
        return NULL;
    if ((row = lzr_view(&views, args[0], 0, size, &n)) == NULL ||
        (starts = lzr_view(&views, args[4], 0, 8, &ranges)) == NULL ||
        (hi = lzr_view(&views, args[5], 0, 8, &n_hi)) == NULL || (lo = lzr_view(&views, args[6], 0, 8, &n_lo)) == NULL ||
        (counts = lzr_view(&views, args[7], 0, 8, &n_counts)) == NULL ||
        (port = lzr_view(&views, args[8], 0, 2, &ports)) == NULL ||
        (numbers = lzr_view(&views, args[9], 1, 8, &n_numbers)) == NULL ||
        (inside = lzr_view(&views, args[10], 1, 1, &n_inside)) == NULL ||
        !lzr_as_many(n_hi == ranges && n_lo == ranges && n_counts == ranges && n_numbers >= n && n_inside >= n) ||
        !lzr_check(ranges > 0 && ports > 0, "a space without pairs"))
        goto end;
    for (size_t i = 0; i < n; i++, row += size) {
        uint64_t address[2];
        uint16_t wanted;
        memcpy(address, row + where, sizeof address);
        memcpy(&wanted, row + where_port, sizeof wanted);
        size_t below = ranges_until(hi, lo, ranges, address), at = below ? below - 1 : 0;
        size_t rank = 0, left = ports; /* of the last port that is not above the one wanted, or of the first */
        while (left > 1) {
            size_t half = left / 2;
            rank = port[rank + half] <= wanted ? rank + half : rank;
            left -= half;
        }
        uint64_t offset = address[1] - lo[at];
        inside[i] = below && hi[at] == address[0] && offset < counts[at] && port[rank] == wanted;
        numbers[i] = inside[i] ? (starts[at] + offset) * ports + rank : 0;
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
