/* A batch of replies, of which plain HTTP and TLS are identified, and greetings of what is left: `batch` in
 * lzr/fingerprint/webreply.py and `lines` in lzr/fingerprint/greetline.py, which are the definition. */
#include "greetline.h"
#include "webreply.h"

struct head { /* how an echo of a handshake's probe begins, and where */
    size_t at, size;
    const uint8_t *text;
};

static int read_heads(PyObject *tuple, struct head heads[256], size_t *count)
{
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) > 256) {
        lzr_wants("heads, one for each handshake");
        return 0;
    }
    *count = (size_t)PyTuple_GET_SIZE(tuple);
    for (size_t i = 0; i < *count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(tuple, (Py_ssize_t)i);
        char *text;
        Py_ssize_t size;
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            lzr_wants("heads of (at, text)");
            return 0;
        }
        heads[i].at = PyLong_AsSize_t(PyTuple_GET_ITEM(pair, 0));
        if (PyErr_Occurred() || PyBytes_AsStringAndSize(PyTuple_GET_ITEM(pair, 1), &text, &size) < 0)
            return 0;
        heads[i].text = (const uint8_t *)text;
        heads[i].size = (size_t)size;
    }
    return 1;
}

static int may_be_echo(const struct head *head, const uint8_t *data, size_t size)
{
    return head->at <= size && head->size <= size - head->at && memcmp(data + head->at, head->text, head->size) == 0;
}

static int leave(PyObject *left, size_t row, size_t at)
{
    PyObject *place = Py_BuildValue("(nn)", (Py_ssize_t)row, (Py_ssize_t)at);
    int good = place != NULL && PyList_Append(left, place) == 0;
    Py_XDECREF(place);
    return good;
}

/* What adds to the counts of a label; 0 and an exception where that cannot be. */
static int add(PyObject *all, size_t by, PyObject *label, Py_ssize_t count)
{
    PyObject *key = Py_BuildValue("(nO)", (Py_ssize_t)by, label), *value = PyLong_FromSsize_t(count);
    int good = key != NULL && value != NULL && PyDict_SetItem(all, key, value) == 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return good;
}

/* (left, counts). counts: by handshake, and by label for each; of those that are not 0 a dictionary is made */
static PyObject *with_counts(PyObject *left, const Py_ssize_t *counts, PyObject *const *labels, size_t n_labels)
{
    PyObject *tally = PyDict_New(), *result = NULL;
    for (size_t i = 0; i < 256 * n_labels && tally != NULL; i++)
        if (counts[i] != 0 && !add(tally, i / n_labels, labels[i % n_labels], counts[i]))
            Py_CLEAR(tally);
    if (tally != NULL)
        result = PyTuple_Pack(2, left, tally);
    Py_XDECREF(tally);
    return result;
}

/* Whether so few bytes are enough, where they begin with this one: then they are no beginning of a probe. */
static int may_be_short(const struct head *head, const uint8_t *data, size_t size, uint8_t first, size_t least)
{
    return size >= least && data[0] == first && !(head->size > 0 && head->text[0] == first);
}

/* (table, rows, blob, heads, least, names) -> (left, counts): identities of the replies that are plain HTTP or TLS go into
 * `names`; left: (row, place in the blob) of the others; counts: by handshake and label, how many went in */
