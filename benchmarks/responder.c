/* A stateless TCP responder for a whole prefix, on one end of a veth pair.
 *
 * It answers every ARP request (but no probe, RFC 5227) and neighbour solicitation (so it is the gateway
 * too), and every SYN with a SYN-ACK whose sequence number is a hash of the 4-tuple; what a host does afterwards is a letter of the
 * class table, indexed by the last byte of its address modulo the table's length:
 *
 *   h  HTTP reply to data                    s  SSH banner upon the handshake's ACK
 *   a  acknowledges data, says nothing       q  says nothing, not even an ACK
 *   r  RST upon the handshake's ACK          f  FIN upon the handshake's ACK
 *   z  zero window in the SYN-ACK            c  closed: RST to the SYN
 *   n  no answer to the SYN                  e  echo: returns the data
 *   d  SSH banner in three segments, the first of one byte
 *   v  as h, but no two addresses say the same
 *   g  a banner of terminal escapes, markup, NULs and commas
 *
 * Nothing is remembered but counters, so it is as quick as the rings are: packets are read from a
 * TPACKET_V2 ring and answered with sendmmsg. SIGTERM or SIGINT: the counters as one JSON object on stdout.
 * "ready" is printed to stdout when it listens. --times FILE: a pair of 64-bit numbers for each address from --first on,
 * when its first SYN and when the first data for it came, in ns since the epoch (kernel clock); 0: never.
 * --table FILE: what is open, 64-bit numbers (address << 16 | port) in order; elsewhere SYNs get a RST (IPv4).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define BATCH 256
#define FRAME 2048
#define OUT_MAX 2048

static volatile sig_atomic_t stop;
static void on_signal(int number) { (void)number; stop = 1; }

/* Counters, in the order they are printed. */
#define COUNTERS(X) \
    X(frames) X(arp) X(neighbour) X(other) X(bad_checksum) X(wrong_address) X(wrong_port) X(wrong_source) \
    X(syn) X(syn_mss) X(syn_ack) X(data) X(data_psh) X(bare_ack) X(rst) X(fin) X(bad_ack) X(bad_seq) \
    X(reply_http) X(reply_banner) X(reply_ack) X(reply_rst) X(reply_fin) X(reply_echo) \
    X(sent) X(send_failed) X(kernel_packets) X(kernel_drops)
enum {
#define X(name) C_##name,
    COUNTERS(X)
#undef X
    C_COUNT
};
static const char *const counter_names[] = {
#define X(name) #name,
    COUNTERS(X)
#undef X
};
static uint64_t counters[C_COUNT];
#define COUNT(name) (counters[C_##name]++)

static const char http_reply[] =
    "HTTP/1.1 200 OK\r\nServer: responder\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Content-Type: text/html\r\nContent-Length: 33\r\n\r\n<html><body>It works</body></html>";
#define SERVER_END (sizeof "HTTP/1.1 200 OK\r\nServer: responder" - 1)
static const char ssh_banner[] = "SSH-2.0-responder_1.0\r\n";
static const char nasty_banner[] = "220 \x1b[2J\x1b]0;owned\x07[red]x[/red],\"=1+1\"\x00\xff\xfe,<b>ftp</b>\r\n";

static const char *classes = "hsaqrfzh";
static size_t class_count = 8;
static uint32_t first4, count4;          /* the addresses that may be contacted; count 0: all */
static uint16_t only_port;               /* the port that may be contacted; 0: all */
static struct in_addr only_source;       /* the scanner's address; 0: any */
static int premade, verify_checksum = 1, ack_first;
static const uint64_t *table;            /* what is open, in order; NULL: by class and port */
static size_t table_count;
static uint16_t *per_address;            /* segments received, by address - first4 */
static uint64_t *times, arrived;         /* of the first SYN and of the first data, likewise; of this frame */

static int tx_fd;
static uint8_t out[BATCH][OUT_MAX];
static struct iovec out_iov[BATCH];
static struct mmsghdr out_msg[BATCH];
static unsigned out_n;

static void flush_out(void)
{
    unsigned done = 0, stuck = 0;
    while (done < out_n) {
        int n = sendmmsg(tx_fd, out_msg + done, out_n - done, 0);
        if (n > 0) {
            done += n;
            counters[C_sent] += n;
        } else if ((errno == ENOBUFS || errno == EAGAIN || errno == EINTR) && stuck++ < 1000) {
            usleep(50);
        } else {
            COUNT(send_failed);
            done++;
        }
    }
    out_n = 0;
}

