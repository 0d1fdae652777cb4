/* TCP of many flows at once: `open_rows`, `send`, `take_data`, `finish` and `outcome_rows` of lzr/flow/tcp.py.
 * The rest of it (`step`, `due`, `bump`, `gather`) is in machine.c.
 *
 * One function is one whole act, so that a flow is touched once and a small batch costs little: where there is
 * little to do, what a call costs is the code and the memory it has to fetch first.
 */
#include "flow.h"
#include "native.h"

static uint32_t number_of(const struct flow *flow, size_t number)
{
    switch (number) {
    case FROM_ISN:
        return flow->una - 1;
    case FROM_NXT:
        return flow->nxt;
    case FROM_ACK:
        return flow->ack;
    case FROM_CLOSE:
        return flow->state == DATA_SENT ? flow->una : flow->nxt;
    default:
        return flow->una;
    }
}

static void make_frame(struct frame *to, const struct flow *flow, size_t number, size_t flags, size_t probe,
                       const struct secrets *secrets)
{
    struct frame frame = {
        .peer_hi = flow->peer_hi, .peer_lo = flow->peer_lo, .own_hi = flow->own_hi, .own_lo = flow->own_lo,
        .nonce = probe == NO_PROBE ? 0 : lzr_siphash(secrets->nonce, flow->key, 0), .seq = number_of(flow, number),
        .ack = flow->rcv, .peer_port = flow->peer_port, .own_port = flow->own_port, .flags = (uint8_t)flags,
        .probe = (uint8_t)probe,
    };
    memcpy(to, &frame, sizeof frame);
}

/* machine.awaited for one flow */
static enum expected awaited(const struct flow *flow, size_t reason)
{
    if (reason == BY_ZERO_WINDOW || reason == BY_RST || reason == BY_FIN || reason == BY_SYN_ACK)
        return AWAITED_NOTHING;
    if (reason == BY_DATA)
        return AWAITED_DATA;
    switch (flow->state) {
    case SYN_SENT:
    case DELAYED:
        return AWAITED_SYN_ACK;
    case ACKED:
    case SETTLING:
        return AWAITED_DATA;
    case DATA_SENT:
        return flow->nxt == flow->una ? AWAITED_DATA : AWAITED_ACK;
    default:
        return AWAITED_NOTHING;
    }
}

static void make_outcome(struct outcome *to, const struct flow *flow, size_t reason, uint32_t length, int final)
{
    struct outcome outcome = {
        .ts = flow->ts, .peer_hi = flow->peer_hi, .peer_lo = flow->peer_lo, .own_hi = flow->own_hi,
        .own_lo = flow->own_lo, .line = flow->line, .ticket = flow->ticket, .seq = flow->seq, .ack = flow->ack,
        .data_len = length, .peer_port = flow->peer_port, .own_port = flow->own_port, .window = flow->window,
        .ttl = flow->ttl, .flags = flow->flags, .counter = flow->counter, .acked = flow->acked,
        .handshake = flow->handshake, .expected = (uint8_t)awaited(flow, reason), .reason = (uint8_t)reason,
        .firewall = reason == BY_FIREWALL, .final = final != 0, .record = (flow->kept == 0 && reason != BY_BLOCK) || reason == BY_DATA,
    };
    memcpy(to, &outcome, sizeof outcome);
}