PyObject *lzr_web_batch(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    const struct table *table;
    const struct outcome *rows;
    const uint8_t *blob;
    struct head heads[256];
    size_t n, size, n_heads, at = 0;
    Py_ssize_t counts[256][WEB_LABELS] = {{0}};
    PyObject *left = NULL, *result = NULL;
    if (count != 6 || !PyList_Check(args[5]))
        return lzr_wants("(table, rows, blob, heads, least, names)");
    PyObject *names = args[5];
    size_t least = PyLong_AsSize_t(args[4]);
    if (PyErr_Occurred() || (table = lzr_web_table_of(args[0])) == NULL || !read_heads(args[3], heads, &n_heads))
        return NULL;
    if ((rows = lzr_view(&views, args[1], 0, sizeof *rows, &n)) == NULL ||
        (blob = lzr_view(&views, args[2], 0, 1, &size)) == NULL || !lzr_as_many((size_t)PyList_GET_SIZE(names) == n) ||
        (left = PyList_New(0)) == NULL)
        goto end;
    for (size_t i = 0; i < n; i++) {
        const size_t length = rows[i].data_len, by = rows[i].handshake;
        if (!lzr_check(length <= size - at, "the rows promise more payload than there is"))
            goto end;
        if (length == 0)
            continue;
        PyObject *it = NULL;
        const uint8_t *data = blob + at;
        if (by < n_heads && (length >= least || may_be_short(&heads[by], data, length, 0x15, 7)) &&
            !may_be_echo(&heads[by], data, length) &&
            (it = *data == 'H' ? lzr_web_identity(table, data, length) : lzr_tls_identity(table, data, length)) == NULL &&
            PyErr_Occurred())
            goto end;
        if (it != NULL) {
            counts[by][*data != 'H']++;
            if (PyList_SetItem(names, (Py_ssize_t)i, it) < 0)
                goto end;
        } else if (!leave(left, i, at)) {
            goto end;
        }
        at += length;
    }
    PyObject *labels[WEB_LABELS];
    for (size_t label = 0; label < WEB_LABELS; label++)
        labels[label] = lzr_web_label(table, label);
    result = with_counts(left, counts[0], labels, WEB_LABELS);
end:
    Py_XDECREF(left);
    lzr_release(&views);
    return result;
}

/* A pair of lengths; 0 and an exception if it is none. */
static int pair_of(PyObject *pair, size_t *row, size_t *at)
{
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
        return lzr_wants("pairs of row and place") != NULL;
    *row = PyLong_AsSize_t(PyTuple_GET_ITEM(pair, 0));
    *at = PyLong_AsSize_t(PyTuple_GET_ITEM(pair, 1));
    return !PyErr_Occurred();
}

/* (table, rows, blob, left, heads, least, names) -> (left, counts): identities of the greetings among what was left go into
 * `names`; left: the others; counts: by handshake and label, how many went in */
PyObject *lzr_greeting_batch(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    const struct greetings *table;
    const struct outcome *rows;
    const uint8_t *blob;
    struct head heads[256];
    size_t n, size, n_heads, row = 0, at = 0, label = 0;
    Py_ssize_t counts[256][GREETING_LABELS];
    PyObject *left = NULL, *result = NULL;
    if (count != 7 || !PyList_Check(args[3]) || !PyList_Check(args[6]))
        return lzr_wants("(table, rows, blob, left, heads, least, names)");
    PyObject *names = args[6], *asked = args[3];
    size_t least = PyLong_AsSize_t(args[5]);
    if (PyErr_Occurred() || (table = lzr_greetings_of(args[0])) == NULL || !read_heads(args[4], heads, &n_heads))
        return NULL;
    memset(counts, 0, sizeof counts);
    if ((rows = lzr_view(&views, args[1], 0, sizeof *rows, &n)) == NULL ||
        (blob = lzr_view(&views, args[2], 0, 1, &size)) == NULL || !lzr_as_many((size_t)PyList_GET_SIZE(names) == n) ||
        (left = PyList_New(0)) == NULL)
        goto end;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(asked); i++) {
        PyObject *place = PyList_GET_ITEM(asked, i), *it = NULL;
        if (!pair_of(place, &row, &at) || !lzr_check(row < n, "there is no such row"))
            goto end;
        const size_t length = rows[row].data_len, by = rows[row].handshake;
        if (!lzr_check(at <= size && length <= size - at, "the rows promise more payload than there is"))
            goto end;
        if (by < n_heads && (length >= least || may_be_short(&heads[by], blob + at, length, 0xff, 3)) &&
            !may_be_echo(&heads[by], blob + at, length) &&
            (it = lzr_greeting_identity(table, blob + at, length, &label)) == NULL && PyErr_Occurred())
            goto end;
        if (it != NULL) {
            counts[by][label]++;
            if (PyList_SetItem(names, (Py_ssize_t)row, it) < 0)
                goto end;
        } else if (PyList_Append(left, place) < 0) {
            goto end;
        }
    }
    PyObject *labels[GREETING_LABELS];
    for (label = 0; label < GREETING_LABELS; label++)
        labels[label] = lzr_greeting_label(table, label);
    result = with_counts(left, counts[0], labels, GREETING_LABELS);
end:
    Py_XDECREF(left);
    lzr_release(&views);
    return result;
}
