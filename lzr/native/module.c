/* The module lzr._native: its table of functions, and nothing else. */
#include "native.h"

/* Of the functions below; kernels.py asks for this one. It grows whenever an argument changes. */
#define VERSION 23

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"csv_lines", FAST(lzr_csv_lines), METH_FASTCALL,
     "csv_lines(block, rows, again, line, columns) -> (inputs, left over, lines): ZMap CSV into TARGET rows"},
    {"zmap_lines", FAST(lzr_zmap_lines), METH_FASTCALL,
     "zmap_lines(block, rows, again, line) -> (inputs, left over, lines): ZMap JSON into TARGET rows"},
    {"list_lines", FAST(lzr_list_lines), METH_FASTCALL,
     "list_lines(block, rows, again, line) -> (inputs, left over, lines): ip:port lines into TARGET rows"},
    {"json_records", FAST(lzr_json_records), METH_FASTCALL,
     "json_records(rows, blob, keep, fields, identities, handshakes, expanded) -> bytes: JSON lines"},
    {"flow_keys", FAST(lzr_flow_keys), METH_FASTCALL,
     "flow_keys(rows, size, addresses, ports, seed, out): 64-bit keys of 4-tuples"},
    {"flow_hashes", FAST(lzr_flow_hashes), METH_FASTCALL,
     "flow_hashes(rows, size, addresses, ports, seed, out): 32-bit hashes of 4-tuples"},
    {"siphash", FAST(lzr_siphashes), METH_FASTCALL,
     "siphash(first, second, key, key, out): SipHash-2-4 of pairs of words"},
    {"take_frames", FAST(lzr_take_frames), METH_FASTCALL,
     "take_frames(ring, at, limit, out, faults, payloads, used) -> (frames, segments, octets, used): from a ring"},
    {"parse_packets", FAST(lzr_parse_packets), METH_FASTCALL,
     "parse_packets(buffer, at, captured, ts, checked, out, faults) -> segments: packets into SEGMENT rows"},
    {"build_frames", FAST(lzr_build_frames), METH_FASTCALL,
     "build_frames(rows, link, programs, out, width, lengths): FRAME rows into frames"},
    {"fill_ring", FAST(lzr_fill_ring), METH_FASTCALL,
     "fill_ring(ring, at, rows, link, programs) -> (frames, octets): FRAME rows into a transmit ring"},
    {"spread_frames", FAST(lzr_spread_frames), METH_FASTCALL,
     "spread_frames(ring, position, rows, link, programs, ends, moments, least, offer) -> (frames, octets, left, slept)"},
    {"unsent", FAST(lzr_unsent), METH_FASTCALL,
     "unsent(ring, at, count) -> (waiting, refused): rows of a transmit ring that the kernel has not sent"},
    {"ways", FAST(lzr_ways), METH_FASTCALL,
     "ways(rows, size, addresses, table, out): by which way each row's peer is reached"},
    {"probe_lengths", FAST(lzr_probe_lengths), METH_FASTCALL,
     "probe_lengths(rows, size, addresses, ports, program, out): bytes of each peer's probe"},
    {"step", FAST(lzr_step), METH_FASTCALL,
     "step(flows, segments, keys, slots, todo, transitions, stay, ages, live, actions) -> (live, later, ignored, fresh)"},
    {"due", FAST(lzr_due), METH_FASTCALL,
     "due(flows, slots, generations, transitions, trigger, live, actions) -> (live, fresh): timers that still count"},
    {"open_rows", FAST(lzr_open_rows), METH_FASTCALL,
     "open_rows(flows, index, targets, slots, secrets, wall, steps) -> counts: TARGET rows into FLOW rows"},
    {"send", FAST(lzr_send), METH_FASTCALL,
     "send(flows, slots, number, flags, probe, secrets, length, frames, generations): FLOW rows into FRAME rows"},
    {"finish", FAST(lzr_finish), METH_FASTCALL,
     "finish(flows, index, slots, reason, lengths, frames, outcomes) -> frames: the last of these flows"},
    {"take_data", FAST(lzr_take_data), METH_FASTCALL,
     "take_data(flows, slots, segments, buffer, enough, line, starts, lengths, done) -> done: new data of segments"},
    {"outcome_rows", FAST(lzr_outcome_rows), METH_FASTCALL,
     "outcome_rows(flows, slots, reason, lengths, final, out): FLOW rows into OUTCOME rows"},
    {"bump", FAST(lzr_bump), METH_FASTCALL, "bump(flows, slots, state, out): the next generation of each row"},
    {"screen", FAST(lzr_screen), METH_FASTCALL,
     "screen(targets, own_low, own_high, spared_low, spared_high, verdicts) -> unwanted: which may be scanned"},
    {"overview", FAST(lzr_overview), METH_FASTCALL,
     "overview(targets) -> (most, ours, low, high, own_hi, own_lo, alike): what the targets have in common"},
    {"deal", FAST(lzr_deal), METH_FASTCALL,
     "deal(targets, hash_seed, owners, kept, shards, dealt, counts): TARGET rows sorted by the owner of their shard"},
    {"remember", FAST(lzr_remember), METH_FASTCALL,
     "remember(targets, key, new, used, old, fresh) -> added: which targets were not seen a short while ago"},
    {"enter", FAST(lzr_enter), METH_FASTCALL, "enter(table, hashes): hashes that a table of `remember` does not have"},
    {"gather", FAST(lzr_gather), METH_FASTCALL, "gather(buffer, starts, lengths) -> bytes: the parts, joined"},
    {"sweep_permute", FAST(lzr_sweep_permute), METH_FASTCALL,
     "sweep_permute(order, first, step, out): elements of a sweep's permutation"},
    {"sweep_places", FAST(lzr_sweep_places), METH_FASTCALL,
     "sweep_places(order, elements, out): positions in a sweep's permutation"},
    {"sweep_numbers", FAST(lzr_sweep_numbers), METH_FASTCALL,
     "sweep_numbers(rows, size, addresses, ports, starts, hi, lo, counts, ports, numbers, inside): of pairs"},
    {"sweep_place", FAST(lzr_sweep_place), METH_FASTCALL,
     "sweep_place(numbers, pairs, starts, hi, lo, ports, rows): pairs of address and port by number, into FRAME rows"},
    {"sweep_cookies", FAST(lzr_sweep_cookies), METH_FASTCALL,
     "sweep_cookies(rows, size, addresses, ports, key, key, filter, first, last, own_ports, isns): of a sweep's SYNs"},
    {"web_table", FAST(lzr_web_table), METH_FASTCALL, "web_table(others, places, identity) -> table: what web_reply looks for"},
    {"web_reply", FAST(lzr_web_reply), METH_FASTCALL,
     "web_reply(table, data) -> Identity: of a response that no other protocol can take, or None"},
    {"web_batch", FAST(lzr_web_batch), METH_FASTCALL,
     "web_batch(table, rows, blob, heads, least, names) -> (left, counts): identities of HTTP and TLS into `names`"},
    {"web_read", FAST(lzr_web_read), METH_FASTCALL,
     "web_read(table, data) -> (application, Server): of a reply of HTTP or TLS; None where Python has to look"},
    {"greeting_table", FAST(lzr_greeting_table), METH_FASTCALL,
     "greeting_table(identities, programs, words, makers, devices, elsewhere, terminals) -> table: what greeting looks for"},
    {"greeting", FAST(lzr_greeting), METH_FASTCALL,
     "greeting(table, data) -> Identity: of a greeting whose label and program are beyond doubt, or None"},
    {"greeting_batch", FAST(lzr_greeting_batch), METH_FASTCALL,
     "greeting_batch(table, rows, blob, left, heads, least, names) -> (left, counts): of greetings into `names`"},
    {"table_lines", FAST(lzr_table_lines), METH_FASTCALL,
     "table_lines(block, start, columns) -> (end, rows, columns): JSON lines as we write them, as columns of Arrow"},
    {"tally", FAST(lzr_tally), METH_FASTCALL,
     "tally(rows) -> (resolved, counters, reasons, handshakes): counts of OUTCOME rows"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "lzr._native",
    .m_doc = "Hot loops in C; each has an equal in Python.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__native(void);

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *it = PyModule_Create(&module);
    if (it == NULL || PyType_Ready(&lzr_index_type) < 0)
        goto failed;
    if (PyModule_AddIntConstant(it, "VERSION", VERSION) < 0)
        goto failed;
    const struct {
        const char *name;
        PyObject *value;
    } NAMES[] = {{"FIELDS", lzr_field_names()}, {"STATES", lzr_state_names()}, {"TRIGGERS", lzr_trigger_names()},
                 {"ROWS", lzr_rows()}, {"NUMBERS", lzr_numbers()}};
    int failed = 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        failed |= NAMES[i].value == NULL || PyModule_AddObjectRef(it, NAMES[i].name, NAMES[i].value) < 0;
        Py_XDECREF(NAMES[i].value);
    }
    if (!failed && PyModule_AddObjectRef(it, "Index", (PyObject *)&lzr_index_type) == 0)
        return it;
failed:
    Py_XDECREF(it);
    return NULL;
}
