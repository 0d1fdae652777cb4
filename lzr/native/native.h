/* What the native kernels share: the rows of lzr/rows.py as C structures, and the functions that module.c
 * puts into the module lzr._native. Every kernel has an equal in Python; tests compare the two.
 *
 * House rules, because these functions read bytes from strangers: every pointer is checked against its end
 * before it is read, every size before it is multiplied, no recursion, nothing that depends on the locale.
 */
#ifndef LZR_NATIVE_H
#define LZR_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the rows are little-endian; this machine runs the Python versions"
#endif

/* numpy packs its records, so these are packed too and lie at any address: take members, not pointers to them. */
struct __attribute__((packed)) target {
    uint64_t line, peer_hi, peer_lo, own_hi, own_lo;
    uint32_t seq, ack, ticket;
    uint16_t peer_port, own_port, window;
    uint8_t syn, ttl;
};
_Static_assert(sizeof(struct target) == 60, "rows.TARGET");

struct __attribute__((packed)) outcome {
    uint64_t ts, peer_hi, peer_lo, own_hi, own_lo, line;
    uint32_t ticket, seq, ack, data_len;
    uint16_t peer_port, own_port, window;
    uint8_t ttl, flags, counter, acked, handshake, expected, reason, firewall, final, record, cut;
};
_Static_assert(sizeof(struct outcome) == 81, "rows.OUTCOME");

struct __attribute__((packed)) segment {
    uint64_t peer_hi, peer_lo, own_hi, own_lo, ts;
    uint32_t seq, ack, data_at, data_len;
    uint16_t peer_port, own_port, window;
    uint8_t ttl, flags;
};
_Static_assert(sizeof(struct segment) == 64, "rows.SEGMENT");

struct __attribute__((packed)) frame {
    uint64_t peer_hi, peer_lo, own_hi, own_lo, nonce;
    uint32_t seq, ack;
    uint16_t peer_port, own_port;
    uint8_t flags, probe;
    uint16_t mss;
};
_Static_assert(sizeof(struct frame) == 56, "rows.FRAME");

struct __attribute__((packed)) interval {
    uint64_t hi, lo;
    uint8_t way, pad[7];
};
_Static_assert(sizeof(struct interval) == 24, "rows.INTERVAL");

struct __attribute__((packed)) flow {
    uint64_t peer_hi, peer_lo, own_hi, own_lo, line, key, ts;
    uint32_t ticket, una, nxt, rcv, seq, ack, generation, syn_ms;
    uint16_t peer_port, own_port, window;
    uint8_t ttl, flags, state, handshake, counter, acked, answers, measured, doubt, kept;
};
_Static_assert(sizeof(struct flow) == 104, "rows.FLOW");

/* lzr.secrets.Secrets.native */
struct secrets {
    uint64_t cookie, index, isn[2], nonce[2];
};

/* lzr/layout.py; layout.c shows Python what they are */
#define OUR_WINDOW 65535
#define REPEATED 500000000u /* ns */
#define AGES 48
#define COOKIE_BITS 8
#define MSS_V4 1460
#define MSS_V6 1440
#define OUR_TTL 255
#define MAX_FRAME 1514
#define CUT 1600

/* linux/if_packet.h: TPACKET_V2 rings, each frame a row */
#define FRAME_SIZE 2048
#define TX_DATA 32     /* where the frame begins in a transmit row whose socket has PACKET_VNET_HDR */
#define VNET_HEADER 10 /* sizeof(struct virtio_net_hdr), which comes first there */
enum { STATUS_USER = 1, STATUS_CSUM_NOT_READY = 1 << 3, STATUS_CSUM_VALID = 1 << 7 };
enum { STATUS_AVAILABLE = 0, STATUS_SEND_REQUEST = 1, STATUS_WRONG_FORMAT = 4 };

enum { NO_PROBE = 255 };
enum { OPENING_OURS = 1, OPENING_DOUBTFUL = 2, OPENING_NO_SYN_ACK, OPENING_UNSUCCESSFUL, OPENING_REPEATED };
enum { FLAG_FIN = 1, FLAG_SYN = 2, FLAG_RST = 4, FLAG_PSH = 8, FLAG_ACK = 16 };

static inline int is_v4(uint64_t hi, uint64_t lo) { return hi == 0 && lo >> 32 == 0xffff; }

/* RFC 1071 over native words; the byte order is mended at the end. */
static inline uint64_t add_bytes(uint64_t sum, const uint8_t *p, size_t size)
{
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        sum += word & 0xffffffff;
        sum += word >> 32;
    }
    uint64_t rest = 0;
    memcpy(&rest, p, size);
    sum += rest & 0xffffffff;
    return sum + (rest >> 32);
}

