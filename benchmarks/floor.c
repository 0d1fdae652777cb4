/* The kernel's floor: the frames of a scan, with nothing behind them.
 *
 * For every premade flow (see tests/lab/zmaplines.py) an ACK with an HTTP request goes out, the answer comes
 * in through a receive ring, and an RST goes out; a silent host gets its retransmit and its RST, a host
 * with a zero window gets nothing, just as a scanner would have it. No flow table, no timers, no JSON:
 * what is left is what the kernel takes for these frames, so "CPU per flow" of the scanner can be read as
 * a multiple of it. Frames leave by sendmmsg, as many at a time as there is room in the window.
 *
 * --syns: the SYNs of a sweep instead, one to each address, whatever comes back.
 *
 * Prints one JSON object: CPU microseconds per flow (user, system), frames, answers, losses.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define BATCH 256
#define FRAME 2048

static int tx_fd;
static uint8_t out[BATCH][512];
static struct iovec out_iov[BATCH];
static struct mmsghdr out_msg[BATCH];
static unsigned out_n;
static uint64_t sent, failed;

static void flush_out(void)
{
    unsigned done = 0, stuck = 0;
    while (done < out_n) {
        int n = sendmmsg(tx_fd, out_msg + done, out_n - done, 0);
        if (n > 0) {
            done += n;
            sent += n;
        } else if ((errno == ENOBUFS || errno == EAGAIN || errno == EINTR) && stuck++ < 1000) {
            usleep(50);
        } else {
            failed++;
            done++;
        }
    }
    out_n = 0;
}

static void emit(const struct segment *s)
{
    out_iov[out_n].iov_len = build(out[out_n], s);
    if (++out_n == BATCH)
        flush_out();
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* 194 bytes: what an HTTP request with a browser's User-Agent comes to. */
static char request[195];

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"interface", 1, 0, 'i'}, {"classes", 1, 0, 'c'}, {"first", 1, 0, 'f'}, {"count", 1, 0, 'n'},
        {"port", 1, 0, 'p'}, {"source", 1, 0, 's'}, {"gateway-mac", 1, 0, 'g'}, {"window", 1, 0, 'w'},
        {"syns", 0, 0, 'S'}, {0},
    };
    const char *interface = "eth0", *classes = "hshahqhrhfhzhshh", *gateway = "";
    struct in_addr address = {0};
    uint32_t first = 0, count = 100000, source = 0, window = 4096;
    uint16_t port = 9002;
    bool syns = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'i': interface = optarg; break;
        case 'c': classes = optarg; break;
        case 'f': inet_aton(optarg, &address); first = ntohl(address.s_addr); break;
        case 's': inet_aton(optarg, &address); source = ntohl(address.s_addr); break;
        case 'n': count = strtoul(optarg, NULL, 0); break;
        case 'p': port = strtoul(optarg, NULL, 0); break;
        case 'g': gateway = optarg; break;
        case 'w': window = strtoul(optarg, NULL, 0); break;
        case 'S': syns = true; break;
        default: return 2;
        }
    }
    size_t class_count = strlen(classes);
    unsigned frames = 16384, at = 0;
    uint8_t *ring;
    struct segment s = {.window = 64240, .data = request};
    int rx_fd = open_ring(interface, frames, &ring, s.eth_src);
    tx_fd = open_sender(interface);
    if (sscanf(gateway, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", s.eth_dst, s.eth_dst + 1, s.eth_dst + 2, s.eth_dst + 3,
               s.eth_dst + 4, s.eth_dst + 5) != 6) {
        fputs("floor: --gateway-mac is needed\n", stderr);
        return 2;
    }
    memset(request, 'x', sizeof request - 1);
    memcpy(request, "GET / HTTP/1.1\r\nHost: ", 22);
    for (unsigned i = 0; i < BATCH; i++) {
        out_iov[i].iov_base = out[i];
        out_msg[i].msg_hdr.msg_iov = &out_iov[i];
        out_msg[i].msg_hdr.msg_iovlen = 1;
    }

    uint32_t next = 0, awaited = 0, answered = 0, other = 0;
    double begun = seconds(), last = begun;
    s.source.w[0] = source;
    s.dport = port;
    for (; syns && next < count; next++) {
        s.target.w[0] = first + next;
        s.sport = 32768 + next % 28233;
        s.seq = isn_of(&s.target, &s.source, false, port, s.sport);
        s.flags = TH_SYN;
        s.data_len = 0;
        emit(&s);
    }
    flush_out();
    while (next < count || awaited > answered) {
        while (next < count && awaited - answered < window) {
            char class = classes[(first + next) % 256 % class_count];
            s.target.w[0] = first + next;
            s.sport = 32768 + next % 28233;
            uint32_t isn = isn_of(&s.target, &s.source, false, port, s.sport);
            s.seq = premade_ack(isn);
            s.ack = isn + 1;
            next++;
            if (class == 'z')
                continue;
            s.flags = TH_ACK;
            s.data_len = 194;
            emit(&s);
            if (class == 'q') {
                s.flags = TH_ACK | TH_PSH;
                emit(&s);
            } else {
                awaited++;
            }
            if (class == 'q') {
                s.flags = TH_RST | TH_ACK;
                s.data_len = 0;
                emit(&s);
            }
        }
        unsigned got = 0;
        struct tpacket2_hdr *header;
        while (header = (void *)(ring + (size_t)at * FRAME),
               __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
            struct segment in;
            if (parse(&in, (uint8_t *)header + header->tp_mac, header->tp_snaplen) && in.sport == port) {
                answered++;
                if (!(in.flags & TH_RST)) {
                    struct segment rst = s;
                    rst.target = in.source;
                    rst.sport = in.dport;
                    rst.seq = in.ack;
                    rst.ack = in.seq + in.data_len;
                    rst.flags = TH_RST | TH_ACK;
                    rst.data_len = 0;
                    emit(&rst);
                }
            } else {
                other++;
            }
            __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
            at = at + 1 == frames ? 0 : at + 1;
            got++;
        }
        flush_out();
        if (got) {
            last = seconds();
        } else if (awaited > answered) {
            struct pollfd ready = {.fd = rx_fd, .events = POLLIN};
            poll(&ready, 1, 100);
            if (seconds() - last > 2)
                break;
        }
    }
    double wall = seconds() - begun;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double user = use.ru_utime.tv_sec + use.ru_utime.tv_usec / 1e6;
    double system = use.ru_stime.tv_sec + use.ru_stime.tv_usec / 1e6;
    printf("{\"flows\": %u, \"cpu_us_per_flow\": %.3f, \"user_us\": %.3f, \"system_us\": %.3f, \"wall_s\": %.3f, "
           "\"frames_sent\": %llu, \"failed\": %llu, \"answers\": %u, \"lost\": %u, \"other\": %u}\n",
           count, (user + system) / count * 1e6, user / count * 1e6, system / count * 1e6, wall,
           (unsigned long long)sent, (unsigned long long)failed, answered, awaited - answered, other);
    return 0;
}