static void emit(size_t len)
{
    out_iov[out_n].iov_len = len;
    if (++out_n == BATCH)
        flush_out();
}

/* A segment in answer to `in`: addresses, ports and MACs swapped. */
static void answer(const struct segment *in, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t window,
                   const void *data, size_t len)
{
    uint8_t *frame = out[out_n];
    struct segment reply = {
        .v6 = in->v6, .source = in->target, .target = in->source, .sport = in->dport, .dport = in->sport,
        .seq = seq, .ack = ack, .flags = flags, .window = window, .data = data, .data_len = len,
    };
    memcpy(reply.eth_dst, in->eth_src, 6);
    memcpy(reply.eth_src, in->eth_dst, 6);
    emit(build(frame, &reply));
}

static int in_table(uint64_t pair)
{
    size_t low = 0, high = table_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle] < pair)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table_count && table[low] == pair;
}

static void on_tcp(const struct segment *in)
{
    if (in->v6 || !only_source.s_addr) {
    } else if (in->source.w[0] != ntohl(only_source.s_addr)) {
        COUNT(wrong_source);
        return;
    }
    if (!in->v6 && count4) {
        uint32_t offset = in->target.w[0] - first4;
        if (offset >= count4) {
            COUNT(wrong_address);
            return;
        }
        if (per_address[offset] != UINT16_MAX)
            per_address[offset]++;
        if (times != NULL && (in->flags & TH_SYN || in->data_len)) {
            uint64_t *first = &times[2 * (size_t)offset + !(in->flags & TH_SYN)];
            *first = *first ? *first : arrived;
        }
    }
    char class = classes[(in->target.w[in->v6 ? 3 : 0] & 255) % class_count];
    uint32_t isn = isn_of(&in->target, &in->source, in->v6, in->dport, in->sport);

    if (only_port && in->dport != only_port) {
        COUNT(wrong_port);
        if (class != 'a') { /* an ACKing firewall is open everywhere; others are closed elsewhere */
            if (in->flags & TH_SYN)
                answer(in, 0, in->seq + 1, TH_RST | TH_ACK, 0, NULL, 0);
            return;
        }
    }
    if (table != NULL && !in->v6 && !in_table((uint64_t)in->target.w[0] << 16 | in->dport)) {
        COUNT(wrong_port);
        if (in->flags & TH_SYN)
            answer(in, 0, in->seq + 1, TH_RST | TH_ACK, 0, NULL, 0);
        return;
    }
    if (in->flags & TH_RST) {
        COUNT(rst);
        return;
    }
    if (in->flags & TH_SYN) {
        COUNT(syn);
        counters[C_syn_mss] += in->has_mss;
        if (class == 'n')
            return;
        if (class == 'c') {
            COUNT(reply_rst);
            answer(in, 0, in->seq + 1, TH_RST | TH_ACK, 0, NULL, 0);
            return;
        }
        COUNT(syn_ack);
        answer(in, isn, in->seq + 1, TH_SYN | TH_ACK, class == 'z' ? 0 : 64240, NULL, 0);
        return;
    }
    if (in->flags & TH_FIN) {
        COUNT(fin);
        return;
    }
    if (!(in->flags & TH_ACK)) {
        COUNT(other);
        return;
    }
    if (in->data_len) {
        COUNT(data);
        counters[C_data_psh] += (in->flags & TH_PSH) != 0;
    } else {
        COUNT(bare_ack);
    }
    /* A premade line's acknum is a hash as well, so the scanner's sequence number can be checked too. */
    if (premade && in->seq - premade_ack(isn) > 4096) {
        COUNT(bad_seq);
        return;
    }
    if (in->ack != isn + 1) {
        if (in->ack - isn > 4096)
            COUNT(bad_ack);
        return; /* acknowledges our data: nothing more to say */
    }
    uint32_t seq = isn + 1, ack = in->seq + in->data_len;
    if (ack_first && in->data_len && strchr("hvsde", class))
        answer(in, seq, ack, TH_ACK, 64240, NULL, 0);
    switch (class) {
    case 'h':
        if (in->data_len) {
            COUNT(reply_http);
            answer(in, seq, ack, TH_ACK | TH_PSH, 64240, http_reply, sizeof http_reply - 1);
        }
        break;
    case 'v':
        if (in->data_len) {
            char text[sizeof http_reply + 16];
            int size = snprintf(text, sizeof text, "%.*s/%010u%s", (int)SERVER_END, http_reply,
                                in->target.w[in->v6 ? 3 : 0], http_reply + SERVER_END);
            COUNT(reply_http);
            answer(in, seq, ack, TH_ACK | TH_PSH, 64240, text, (size_t)size);
        }
        break;
    case 's':
        COUNT(reply_banner);
        answer(in, seq, ack, TH_ACK | TH_PSH, 64240, ssh_banner, sizeof ssh_banner - 1);
        break;
    case 'g':
        COUNT(reply_banner);
        answer(in, seq, ack, TH_ACK | TH_PSH, 64240, nasty_banner, sizeof nasty_banner - 1);
        break;
    case 'd':
        COUNT(reply_banner);
        answer(in, seq, ack, TH_ACK | TH_PSH, 64240, ssh_banner, 1);
        answer(in, seq + 1, ack, TH_ACK | TH_PSH, 64240, ssh_banner + 1, 6);
        answer(in, seq + 7, ack, TH_ACK | TH_PSH, 64240, ssh_banner + 7, sizeof ssh_banner - 8);
        break;
    case 'a':
        if (in->data_len) {
            COUNT(reply_ack);
            answer(in, seq, ack, TH_ACK, 64240, NULL, 0);
        }
        break;
    case 'r':
        COUNT(reply_rst);
        answer(in, seq, ack, TH_RST | TH_ACK, 0, NULL, 0);
        break;
    case 'f':
        COUNT(reply_fin);
        answer(in, seq, ack, TH_FIN | TH_ACK, 64240, NULL, 0);
        break;
    case 'e':
        if (in->data_len) {
            COUNT(reply_echo);
            answer(in, seq, ack, TH_ACK | TH_PSH, 64240, in->data, in->data_len);
        }
        break;
    default: /* q, z */
        break;
    }
}