/* (flows, index, targets, slots, secrets, wall, steps) -> how many have each first step, and how many are doubtful */
PyObject *lzr_open_rows(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, n_slots, room, found[FIRST_STEPS] = {0}, doubtful = 0;
    struct flow *flows;
    const struct target *targets;
    const int32_t *slots;
    uint8_t *steps;
    const struct secrets *secrets;
    if (count != 7)
        return lzr_wants("(flows, index, targets, slots, secrets, wall, steps)");
    uint64_t wall = PyLong_AsUnsignedLongLong(args[5]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 1, sizeof *flows, &n_flows)) == NULL ||
        (targets = lzr_view(&views, args[2], 0, sizeof *targets, &n)) == NULL ||
        (slots = lzr_view(&views, args[3], 0, 4, &n_slots)) == NULL ||
        (secrets = lzr_secrets(&views, args[4])) == NULL ||
        (steps = lzr_view(&views, args[6], 1, 1, &room)) == NULL || !lzr_as_many(n_slots == n && room >= n) ||
        !lzr_slots_fit(slots, n, n_flows) || !lzr_index_room(args[1], n))
        goto end;
    for (size_t i = 0; i < n; i++) {
        const struct target *t = targets + i;
        struct flow *row = flows + slots[i];
        uint64_t key =
            lzr_key(t->peer_hi, t->peer_lo, t->own_hi, t->own_lo, t->peer_port, t->own_port, secrets->index);
        int ours = t->syn == OPENING_OURS;
        enum first_step step = ours ? OURS : t->window == 0 ? STEP_ZERO_WINDOW : READY;
        if (!lzr_index_add(args[1], key, slots[i])) {
            steps[i] = DUPLICATE;
            found[DUPLICATE]++;
            continue;
        }
        uint32_t una = t->ack;
        if (ours) {
            uint64_t address[4] = {t->peer_hi, t->peer_lo, t->own_hi, t->own_lo};
            una = lzr_isn(address, t->peer_port, t->own_port, t->line * 256, 0, secrets) + 1;
        }
        doubtful += t->syn == OPENING_DOUBTFUL;
        struct flow flow = {
            .peer_hi = t->peer_hi, .peer_lo = t->peer_lo, .own_hi = t->own_hi, .own_lo = t->own_lo,
            .line = t->line, .key = key, .ts = wall, .ticket = t->ticket, .una = una, .nxt = una,
            .rcv = t->seq + 1, .seq = t->seq, .ack = t->ack, .generation = row->generation,
            .peer_port = t->peer_port, .own_port = t->own_port, .window = t->window, .ttl = t->ttl,
            .flags = ours ? 0 : FLAG_SYN | FLAG_ACK, .state = ours ? SYN_SENT : DATA_SENT, .doubt = t->syn == OPENING_DOUBTFUL,
        };
        memcpy(row, &flow, sizeof flow);
        steps[i] = (uint8_t)step;
        found[step]++;
    }
    result = Py_BuildValue("nnnnn", (Py_ssize_t)found[READY], (Py_ssize_t)found[STEP_ZERO_WINDOW], (Py_ssize_t)found[OURS],
                           (Py_ssize_t)found[DUPLICATE], (Py_ssize_t)doubtful);
end:
    lzr_release(&views);
    return result;
}

/* (flows, slots, number, flags, probe, secrets, length, frames, generations): a frame of each flow
 *
 * length: None, or bytes of payload that are sent from `una` on, or the program that says how many they are.
 * generations: None, or where the next generation of each flow goes: its timer is armed anew. */
