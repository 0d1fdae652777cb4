/* Removes duplicates: the functions of lzr/targets/dedup.py, which are the definition.
 *
 * A table is a power of two of 64-bit hashes, 0 where a place is free, open addressing with linear probing.
 * The hashes have a secret in them, so nobody outside can aim at one place.
 */
#include "native.h"

#define FIRST 0x9e3779b97f4a7c15u
#define SECOND 0xbf58476d1ce4e5b9u
#define THIRD 0x94d049bb133111ebu
#define TOGETHER 32 /* rows whose places are fetched before they are looked at */

struct table {
    uint64_t *places;
    size_t mask, count;
};

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * SECOND;
    x = (x ^ x >> 27) * THIRD;
    return x ^ x >> 31;
}

static uint64_t hash_of(const struct target *t, uint64_t key)
{
    int half_open = t->syn == 0;
    uint64_t ports = t->peer_port | (half_open ? (uint64_t)t->own_port << 16 : 0);
    uint64_t hash = mixed((t->peer_lo ^ key) * FIRST + ports);
    hash = mixed(hash ^ t->peer_hi ^ (ports | (uint64_t)half_open << 32) * FIRST);
    hash = mixed(hash + (key ^ (half_open ? (t->own_lo * FIRST) ^ t->own_hi : 0)));
    return hash ? hash : 1;
}

/* Where the hash is, or belongs. A table always has a free place: see lzr_remember. */
static size_t place_of(const struct table *table, uint64_t hash)
{
    size_t at = hash & table->mask;
    while (table->places[at] != 0 && table->places[at] != hash)
        at = (at + 1) & table->mask;
    return at;
}

static int as_table(struct table *table)
{
    if (table->count == 0 || table->count & (table->count - 1)) {
        PyErr_SetString(PyExc_ValueError, "a table is a power of two of places");
        return 0;
    }
    table->mask = table->count - 1;
    return 1;
}

/* (targets, key, new, used, old, fresh) -> added: hashes that `new`, which holds `used`, did not have */
PyObject *lzr_remember(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, room, added = 0;
    const struct target *targets;
    struct table new, old;
    uint8_t *fresh;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "wants (targets, key, new, used, old, fresh)");
        return NULL;
    }
    uint64_t key = PyLong_AsUnsignedLongLongMask(args[1]);
    size_t used = PyLong_AsSize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if ((targets = lzr_view(&views, args[0], 0, sizeof *targets, &n)) == NULL ||
        (new.places = lzr_view(&views, args[2], 1, 8, &new.count)) == NULL ||
        (old.places = lzr_view(&views, args[4], 0, 8, &old.count)) == NULL ||
        (fresh = lzr_view(&views, args[5], 1, 1, &room)) == NULL || !as_table(&new) || !as_table(&old))
        goto end;
    if (room < n || used >= new.count || n >= new.count - used) {
        PyErr_SetString(PyExc_ValueError, "no room for so many targets");
        goto end;
    }
    for (size_t start = 0; start < n; start += TOGETHER) {
        uint64_t hashes[TOGETHER];
        size_t here = n - start < TOGETHER ? n - start : TOGETHER;
        for (size_t i = 0; i < here; i++) {
            hashes[i] = hash_of(targets + start + i, key);
            __builtin_prefetch(&new.places[hashes[i] & new.mask], 1);
            __builtin_prefetch(&old.places[hashes[i] & old.mask]);
        }
        for (size_t i = 0; i < here; i++) {
            uint64_t *place = &new.places[place_of(&new, hashes[i])];
            int known = *place != 0;
            if (!known) {
                *place = hashes[i];
                added++;
                known = old.places[place_of(&old, hashes[i])] != 0;
            }
            fresh[start + i] = !known;
        }
    }
    result = PyLong_FromSize_t(added);
end:
    lzr_release(&views);
    return result;
}

/* (table, hashes): hashes that the table does not have, each once */
PyObject *lzr_enter(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, used = 0;
    struct table table;
    const uint64_t *hashes;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "wants (table, hashes)");
        return NULL;
    }
    if ((table.places = lzr_view(&views, args[0], 1, 8, &table.count)) == NULL ||
        (hashes = lzr_view(&views, args[1], 0, 8, &n)) == NULL || !as_table(&table))
        goto end;
    for (size_t i = 0; i < table.count; i++)
        used += table.places[i] != 0;
    if (used >= table.count || n >= table.count - used) {
        PyErr_SetString(PyExc_ValueError, "no room for so many hashes");
        goto end;
    }
    for (size_t i = 0; i < n; i++)
        if (hashes[i] != 0)
            table.places[place_of(&table, hashes[i])] = hashes[i];
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}