static void on_arp(const uint8_t *frame, size_t len, const uint8_t *mac)
{
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1}, probe[4];
    COUNT(arp);
    if (len < 42 || memcmp(frame + 14, head, 8) || !memcmp(frame + 28, frame + 38, 4))
        return;
    if (!memcmp(frame + 28, probe, 4)) /* asks whether an address is taken (RFC 5227): ours are not its */
        return;
    uint8_t *reply = out[out_n];
    memcpy(reply, frame + 6, 6);
    memcpy(reply + 6, mac, 6);
    memcpy(reply + 12, frame + 12, 10);
    reply[21] = 2;
    memcpy(reply + 22, mac, 6);
    memcpy(reply + 28, frame + 38, 4);
    memcpy(reply + 32, frame + 22, 10);
    emit(42);
}

/* RFC 4861 §4.3-4.4: a solicited advertisement for whatever address is asked for. */
static void on_solicitation(const uint8_t *frame, size_t len, const uint8_t *mac)
{
    static const uint8_t none[16];
    COUNT(neighbour);
    if (len < 14 + 40 + 24 || !memcmp(frame + 22, none, 16))
        return;
    uint8_t *reply = out[out_n];
    memcpy(reply, frame + 6, 6);
    memcpy(reply + 6, mac, 6);
    memcpy(reply + 12, "\x86\xdd\x60\0\0\0\0\x20\x3a\xff", 10);
    memcpy(reply + 22, frame + 62, 16);
    memcpy(reply + 38, frame + 22, 16);
    memcpy(reply + 54, "\x88\0\0\0\x60\0\0\0", 8);
    memcpy(reply + 62, frame + 62, 16);
    reply[78] = 2;
    reply[79] = 1;
    memcpy(reply + 80, mac, 6);
    uint16_t sum = checksum6(reply + 22, 58, reply + 54, 32);
    memcpy(reply + 56, &sum, 2);
    emit(86);
}

static void on_frame(const uint8_t *frame, size_t len, const uint8_t *mac, int partial)
{
    struct segment in;
    COUNT(frames);
    if (len < 14)
        return;
    uint16_t type = frame[12] << 8 | frame[13];
    if (type == ETH_P_ARP) {
        on_arp(frame, len, mac);
        return;
    }
    if (type == ETH_P_IPV6 && len >= 14 + 40 + 24 && frame[20] == 58) {
        if (frame[54] == 135)
            on_solicitation(frame, len, mac);
        else
            COUNT(other);
        return;
    }
    if (!parse(&in, frame, len)) {
        COUNT(other);
        return;
    }
    if (verify_checksum && !partial && !checksum_right(frame, &in)) {
        COUNT(bad_checksum);
        return;
    }
    memcpy(in.eth_dst, mac, 6); /* the reply's source, also where the frame was sent to all */
    on_tcp(&in);
}

