/* What segments and timers mean to many flows at once: `read_triggers` of lzr/flow/machine.py; and, of
 * lzr/flow/tcp.py, `step`, `due`, `bump` and `gather`.
 *
 * The state machine itself is machine.TRANSITIONS; it comes as an argument and is only looked up here.
 * Slots and other numbers come from Python, and each is checked against the table before it is used.
 */
#include "flow.h"
#include "native.h"

/* rows.FlowTrigger; kernels.py checks that the names are these */
enum trigger { NOTHING, SYN_ACK, ZERO_WINDOW, ACK, DATA, FIN, RST, RETRANSMIT_DUE, TIMED_OUT, SETTLED, DELAY_OVER,
           EARLY_DATA, SYN_ACK_AGAIN, TRIGGERS };

#define IGNORE 0

static const char *const STATE_NAMES[] = {"FREE", "DELAYED", "SYN_SENT", "DATA_SENT", "ACKED", "SETTLING", "FIREWALL_CHECK"};
static const char *const TRIGGER_NAMES[] = {"NOTHING", "SYN_ACK", "ZERO_WINDOW", "ACK", "DATA", "FIN", "RST",
                                        "RETRANSMIT_DUE", "TIMED_OUT", "SETTLED", "DELAY_OVER", "EARLY_DATA",
                                        "SYN_ACK_AGAIN"};
_Static_assert(sizeof STATE_NAMES / sizeof *STATE_NAMES == STATES, "states");
_Static_assert(sizeof TRIGGER_NAMES / sizeof *TRIGGER_NAMES == TRIGGERS, "triggers");

static PyObject *names(const char *const *from, int count)
{
    PyObject *found = PyTuple_New(count);
    for (int i = 0; found != NULL && i < count; i++) {
        PyObject *name = PyUnicode_FromString(from[i]);
        if (name == NULL) {
            Py_DECREF(found);
            return NULL;
        }
        PyTuple_SET_ITEM(found, i, name);
    }
    return found;
}

PyObject *lzr_state_names(void) { return names(STATE_NAMES, STATES); }
PyObject *lzr_trigger_names(void) { return names(TRIGGER_NAMES, TRIGGERS); }

/* machine.read_triggers for one segment */
static enum trigger read_trigger(const struct flow *flow, const struct segment *s)
{
    int syn = s->flags & FLAG_SYN, fin = s->flags & FLAG_FIN, rst = s->flags & FLAG_RST, acks = s->flags & FLAG_ACK;
    int ack_ok = acks && (uint32_t)(s->ack - flow->una) <= (uint32_t)(flow->nxt - flow->una);
    uint32_t ahead = flow->rcv - s->seq;
    if (flow->state == SYN_SENT || flow->state == FIREWALL_CHECK) {
        if (!ack_ok)
            return NOTHING;
        if (rst)
            return RST;
        return !syn ? NOTHING : s->window == 0 ? ZERO_WINDOW : SYN_ACK;
    }
    if (rst)
        return ahead == 0 && (ack_ok || !acks) ? RST : NOTHING;
    if (syn && acks && s->ack == flow->una && ahead == 1)
        return s->ts >= flow->ts + REPEATED ? SYN_ACK_AGAIN : NOTHING;
    if (syn || !ack_ok)
        return NOTHING;
    if (ahead < s->data_len)
        return DATA;
    if (fin && ahead == s->data_len)
        return FIN;
    uint32_t beyond = 0 - ahead;
    if (beyond >= OUR_WINDOW)
        return NOTHING;
    if (s->data_len > 0)
        return EARLY_DATA;
    return s->ack != flow->una ? ACK : NOTHING;
}

static int same_tuple(const struct flow *f, const struct segment *s)
{
    return f->peer_lo == s->peer_lo && f->peer_port == s->peer_port && f->own_port == s->own_port &&
           f->own_lo == s->own_lo && f->peer_hi == s->peer_hi && f->own_hi == s->own_hi;
}

/* Which slots a round has met: a small hash set over the slots of one call. */
struct met {
    int32_t *places;
    size_t mask;
};

static int meet(struct met *met, int32_t slot)
{
    size_t at = ((uint32_t)slot * 0x9e3779b1u >> 7) & met->mask;
    while (met->places[at] >= 0) {
        if (met->places[at] == slot)
            return 0;
        at = (at + 1) & met->mask;
    }
    met->places[at] = slot;
    return 1;
}

