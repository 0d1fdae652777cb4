/* From a flow's 64-bit key to its row: open addressing, linear probing, no tombstones.
 *
 * A place is a key and a slot; slot -1 marks a free one. At most two thirds are taken. Removal shifts what
 * follows back, so a table that lives for ten million flows is as quick as a new one. Keys are hashes with
 * a secret in them (sharding.flow_key), so nobody outside can aim at one place.
 */
#include "native.h"
#include <stdlib.h>

struct __attribute__((packed)) place {
    uint64_t key;
    int32_t slot;
};

typedef struct {
    PyObject_HEAD
    struct place *places;
    size_t mask, used;
} Index;

#define SMALLEST 1024
#define AHEAD 8 /* places fetched before they are looked at */

static struct place *new_places(size_t count)
{
    struct place *places = malloc(count * sizeof *places);
    if (places == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    memset(places, 0xff, count * sizeof *places);
    return places;
}

static size_t find_place(const Index *self, uint64_t key)
{
    size_t at = key & self->mask;
    while (self->places[at].slot >= 0 && self->places[at].key != key)
        at = (at + 1) & self->mask;
    return at;
}

static int resize(Index *self, size_t count)
{
    struct place *old = self->places, *fresh = new_places(count);
    if (fresh == NULL)
        return 0;
    size_t places = self->mask + 1;
    self->places = fresh;
    self->mask = count - 1;
    for (size_t i = 0; i < places; i++)
        if (old[i].slot >= 0)
            fresh[find_place(self, old[i].key)] = old[i];
    free(old);
    return 1;
}

static int make_room(Index *self, size_t more)
{
    size_t count = self->mask + 1;
    if (more > SIZE_MAX / 64 - self->used) {
        PyErr_NoMemory();
        return 0;
    }
    while ((self->used + more) * 3 > count * 2)
        count *= 2;
    return count == self->mask + 1 || resize(self, count);
}

static void take_out(Index *self, size_t hole)
{
    struct place *places = self->places;
    size_t mask = self->mask;
    for (size_t at = (hole + 1) & mask; places[at].slot >= 0; at = (at + 1) & mask) {
        /* It may move into the hole if that is not before its own first choice. */
        if (((at - places[at].key) & mask) >= ((at - hole) & mask)) {
            places[hole] = places[at];
            hole = at;
        }
    }
    places[hole].slot = -1;
    self->used--;
}

static int is_index(PyObject *it)
{
    if (Py_TYPE(it) == &lzr_index_type)
        return 1;
    PyErr_SetString(PyExc_TypeError, "wants an Index");
    return 0;
}

int lzr_index_room(PyObject *index, size_t more) { return is_index(index) && make_room((Index *)index, more); }

int lzr_index_add(PyObject *index, uint64_t key, int32_t slot)
{
    Index *self = (Index *)index;
    struct place *place = &self->places[find_place(self, key)];
    if (place->slot >= 0)
        return 0;
    *place = (struct place){key, slot};
    self->used++;
    return 1;
}

int lzr_index_drop(PyObject *index, uint64_t key)
{
    Index *self = (Index *)index;
    if (!is_index(index))
        return 0;
    size_t at = find_place(self, key);
    if (self->places[at].slot < 0) {
        PyErr_Format(PyExc_KeyError, "%llu", (unsigned long long)key);
        return 0;
    }
    take_out(self, at);
    return 1;
}

int lzr_index_shrink(PyObject *index)
{
    Index *self = (Index *)index;
    if (!is_index(index))
        return 0;
    if (self->mask + 1 <= SMALLEST || self->used * 8 >= self->mask + 1)
        return 1;
    return resize(self, (self->mask + 1) / 2);
}

static inline void fetch(const Index *self, const uint64_t *keys, size_t n, size_t i)
{
    uint64_t key;
    if (i + AHEAD < n) {
        memcpy(&key, keys + i + AHEAD, sizeof key);
        __builtin_prefetch(&self->places[key & self->mask]);
    }
}

static PyObject *index_find(Index *self, PyObject *const *args, Py_ssize_t count)
{
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, room;
    const uint64_t *keys;
    int32_t *out;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "wants (keys, out)");
        return NULL;
    }
    if ((keys = lzr_view(&views, args[0], 0, 8, &n)) == NULL || (out = lzr_view(&views, args[1], 1, 4, &room)) == NULL)
        goto end;
    if (room < n) {
        PyErr_SetString(PyExc_ValueError, "no room for the slots");
        goto end;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t key;
        fetch(self, keys, n, i);
        memcpy(&key, keys + i, sizeof key);
        out[i] = self->places[find_place(self, key)].slot;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

static PyObject *index_insert(Index *self, PyObject *const *args, Py_ssize_t count)
{
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, slots_n, room, refused = 0;
    const uint64_t *keys;
    const int32_t *slots;
    uint8_t *out;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "wants (keys, slots, out)");
        return NULL;
    }
    if ((keys = lzr_view(&views, args[0], 0, 8, &n)) == NULL ||
        (slots = lzr_view(&views, args[1], 0, 4, &slots_n)) == NULL ||
        (out = lzr_view(&views, args[2], 1, 1, &room)) == NULL)
        goto end;
    if (slots_n != n || room < n) {
        PyErr_SetString(PyExc_ValueError, "keys, slots and answers are not as many");
        goto end;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t slot;
        memcpy(&slot, slots + i, sizeof slot);
        if (slot < 0) {
            PyErr_SetString(PyExc_ValueError, "a slot cannot be negative");
            goto end;
        }
    }
    if (!make_room(self, n))
        goto end;
    for (size_t i = 0; i < n; i++) {
        struct place new;
        fetch(self, keys, n, i);
        memcpy(&new.key, keys + i, sizeof new.key);
        memcpy(&new.slot, slots + i, sizeof new.slot);
        struct place *place = &self->places[find_place(self, new.key)];
        out[i] = place->slot < 0 || place->slot == new.slot;
        refused += !out[i];
        if (place->slot < 0) {
            *place = new;
            self->used++;
        }
    }
    result = PyLong_FromSize_t(refused);