static void usage(void)
{
    fputs("usage: responder --interface IF [--classes LETTERS] [--first ADDRESS --count N] [--port P]\n"
          "                 [--source ADDRESS] [--premade] [--ack-first] [--no-checksum] [--ring FRAMES]\n"
          "                 [--times FILE] [--table FILE]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"interface", 1, 0, 'i'}, {"classes", 1, 0, 'c'}, {"first", 1, 0, 'f'}, {"count", 1, 0, 'n'},
        {"port", 1, 0, 'p'}, {"source", 1, 0, 's'}, {"premade", 0, 0, 'm'}, {"ack-first", 0, 0, 'a'},
        {"no-checksum", 0, 0, 'x'}, {"ring", 1, 0, 'r'},
        {"times", 1, 0, 't'}, {"table", 1, 0, 'o'}, {0},
    };
    const char *interface = NULL, *times_file = NULL, *table_file = NULL;
    unsigned frames = 32768;
    struct in_addr address;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'i': interface = optarg; break;
        case 'c': classes = optarg; class_count = strlen(optarg); break;
        case 'f': if (!inet_aton(optarg, &address)) usage(); first4 = ntohl(address.s_addr); break;
        case 'n': count4 = strtoul(optarg, NULL, 0); break;
        case 'p': only_port = strtoul(optarg, NULL, 0); break;
        case 's': if (!inet_aton(optarg, &only_source)) usage(); break;
        case 'm': premade = 1; break;
        case 'a': ack_first = 1; break;
        case 'x': verify_checksum = 0; break;
        case 'r': frames = strtoul(optarg, NULL, 0); break;
        case 't': times_file = optarg; break;
        case 'o': table_file = optarg; break;
        default: usage();
        }
    }
    if (!interface || !class_count)
        usage();
    if (count4 && !(per_address = calloc(count4, sizeof *per_address)))
        die("calloc");
    if (times_file != NULL) {
        size_t size = 2 * (size_t)count4 * sizeof *times;
        int file = open(times_file, O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (!count4 || file < 0 || ftruncate(file, (off_t)size) < 0)
            die("times");
        times = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (times == MAP_FAILED)
            die("mmap");
    }

    if (table_file != NULL) {
        int file = open(table_file, O_RDONLY);
        off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
        if (size < (off_t)sizeof *table)
            die("table");
        table_count = (size_t)size / sizeof *table;
        table = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, file, 0);
        if (table == MAP_FAILED)
            die("mmap");
    }

    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    uint8_t mac[6];
    uint8_t *ring;
    int rx_fd = open_ring(interface, frames, &ring, mac);
    tx_fd = open_sender(interface);
    for (unsigned i = 0; i < BATCH; i++) {
        out_iov[i].iov_base = out[i];
        out_msg[i].msg_hdr.msg_iov = &out_iov[i];
        out_msg[i].msg_hdr.msg_iovlen = 1;
    }
    puts("ready");
    fflush(stdout);

    unsigned at = 0;
    while (!stop) {
        struct tpacket2_hdr *header = (void *)(ring + (size_t)at * FRAME);
        uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER)) {
            if (out_n) {
                flush_out();
                continue;
            }
            struct pollfd ready = {.fd = rx_fd, .events = POLLIN};
            poll(&ready, 1, 500);
            continue;
        }
        arrived = header->tp_sec * 1000000000ull + header->tp_nsec;
        on_frame((uint8_t *)header + header->tp_mac, header->tp_snaplen, mac,
                 (status & TP_STATUS_CSUMNOTREADY) != 0);
        __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        at = at + 1 == frames ? 0 : at + 1;
    }
    flush_out();
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;
    if (!getsockopt(rx_fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size)) {
        counters[C_kernel_packets] = stats.tp_packets;
        counters[C_kernel_drops] = stats.tp_drops;
    }
    unsigned seen = 0, most = 0;
    for (uint32_t i = 0; i < count4; i++) {
        seen += per_address[i] != 0;
        most = per_address[i] > most ? per_address[i] : most;
    }
    for (int i = 0; i < C_COUNT; i++)
        printf("%s\"%s\": %llu", i ? ", " : "{", counter_names[i], (unsigned long long)counters[i]);
    printf(", \"addresses\": %u, \"most_for_one\": %u}\n", seen, most);
    return 0;
}