PyObject *lzr_send(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, room, more = 0, size = 0, fixed = 0;
    struct flow *flows;
    const int32_t *slots;
    const uint8_t *program = NULL;
    struct frame *out;
    uint32_t *generations = NULL;
    if (count != 9)
        return lzr_wants("(flows, slots, number, flags, probe, secrets, length, frames, generations)");
    size_t number = PyLong_AsSize_t(args[2]), flags = PyLong_AsSize_t(args[3]), probe = PyLong_AsSize_t(args[4]);
    const struct secrets *secrets;
    int counts = PyLong_Check(args[6]);
    if (counts)
        fixed = PyLong_AsSize_t(args[6]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 1, sizeof *flows, &n_flows)) == NULL ||
        (slots = lzr_view(&views, args[1], 0, 4, &n)) == NULL ||
        (secrets = lzr_secrets(&views, args[5])) == NULL ||
        (out = lzr_view(&views, args[7], 1, sizeof *out, &room)) == NULL ||
        (!counts && args[6] != Py_None && (program = lzr_view(&views, args[6], 0, 1, &size)) == NULL) ||
        (args[8] != Py_None && (generations = lzr_view(&views, args[8], 1, 4, &more)) == NULL) ||
        !lzr_as_many(room >= n && (generations == NULL || more >= n)) ||
        !lzr_check(number < NUMBERS_THERE_ARE, "no such sequence number") ||
        !lzr_check(flags < 256 && probe < 256, "flags or a probe that do not fit a frame") ||
        !lzr_check(fixed <= UINT32_MAX, "a probe that is too long") ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    for (size_t i = 0; i < n; i++) {
        if (i + 4 < n)
            __builtin_prefetch(flows + slots[i + 4], 1);
        struct flow *flow = flows + slots[i];
        if (program != NULL) {
            size_t length = lzr_probe_length(program, size, flow->peer_hi, flow->peer_lo, flow->peer_port);
            if (length > UINT32_MAX) {
                PyErr_SetString(PyExc_ValueError, "no program");
                goto end;
            }
            flow->nxt = flow->una + (uint32_t)length;
        } else if (counts) {
            flow->nxt = flow->una + (uint32_t)fixed;
        }
        make_frame(out + i, flow, number, flags, probe, secrets);
        if (generations != NULL)
            generations[i] = ++flow->generation;
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* (flows, slots, reason, lengths, final, out): OUTCOME rows; lengths: of the payloads */
PyObject *lzr_outcome_rows(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, n_lengths, n_final, room;
    const struct flow *flows;
    const int32_t *slots;
    const uint32_t *lengths;
    const uint8_t *final;
    struct outcome *out;
    if (count != 6)
        return lzr_wants("(flows, slots, reason, lengths, final, out)");
    size_t reason = PyLong_AsSize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 0, sizeof *flows, &n_flows)) == NULL ||
        (slots = lzr_view(&views, args[1], 0, 4, &n)) == NULL ||
        (lengths = lzr_view(&views, args[3], 0, 4, &n_lengths)) == NULL ||
        (final = lzr_view(&views, args[4], 0, 1, &n_final)) == NULL ||
        (out = lzr_view(&views, args[5], 1, sizeof *out, &room)) == NULL ||
        !lzr_as_many(n_lengths == n && n_final == n && room >= n) ||
        !lzr_check(reason < REASONS, "no such reason") ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    for (size_t i = 0; i < n; i++) {
        if (i + 4 < n)
            __builtin_prefetch(flows + slots[i + 4]);
        make_outcome(out + i, flows + slots[i], reason, lengths[i], final[i]);
    }
    result = Py_NewRef(Py_None);
end:
    lzr_release(&views);
    return result;
}

/* (flows, index, slots, reason, lengths, frames, outcomes) -> frames: the last of these flows
 *
 * lengths: of the payloads, or None. A RST to who has a connection, an outcome, and the row is free. */
PyObject *lzr_finish(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, n_lengths = 0, frames_room, outcomes_room, made = 0;
    struct flow *flows;
    const int32_t *slots;
    const uint32_t *lengths = NULL;
    struct frame *frames;
    struct outcome *outcomes;
    if (count != 7)
        return lzr_wants("(flows, index, slots, reason, lengths, frames, outcomes)");
    size_t reason = PyLong_AsSize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 1, sizeof *flows, &n_flows)) == NULL ||
        (slots = lzr_view(&views, args[2], 0, 4, &n)) == NULL ||
        (args[4] != Py_None && (lengths = lzr_view(&views, args[4], 0, 4, &n_lengths)) == NULL) ||
        (frames = lzr_view(&views, args[5], 1, sizeof *frames, &frames_room)) == NULL ||
        (outcomes = lzr_view(&views, args[6], 1, sizeof *outcomes, &outcomes_room)) == NULL ||
        !lzr_as_many((lengths == NULL || n_lengths == n) && frames_room >= n && outcomes_room >= n) ||
        !lzr_check(reason < REASONS, "no such reason") ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    int closes = reason != BY_RST && reason != BY_NO_SYN_ACK && reason != BY_SEND_REFUSED && reason != BY_BLOCK;
    int always = reason == BY_ZERO_WINDOW || reason == BY_DATA || reason == BY_SYN_ACK;
    size_t number = reason == BY_DATA ? FROM_NXT : reason == BY_FIN ? FROM_ACK : FROM_CLOSE;
    for (size_t i = 0; i < n; i++) {
        if (i + 4 < n)
            __builtin_prefetch(flows + slots[i + 4], 1);
        struct flow *flow = flows + slots[i];
        if (!lzr_index_drop(args[1], flow->key))
            goto end;
        make_outcome(outcomes + i, flow, reason, lengths == NULL ? 0 : lengths[i], 1);
        if (closes && (always || (flow->state != SYN_SENT && flow->state != DELAYED)))
            make_frame(frames + made++, flow, number, FLAG_RST | FLAG_ACK, NO_PROBE, 0);
        flow->state = FREE;
        flow->generation++;
    }
    if (lzr_index_shrink(args[1]))
        result = PyLong_FromSize_t(made);
