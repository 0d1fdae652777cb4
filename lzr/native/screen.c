/* Which targets may be scanned, and which worker owns the shard of each: the functions of lzr/targets/screen.py. */
#include "native.h"

enum verdict { WANTED, SPARED, FOREIGN };

/* (targets, own low, own high, spared low, spared high, verdicts) -> how many are not wanted */
PyObject *lzr_screen(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, room, bounds[4], unwanted = 0;
    const struct target *targets;
    uint8_t *verdicts;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "wants (targets, own low, own high, spared low, spared high, verdicts)");
        return NULL;
    }
    for (int i = 0; i < 4; i++)
        bounds[i] = PyLong_AsSize_t(args[1 + i]);
    if (PyErr_Occurred())
        return NULL;
    if ((targets = lzr_view(&views, args[0], 0, sizeof *targets, &n)) == NULL ||
        (verdicts = lzr_view(&views, args[5], 1, 1, &room)) == NULL || !lzr_as_many(room >= n))
        goto end;
    for (size_t i = 0; i < n; i++) {
        const struct target *t = targets + i;
        enum verdict verdict = WANTED;
        if (t->peer_port >= bounds[2] && t->peer_port <= bounds[3])
            verdict = SPARED;
        else if (t->syn != OPENING_OURS && (t->own_port < bounds[0] || t->own_port > bounds[1]))
            verdict = FOREIGN;
        verdicts[i] = (uint8_t)verdict;
        unwanted += verdict != WANTED;
    }
    result = PyLong_FromSize_t(unwanted);
end:
    lzr_release(&views);
    return result;
}

/* (targets) -> (most syn, ours, least port, greatest port, own hi, own lo, alike): at least one target */
PyObject *lzr_overview(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, ours = 0, alike = 1;
    const struct target *targets;
    unsigned most = 0, low = UINT16_MAX, high = 0;
    if (count != 1)
        return lzr_wants("(targets)");
    if ((targets = lzr_view(&views, args[0], 0, sizeof *targets, &n)) == NULL || !lzr_check(n > 0, "no targets"))
        goto end;
    uint64_t hi = targets->own_hi, lo = targets->own_lo;
    for (size_t i = 0; i < n; i++) {
        const struct target *t = targets + i;
        most = t->syn > most ? t->syn : most;
        low = t->own_port < low ? t->own_port : low;
        high = t->own_port > high ? t->own_port : high;
        ours += t->syn == OPENING_OURS;
        alike &= t->own_hi == hi && t->own_lo == lo;
    }
    result = Py_BuildValue("InIIKKN", most, (Py_ssize_t)ours, low, high, (unsigned long long)hi, (unsigned long long)lo,
                           PyBool_FromLong((long)alike));
end:
    lzr_release(&views);
    return result;
}

/* (targets, hash seed, owners, kept, shards, dealt, counts): into the ledger, and sorted by owner */
PyObject *lzr_deal(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n, n_owners, n_kept, n_shards, room, n_counts;
    const struct target *targets;
    const uint16_t *owners;
    struct target *kept, *dealt;
    uint16_t *shards;
    uint32_t *counts, *at = NULL;
    if (count != 7) {
        PyErr_SetString(PyExc_TypeError, "wants (targets, hash seed, owners, kept, shards, dealt, counts)");
        return NULL;
    }
    uint64_t seed = PyLong_AsUnsignedLongLongMask(args[1]);
    if (PyErr_Occurred())
        return NULL;
    if ((targets = lzr_view(&views, args[0], 0, sizeof *targets, &n)) == NULL ||
        (owners = lzr_view(&views, args[2], 0, 2, &n_owners)) == NULL ||
        (kept = lzr_view(&views, args[3], 1, sizeof *kept, &n_kept)) == NULL ||
        (shards = lzr_view(&views, args[4], 1, 2, &n_shards)) == NULL ||
        (dealt = lzr_view(&views, args[5], 1, sizeof *dealt, &room)) == NULL ||
        (counts = lzr_view(&views, args[6], 1, 4, &n_counts)) == NULL ||
        !lzr_as_many(n_kept == n_shards && room >= n) ||
        !lzr_check(n_owners > 0 && n_owners <= UINT16_MAX, "no shards, or too many"))
        goto end;
    for (size_t shard = 0; shard < n_owners; shard++)
        if (!lzr_check(owners[shard] < n_counts, "an owner that there is not"))
            goto end;
    if ((at = PyMem_Calloc(n_counts, sizeof *at)) == NULL) {
        PyErr_NoMemory();
        goto end;
    }
    memset(counts, 0, n_counts * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        const struct target *t = targets + i;
        if (t->ticket >= n_kept) {
            PyErr_SetString(PyExc_IndexError, "no such ticket");
            goto end;
        }
        uint64_t address[4] = {t->peer_hi, t->peer_lo, t->own_hi, t->own_lo};
        uint16_t shard = (uint16_t)(lzr_hash(address, t->peer_port, t->own_port, (uint32_t)seed) % n_owners);
        memcpy(kept + t->ticket, t, sizeof *t);
        shards[t->ticket] = shard;
        counts[owners[shard]]++;
    }
    uint32_t sum = 0;
    for (size_t owner = 0; owner < n_counts; owner++) {
        at[owner] = sum;
        sum += counts[owner];
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t *next = &at[owners[shards[targets[i].ticket]]];
        if (*next >= n) { /* a ticket twice, and the later row went elsewhere */
            PyErr_SetString(PyExc_ValueError, "a ticket twice");
            goto end;
        }
        memcpy(dealt + (*next)++, targets + i, sizeof *targets);
    }
    result = Py_NewRef(Py_None);
end:
    PyMem_Free(at);
    lzr_release(&views);
    return result;
}
