/* Counts of a batch of OUTCOME rows: tally in lzr/records/summary.py, which is the definition. */
#include "flow.h"
#include "native.h"

enum { TOTAL, ZERO, HAS_ACKED, WITH_DATA, NO_ANSWER, RESET, ENDED, ACKNOWLEDGED, FIREWALLED, COUNTS };

static void count_row(const struct outcome *row, Py_ssize_t counters[COUNTS], Py_ssize_t handshakes[256])
{
    if (row->firewall != 0 || row->reason == BY_FIREWALL) {
        counters[FIREWALLED]++;
        return;
    }
    counters[ZERO] += row->reason == BY_ZERO_WINDOW || (row->reason == BY_SYN_ACK && row->window == 0);
    counters[HAS_ACKED] += row->acked != 0;
    counters[WITH_DATA] += row->data_len != 0;
    counters[NO_ANSWER] += row->expected == AWAITED_SYN_ACK;
    counters[RESET] += (row->flags & FLAG_RST) != 0;
    counters[ENDED] += (row->flags & FLAG_FIN) != 0;
    counters[ACKNOWLEDGED] += (row->flags & (FLAG_SYN | FLAG_ACK)) == FLAG_ACK;
    handshakes[row->handshake] += row->data_len != 0;
}

/* {number: count}, without those that are 0 */
PyObject *lzr_counted(const Py_ssize_t counts[256])
{
    PyObject *found = PyDict_New();
    for (long i = 0; found != NULL && i < 256; i++) {
        if (counts[i] == 0)
            continue;
        PyObject *number = PyLong_FromLong(i), *count = PyLong_FromSsize_t(counts[i]);
        if (number == NULL || count == NULL || PyDict_SetItem(found, number, count) < 0)
            Py_CLEAR(found);
        Py_XDECREF(number);
        Py_XDECREF(count);
    }
    return found;
}

/* (rows) -> (resolved, counters, reasons, handshakes) */
PyObject *lzr_tally(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    Py_ssize_t resolved = 0, counters[COUNTS] = {0}, reasons[256] = {0}, handshakes[256] = {0};
    const struct outcome *rows;
    size_t n;
    if (count != 1)
        return lzr_wants("(rows)");
    if ((rows = lzr_view(&views, args[0], 0, sizeof *rows, &n)) == NULL)
        goto end;
    for (size_t i = 0; i < n; i++) {
        resolved += rows[i].final != 0;
        if (rows[i].record == 0)
            continue;
        counters[TOTAL]++;
        reasons[rows[i].reason]++;
        count_row(&rows[i], counters, handshakes);
    }
    PyObject *all = PyTuple_New(COUNTS);
    for (Py_ssize_t i = 0; all != NULL && i < COUNTS; i++) {
        PyObject *number = PyLong_FromSsize_t(counters[i]);
        if (number == NULL)
            Py_CLEAR(all);
        else
            PyTuple_SET_ITEM(all, i, number);
    }
    if (all != NULL)
        result = Py_BuildValue("(nNNN)", resolved, all, lzr_counted(reasons), lzr_counted(handshakes));
end:
    lzr_release(&views);
    return result;
}