end:
    lzr_release(&views);
    return result;
}

static PyObject *index_remove(Index *self, PyObject *const *args, Py_ssize_t count)
{
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n;
    const uint64_t *keys;
    if (count != 1) {
        PyErr_SetString(PyExc_TypeError, "wants (keys)");
        return NULL;
    }
    if ((keys = lzr_view(&views, args[0], 0, 8, &n)) == NULL)
        goto end;
    for (size_t i = 0; i < n; i++) {
        uint64_t key;
        fetch(self, keys, n, i);
        memcpy(&key, keys + i, sizeof key);
        if (!lzr_index_drop((PyObject *)self, key))
            goto end;
    }
    if (lzr_index_shrink((PyObject *)self))
        result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

static PyObject *index_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args;
    (void)keywords;
    Index *self = (Index *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->mask = SMALLEST - 1;
    self->places = new_places(SMALLEST);
    if (self->places == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void index_dealloc(Index *self)
{
    free(self->places);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static Py_ssize_t index_length(Index *self) { return (Py_ssize_t)self->used; }

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"find", FAST(index_find), METH_FASTCALL, "find(keys, out): slots, -1 where a key is unknown"},
    {"insert", FAST(index_insert), METH_FASTCALL, "insert(keys, slots, out) -> refused: add what is new"},
    {"remove", FAST(index_remove), METH_FASTCALL, "remove(keys): forget keys that are there"},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods sequence = {.sq_length = (lenfunc)index_length};

PyTypeObject lzr_index_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lzr._native.Index",
    .tp_basicsize = sizeof(Index),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "64-bit keys to slots",
    .tp_new = index_new,
    .tp_dealloc = (destructor)index_dealloc,
    .tp_methods = methods,
    .tp_as_sequence = &sequence,
};