static inline uint16_t fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The buffers that a call was given; `release` lets go of all of them, however many there are. */
struct views {
    Py_buffer at[10];
    int count;
};

/* The next buffer as `*count` items of `unit` bytes; NULL and an exception if it is not that. */
void *lzr_view(struct views *views, PyObject *object, int writable, size_t unit, size_t *count);
void lzr_release(struct views *views);

PyObject *lzr_wants(const char *arguments); /* NULL and a TypeError */

/* Returns `condition`; where it does not hold, with a ValueError of that text. */
int lzr_check(int condition, const char *text);
/* The same for the lengths of columns that belong together. */
int lzr_as_many(int condition);
int lzr_slots_fit(const int32_t *slots, size_t n, size_t flows);

/* hash.c: lzr/packet/sharding.py, and tcp.isn */
uint64_t lzr_mix64(uint64_t x);
uint64_t lzr_siphash(const uint64_t key[2], uint64_t first, uint64_t second);
PyObject *lzr_siphashes(PyObject *self, PyObject *const *args, Py_ssize_t count);
uint64_t lzr_key(uint64_t peer_hi, uint64_t peer_lo, uint64_t own_hi, uint64_t own_lo, uint16_t peer_port,
                 uint16_t own_port, uint64_t seed);
PyObject *lzr_flow_keys(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_flow_hashes(PyObject *self, PyObject *const *args, Py_ssize_t count);

uint32_t lzr_hash(const uint64_t *address, uint16_t peer_port, uint16_t own_port, uint32_t seed);
uint32_t lzr_cookie(const uint64_t *address, uint16_t peer_port, uint16_t own_port, uint64_t key);
uint32_t lzr_isn(const uint64_t *address, uint16_t peer_port, uint16_t own_port, uint64_t number, uint64_t salt,
                 const struct secrets *secrets);
const struct secrets *lzr_secrets(struct views *views, PyObject *object); /* NULL and an exception if it is none */

/* frames.c */
PyObject *lzr_ways(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* index.c; each returns 0 with an exception, but for lzr_index_add, which says whether the key was new */
extern PyTypeObject lzr_index_type;
int lzr_index_room(PyObject *index, size_t more); /* before so many are added */
int lzr_index_add(PyObject *index, uint64_t key, int32_t slot);
int lzr_index_drop(PyObject *index, uint64_t key);
int lzr_index_shrink(PyObject *index); /* after many were dropped */

/* wire.c */
PyObject *lzr_take_frames(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_parse_packets(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* frames.c */
PyObject *lzr_build_frames(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_fill_ring(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_spread_frames(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_unsent(PyObject *self, PyObject *const *args, Py_ssize_t count);
size_t lzr_probe_length(const uint8_t *program, size_t size, uint64_t hi, uint64_t lo, uint16_t port);
PyObject *lzr_probe_lengths(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* machine.c: lzr/flow/machine.py, and `step`, `due` and `bump` of lzr/flow/tcp.py */
PyObject *lzr_step(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_due(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_bump(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_state_names(void);
PyObject *lzr_trigger_names(void);
/* layout.c */
PyObject *lzr_rows(void);
PyObject *lzr_numbers(void);

PyObject *lzr_gather(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* screen.c */
PyObject *lzr_screen(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_overview(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_deal(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* dedup.c */
PyObject *lzr_enter(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_remember(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* sweep.c */
PyObject *lzr_sweep_permute(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_sweep_places(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_sweep_numbers(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_sweep_place(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_sweep_cookies(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* summary.c */
PyObject *lzr_tally(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* decoding.c */
PyObject *lzr_table_lines(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* webreply.c */
PyObject *lzr_web_table(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_web_read(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_web_reply(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_web_batch(PyObject *self, PyObject *const *args, Py_ssize_t count); /* webbatch.c */
PyObject *lzr_greeting_batch(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_greeting_table(PyObject *self, PyObject *const *args, Py_ssize_t count); /* greetline.c */
PyObject *lzr_greeting(PyObject *self, PyObject *const *args, Py_ssize_t count);

PyObject *lzr_counted(const Py_ssize_t counts[256]); /* summary.c: {number: count}, without those that are 0 */

/* tcp.c */
PyObject *lzr_open_rows(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_send(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_outcome_rows(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_finish(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_take_data(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* lines.c */
PyObject *lzr_csv_lines(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_zmap_lines(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_list_lines(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* encoders.c */
PyObject *lzr_json_records(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *lzr_field_names(void);
size_t lzr_address_text(char *to, uint64_t hi, uint64_t lo); /* at most 45 bytes */

#endif
