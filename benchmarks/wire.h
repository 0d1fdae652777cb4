/* Frames in and out, and packet sockets: what responder.c and floor.c share. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>

#define TH_FIN 1
#define TH_SYN 2
#define TH_RST 4
#define TH_PSH 8
#define TH_ACK 16

struct address { uint32_t w[4]; }; /* host order; IPv4 uses w[0] only, the rest is zero */

struct segment {
    bool v6, has_mss;
    uint8_t eth_dst[6], eth_src[6];
    struct address source, target;
    uint16_t sport, dport, window;
    uint32_t seq, ack;
    uint8_t flags;
    const void *data;
    size_t data_len;
    size_t tcp_at, tcp_len; /* where the TCP header starts in the frame, and header plus data */
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static inline uint16_t get16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static inline void put32(uint8_t *p, uint32_t v) { v = htonl(v); memcpy(p, &v, 4); }
static inline void put16(uint8_t *p, uint16_t v) { v = htons(v); memcpy(p, &v, 2); }

/* RFC 1071, over native 16-bit words; the result is ready to be stored. */
static inline uint32_t sum16(const void *at, size_t len, uint32_t sum)
{
    const uint8_t *p = at;
    uint64_t wide = sum;
    for (; len >= 4; len -= 4, p += 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        wide += word;
    }
    if (len >= 2) {
        uint16_t word;
        memcpy(&word, p, 2);
        wide += word;
        p += 2;
        len -= 2;
    }
    if (len)
        wide += *p; /* the odd byte is the low one on the little-endian machines this runs on */
    wide = (wide & 0xffffffff) + (wide >> 32);
    wide = (wide & 0xffffffff) + (wide >> 32);
    wide = (wide & 0xffff) + (wide >> 16);
    return (wide & 0xffff) + (wide >> 16);
}

static inline uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* Pseudo header of IPv4 (RFC 9293 §3.1) and of IPv6 (RFC 8200 §8.1), then the payload. */
static inline uint16_t checksum4(const uint8_t *addresses, uint8_t protocol, const void *at, size_t len)
{
    return fold(sum16(at, len, sum16(addresses, 8, htons(protocol) + (uint32_t)htons(len))));
}

static inline uint16_t checksum6(const uint8_t *addresses, uint8_t protocol, const void *at, size_t len)
{
    return fold(sum16(at, len, sum16(addresses, 32, htons(protocol) + (uint32_t)htons(len))));
}

static inline bool checksum_right(const uint8_t *frame, const struct segment *s)
{
    uint16_t sum = s->v6 ? checksum6(frame + 22, 6, frame + s->tcp_at, s->tcp_len)
                         : checksum4(frame + 26, 6, frame + s->tcp_at, s->tcp_len);
    return sum == 0 && (s->v6 || fold(sum16(frame + 14, s->tcp_at - 14, 0)) == 0);
}

static inline bool parse(struct segment *s, const uint8_t *frame, size_t len)
{
    uint16_t type = get16(frame + 12);
    memset(s, 0, offsetof(struct segment, data));
    if (type == ETH_P_IP) {
        if (len < 34 || frame[14] >> 4 != 4 || frame[23] != 6)
            return false;
        size_t header = (frame[14] & 15) * 4, total = get16(frame + 16);
        if (header < 20 || total < header + 20 || 14 + total > len || (get16(frame + 20) & 0x3fff))
            return false;
        s->source.w[0] = get32(frame + 26);
        s->target.w[0] = get32(frame + 30);
        s->tcp_at = 14 + header;
        s->tcp_len = total - header;
    } else if (type == ETH_P_IPV6) {
        if (len < 74 || frame[20] != 6 || (size_t)54 + get16(frame + 18) > len || get16(frame + 18) < 20)
            return false;
        s->v6 = true;
        for (int i = 0; i < 4; i++) {
            s->source.w[i] = get32(frame + 22 + 4 * i);
            s->target.w[i] = get32(frame + 38 + 4 * i);
        }
        s->tcp_at = 54;
        s->tcp_len = get16(frame + 18);
    } else {
        return false;
    }
    const uint8_t *tcp = frame + s->tcp_at;
    size_t offset = (tcp[12] >> 4) * 4;
    if (offset < 20 || offset > s->tcp_len)
        return false;
    memcpy(s->eth_dst, frame, 6);
    memcpy(s->eth_src, frame + 6, 6);
    s->sport = get16(tcp);
    s->dport = get16(tcp + 2);
    s->seq = get32(tcp + 4);
    s->ack = get32(tcp + 8);
    s->flags = tcp[13];
    s->window = get16(tcp + 14);
    s->data = tcp + offset;
    s->data_len = s->tcp_len - offset;
    for (size_t i = 20; i < offset && tcp[i];) { /* RFC 9293 §3.2 */
        if (tcp[i] == 1) {
            i++;
            continue;
        }
        if (i + 1 >= offset || tcp[i + 1] < 2)
            break;
        s->has_mss |= tcp[i] == 2;
        i += tcp[i + 1];
    }
    return true;
}

static inline size_t build(uint8_t *frame, const struct segment *s)
{
    size_t at = s->v6 ? 54 : 34, header = s->flags & TH_SYN ? 24 : 20, tcp_len = header + s->data_len;
    memcpy(frame, s->eth_dst, 6);
    memcpy(frame + 6, s->eth_src, 6);
    if (s->v6) {
        put16(frame + 12, ETH_P_IPV6);
        put32(frame + 14, 6u << 28);
        put16(frame + 18, tcp_len);
        frame[20] = 6;
        frame[21] = 64;
        for (int i = 0; i < 4; i++) {
            put32(frame + 22 + 4 * i, s->source.w[i]);
            put32(frame + 38 + 4 * i, s->target.w[i]);
        }
    } else {
        put16(frame + 12, ETH_P_IP);
        put16(frame + 14, 0x4500);
        put16(frame + 16, 20 + tcp_len);
        put32(frame + 18, 0x4000); /* no identification, don't fragment */
        put16(frame + 22, 64 << 8 | 6);
        put16(frame + 24, 0);
        put32(frame + 26, s->source.w[0]);
        put32(frame + 30, s->target.w[0]);
        uint16_t sum = fold(sum16(frame + 14, 20, 0));
        memcpy(frame + 24, &sum, 2);
    }
    uint8_t *tcp = frame + at;
    put16(tcp, s->sport);
    put16(tcp + 2, s->dport);
    put32(tcp + 4, s->seq);
    put32(tcp + 8, s->ack);
    tcp[12] = header << 2;
    tcp[13] = s->flags;
    put16(tcp + 14, s->window);
    put32(tcp + 16, 0);
    if (header == 24)
        put32(tcp + 20, 0x020405b4);
    if (s->data_len)
        memcpy(tcp + header, s->data, s->data_len);
    uint16_t sum = s->v6 ? checksum6(frame + 22, 6, tcp, tcp_len) : checksum4(frame + 26, 6, tcp, tcp_len);
    memcpy(tcp + 16, &sum, 2);
    return at + tcp_len;
}

/* The sequence number a peer chooses, a hash of the 4-tuple; tests/lab/zmaplines.py has the same one. */
static inline uint32_t isn_of(const struct address *peer, const struct address *own, bool v6, uint16_t peer_port,
                              uint16_t own_port)
{
    uint32_t p = peer->w[0], o = own->w[0];
    if (v6) {
        p ^= peer->w[1] ^ peer->w[2] ^ peer->w[3];
        o ^= own->w[1] ^ own->w[2] ^ own->w[3];
    }
    uint32_t h = (p ^ 0x9e3779b9u) * 0x85ebca6bu;
    h ^= h >> 13;
    h = (h ^ o) * 0xc2b2ae35u;
    h ^= h >> 16;
    h = (h ^ ((uint32_t)peer_port << 16 | own_port)) * 0x27d4eb2fu;
    return h ^ h >> 15;
}

/* The acknowledgement number of a premade SYN-ACK: what our own sequence number is taken to be. */
static inline uint32_t premade_ack(uint32_t isn) { return isn * 0x9e3779b1u ^ 0xa5a5a5a5u; }

static inline int interface_index(int fd, const char *interface, uint8_t *mac)
{
    struct ifreq request = {0};
    strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    if (mac) {
        if (ioctl(fd, SIOCGIFHWADDR, &request))
            die(interface);
        memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    }
    if (ioctl(fd, SIOCGIFINDEX, &request))
        die(interface);
    return request.ifr_ifindex;
}

/* A receive ring of `frames` TPACKET_V2 frames of 2048 bytes, blind to what this host sends. */
static inline int open_ring(const char *interface, unsigned frames, uint8_t **ring, uint8_t *mac)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0)
        die("socket");
    int version = TPACKET_V2, on = 1;
    setsockopt(fd, SOL_PACKET, 23 /* PACKET_IGNORE_OUTGOING */, &on, sizeof on);
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version))
        die("PACKET_VERSION");
    struct tpacket_req request = {
        .tp_block_size = 1 << 18, .tp_block_nr = frames / 128, .tp_frame_size = 2048, .tp_frame_nr = frames,
    };
    if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request))
        die("PACKET_RX_RING");
    *ring = mmap(NULL, (size_t)frames * 2048, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*ring == MAP_FAILED)
        die("mmap");
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = interface_index(fd, interface, mac),
    };
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        die("bind");
    return fd;
}

/* A packet socket that receives nothing and sends past the queueing discipline. */
static inline int open_sender(const char *interface)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, size = 1 << 23;
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_ifindex = interface_index(fd, interface, NULL),
    };
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        die("bind");
    return fd;
}

#endif