/* Whether a first sign of life on the connection is awaited. */
static int is_fresh(const struct flow *flow)
{
    return flow->counter == 0 && (flow->state == DATA_SENT || flow->state == SYN_SENT);
}

/* tcp.note_ages for one answer */
static void note_age(int64_t *ages, uint64_t sent, uint64_t came)
{
    uint64_t age = came > sent ? came - sent : 0;
    int bits = age == 0 ? 0 : 64 - __builtin_clzll(age);
    ages[bits < AGES ? bits : AGES - 1]++;
}

/* (flows, segments, keys, slots, todo, transitions, stay, ages, live, actions) -> (live, later, ignored, fresh)
 *
 * One round over segments[todo], in order: the first segment of each flow is judged, and noted in its flow if
 * it means something: then its number is in `live` and its action in `actions`. Segments of flows that had
 * one already are left in `todo` for the next round. fresh: flows that show their first sign of life; in `ages`
 * they are counted by how long that took. Actions from `stay` on are no sign of life. */
PyObject *lzr_step(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    struct met met = {NULL, 0};
    PyObject *result = NULL;
    size_t n_flows, n, n_keys, n_slots, n_todo, cells, n_ages, room_live, room_actions;
    struct flow *flows;
    const struct segment *segments;
    const uint64_t *keys;
    const int32_t *slots;
    int32_t *todo, *live;
    int64_t *ages;
    const uint8_t *transitions;
    uint8_t *actions;
    if (count != 10)
        return lzr_wants("(flows, segments, keys, slots, todo, transitions, stay, ages, live, actions)");
    size_t stay = PyLong_AsSize_t(args[6]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 1, sizeof *flows, &n_flows)) == NULL ||
        (segments = lzr_view(&views, args[1], 0, sizeof *segments, &n)) == NULL ||
        (keys = lzr_view(&views, args[2], 0, 8, &n_keys)) == NULL ||
        (slots = lzr_view(&views, args[3], 0, 4, &n_slots)) == NULL ||
        (todo = lzr_view(&views, args[4], 1, 4, &n_todo)) == NULL ||
        (transitions = lzr_view(&views, args[5], 0, 1, &cells)) == NULL ||
        (ages = lzr_view(&views, args[7], 1, 8, &n_ages)) == NULL ||
        (live = lzr_view(&views, args[8], 1, 4, &room_live)) == NULL ||
        (actions = lzr_view(&views, args[9], 1, 1, &room_actions)) == NULL ||
        !lzr_as_many(n_keys == n && n_slots == n && room_live >= n_todo && room_actions >= n_todo) ||
        !lzr_check(cells == STATES * TRIGGERS, "a table of other transitions") ||
        !lzr_check(n_ages == AGES, "not as many ages") ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    size_t places = 64;
    while (places < 2 * n_todo)
        places *= 2;
    if ((met.places = PyMem_Malloc(places * sizeof *met.places)) == NULL) {
        PyErr_NoMemory();
        goto end;
    }
    memset(met.places, 0xff, places * sizeof *met.places);
    met.mask = places - 1;
    size_t made = 0, later = 0, ignored = 0, fresh = 0;
    for (size_t i = 0; i < n_todo; i++) {
        int32_t at = todo[i];
        if (at < 0 || (size_t)at >= n) {
            PyErr_SetString(PyExc_IndexError, "no such segment");
            goto end;
        }
        if (i + 4 < n_todo && todo[i + 4] >= 0 && (size_t)todo[i + 4] < n)
            __builtin_prefetch(flows + slots[todo[i + 4]], 1);
        if (!meet(&met, slots[at])) {
            todo[later++] = at;
            continue;
        }
        struct flow *flow = flows + slots[at];
        const struct segment *s = segments + at;
        /* An earlier round may have moved the flow to another port. */
        enum trigger trigger = flow->key == keys[at] && same_tuple(flow, s) ? read_trigger(flow, s) : NOTHING;
        uint8_t action = flow->state < STATES ? transitions[flow->state * TRIGGERS + trigger] : IGNORE;
        if (action == IGNORE) {
            ignored++;
            continue;
        }
        if (action < stay && is_fresh(flow)) {
            note_age(ages, flow->ts, s->ts);
            fresh++;
        }
        if (flow->state != SETTLING) { /* a record tells of the segment that brought the first data */
            flow->seq = s->seq;
            flow->ack = s->ack;
            flow->window = s->window;
            flow->ttl = s->ttl;
            flow->flags = s->flags;
            flow->ts = s->ts;
        }
        if (s->flags & FLAG_ACK && s->ack != flow->una)
            flow->acked = 1;
        live[made] = at;
        actions[made++] = action;
    }
    result = Py_BuildValue("nnnn", (Py_ssize_t)made, (Py_ssize_t)later, (Py_ssize_t)ignored, (Py_ssize_t)fresh);