end:
    lzr_release(&views);
    return result;
}

/* _firstreply.goes_on: whether a short reply that ends a line, of five bytes at least, says itself that more comes */
static int goes_on(const uint8_t *reply, size_t size)
{
    if (memcmp(reply, "HTTP/", 5) == 0 || memcmp(reply, "RTSP/", 5) == 0)
        return memcmp(reply + size - 2, "\n\n", 2) != 0 && memcmp(reply + size - 3, "\n\r\n", 3) != 0;
    for (size_t i = 0; i < 3; i++)
        if (reply[i] < '0' || reply[i] > '9')
            return 0;
    if (reply[3] != '-')
        return 0;
    size_t last = size - 1;
    while (last > 0 && reply[last - 1] != '\n')
        last--;
    return size - last < 4 || reply[last + 3] != ' ' || memcmp(reply + last, reply, 3) != 0;
}

/* (flows, slots, segments, buffer, enough, line, starts, lengths, done) -> how many are done
 *
 * The new data of each segment is taken, and is enough by itself or not. */
PyObject *lzr_take_data(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct views views = {.count = 0};
    PyObject *result = NULL;
    size_t n_flows, n, n_segments, size, rooms[3], complete = 0;
    struct flow *flows;
    const int32_t *slots;
    const struct segment *segments;
    const uint8_t *buffer;
    uint32_t *starts, *lengths;
    uint8_t *done;
    if (count != 9)
        return lzr_wants("(flows, slots, segments, buffer, enough, line, starts, lengths, done)");
    size_t enough = PyLong_AsSize_t(args[4]), line = PyLong_AsSize_t(args[5]);
    if (PyErr_Occurred())
        return NULL;
    if ((flows = lzr_view(&views, args[0], 1, sizeof *flows, &n_flows)) == NULL ||
        (slots = lzr_view(&views, args[1], 0, 4, &n)) == NULL ||
        (segments = lzr_view(&views, args[2], 0, sizeof *segments, &n_segments)) == NULL ||
        (buffer = lzr_view(&views, args[3], 0, 1, &size)) == NULL ||
        (starts = lzr_view(&views, args[6], 1, 4, &rooms[0])) == NULL ||
        (lengths = lzr_view(&views, args[7], 1, 4, &rooms[1])) == NULL ||
        (done = lzr_view(&views, args[8], 1, 1, &rooms[2])) == NULL ||
        !lzr_as_many(n_segments == n && rooms[0] >= n && rooms[1] >= n && rooms[2] >= n) ||
        !lzr_slots_fit(slots, n, n_flows))
        goto end;
    for (size_t i = 0; i < n; i++) {
        struct flow *flow = flows + slots[i];
        const struct segment *s = segments + i;
        uint32_t ahead = flow->rcv - s->seq;
        if (ahead >= s->data_len || s->data_at > size || s->data_len > size - s->data_at) {
            PyErr_SetString(PyExc_IndexError, "a part lies outside the buffer");
            goto end;
        }
        starts[i] = s->data_at + ahead;
        lengths[i] = s->data_len - ahead;
        flow->rcv += lengths[i];
        const uint8_t *reply = buffer + starts[i];
        done[i] = s->flags & FLAG_FIN || lengths[i] >= enough ||
                  (lengths[i] >= line && reply[lengths[i] - 1] == '\n' &&
                   (lengths[i] < 5 || !goes_on(reply, lengths[i])));
        complete += done[i];
    }
    result = PyLong_FromSize_t(complete);
end:
    lzr_release(&views);
    return result;
}