end:
    PyMem_Free(met.places);
    lzr_release(&views);
    return result;
}

/* (flows, slots, generations, transitions, trigger, live, actions) -> (live, fresh): timers that came due and still count,
 * and how many of their flows have shown no sign of life */
PyObject *lzr_due(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, n_generations, cells, room_live, room_actions, made = 0, fresh = 0;
    const struct flow *flows;
    const int32_t *slots;
    const uint32_t *generations;
    const uint8_t *transitions;
    int32_t *live;
    uint8_t *actions;
    if (count != 7)
        return lzr_wants("(flows, slots, generations, transitions, trigger, live, actions)");
    size_t trigger = PyLong_AsSize_t(args[4]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 0, sizeof *flows, &n_flows)) == NULL ||
        (slots = lzr_view(&views, args[1], 0, 4, &n)) == NULL ||
        (generations = lzr_view(&views, args[2], 0, 4, &n_generations)) == NULL ||
        (transitions = lzr_view(&views, args[3], 0, 1, &cells)) == NULL ||
        (live = lzr_view(&views, args[5], 1, 4, &room_live)) == NULL ||
        (actions = lzr_view(&views, args[6], 1, 1, &room_actions)) == NULL ||
        !lzr_as_many(n_generations == n && room_live >= n && room_actions >= n) ||
        !lzr_check(cells == STATES * TRIGGERS, "a table of other transitions") ||
        !lzr_check(trigger < TRIGGERS, "no such trigger") ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    for (size_t i = 0; i < n; i++) {
        if (i + 8 < n)
            __builtin_prefetch((const uint8_t *)(flows + slots[i + 8]) + offsetof(struct flow, generation));
        const struct flow *flow = flows + slots[i];
        if (flow->generation != generations[i] || flow->state == FREE || flow->state >= STATES)
            continue;
        fresh += is_fresh(flow);
        live[made] = slots[i];
        actions[made++] = transitions[flow->state * TRIGGERS + trigger];
    }
    result = Py_BuildValue("nn", (Py_ssize_t)made, (Py_ssize_t)fresh);
end:
    lzr_release(&views);
    return result;
}

/* (flows, slots, state, out): the next generation of each row; `state` 255 leaves the state */
PyObject *lzr_bump(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, room;
    struct flow *flows;
    const int32_t *slots;
    uint32_t *out;
    if (count != 4)
        return lzr_wants("(flows, slots, state, out)");
    size_t state = PyLong_AsSize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 1, sizeof *flows, &n_flows)) == NULL ||
        (slots = lzr_view(&views, args[1], 0, 4, &n)) == NULL ||
        (out = lzr_view(&views, args[3], 1, 4, &room)) == NULL ||
        !lzr_as_many(room >= n) || !lzr_check(state < STATES || state == 255, "no such state") ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    for (size_t i = 0; i < n; i++) {
        struct flow *flow = flows + slots[i];
        if (state != 255)
            flow->state = (uint8_t)state;
        out[i] = ++flow->generation;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* (buffer, starts, lengths) -> bytes: the parts, joined */
PyObject *lzr_gather(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t size, n, n_lengths, total = 0;
    const uint8_t *buffer;
    const uint32_t *starts, *lengths;
    if (count != 3)
        return lzr_wants("(buffer, starts, lengths)");
    if ((buffer = lzr_view(&views, args[0], 0, 1, &size)) == NULL ||
        (starts = lzr_view(&views, args[1], 0, 4, &n)) == NULL ||
        (lengths = lzr_view(&views, args[2], 0, 4, &n_lengths)) == NULL || !lzr_as_many(n_lengths == n))
        goto end;
    for (size_t i = 0; i < n; i++) {
        if (starts[i] > size || lengths[i] > size - starts[i]) {
            PyErr_SetString(PyExc_IndexError, "a part lies outside the buffer");
            goto end;
        }
        total += lengths[i];
    }
    if (total > PY_SSIZE_T_MAX || (result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total)) == NULL)
        goto end;
    char *to = PyBytes_AS_STRING(result);
    for (size_t i = 0; i < n; i++) {
        memcpy(to, buffer + starts[i], lengths[i]);
        to += lengths[i];
    }
end:
    lzr_release(&views);
    return result;
}
