/* link DELAY_US RATE_BIT_S LOSS QUEUE_BYTES SEED: two network namespaces with a line between them.

   Each namespace has a TUN device "line". What goes in at one end comes out at the other: it waits for what is before
   it in the queue (or is dropped, when that is full), takes its time at RATE, may be lost, and arrives DELAY later.
   Prints the descriptors of the two namespaces. Ends with its input; the namespaces and devices end with it.

   TCP hands over up to 64 KiB at once (segmentation offload), which saves nine system calls in ten; the queue and the
   loss count the segments of which it consists, as if the network card had cut it up. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = sizeof(struct virtio_net_hdr) + 65536, READS_AT_ONCE = 32 };

struct packet {
    struct packet *next;
    int64_t due;
    size_t size;
    unsigned char bytes[];
};

struct way {
    int from, to;
    int64_t free_at; /* when the line has sent all that is in the queue */
    struct packet *first, **end;
};

static int64_t delay, longest_queue; /* in nanoseconds, like all times here */
static double rate, loss;

static void must(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Enter a new namespace. Returns: a descriptor of it. */
static int new_namespace(void)
{
    must(unshare(CLONE_NEWNET) == 0, "unshare");
    int descriptor = open("/proc/self/ns/net", O_RDONLY);
    must(descriptor >= 0, "/proc/self/ns/net");
    return descriptor;
}

static int new_device(void)
{
    struct ifreq request = {.ifr_name = "line", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    must(device >= 0, "/dev/net/tun");
    must(ioctl(device, TUNSETIFF, &request) == 0, "TUNSETIFF");
    must(ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) == 0, "TUNSETOFFLOAD");
    return device;
}

/* Send so many bytes over the line. Returns: whether they arrive. */
static int sent(struct way *way, size_t bytes, int64_t time)
{
    int64_t takes = (int64_t)(bytes * 8e9 / rate);
    int64_t starts = way->free_at > time ? way->free_at : time;
    if (starts + takes - time > longest_queue)
        return 0;
    way->free_at = starts + takes;
    return drand48() >= loss;
}

static struct packet *append(struct way *way, size_t size)
{
    struct packet *packet = malloc(sizeof *packet + size);
    must(packet != NULL, "malloc");
    *packet = (struct packet){.due = way->free_at + delay, .size = size};
    *way->end = packet;
    way->end = &packet->next;
    return packet;
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
    const uint16_t *words = (const void *)ip;
    uint32_t sum = 0;
    for (int i = 0; i < ip->ihl * 2; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16));
}

/* Append bytes START to END of a large TCP packet's payload as a packet of their own. */
static void append_part(struct way *way, const unsigned char *whole, size_t head, size_t start, size_t end, int last)
{
    struct packet *packet = append(way, head + end - start);
    memcpy(packet->bytes, whole, head);
    memcpy(packet->bytes + head, whole + head + start, end - start);
    struct iphdr *ip = (void *)(packet->bytes + sizeof(struct virtio_net_hdr));
    struct tcphdr *tcp = (void *)((unsigned char *)ip + ip->ihl * 4);
    ip->tot_len = htons(packet->size - sizeof(struct virtio_net_hdr));
    ip->check = 0;
    ip->check = ip_checksum(ip); /* that of TCP is left to the receiver, which takes it as right */
    tcp->seq = htonl(ntohl(tcp->seq) + start);
    tcp->fin &= last;
    tcp->psh &= last;
}

/* Send a large TCP packet segment by segment; neighbours that arrive stay together. */
static void send_segments(struct way *way, const unsigned char *whole, size_t size, int64_t time)
{
    const struct virtio_net_hdr *offload = (const void *)whole;
    const struct iphdr *ip = (const void *)(offload + 1);
    const struct tcphdr *tcp = (const void *)((const unsigned char *)ip + ip->ihl * 4);
    size_t headers = ip->ihl * 4 + tcp->doff * 4, head = sizeof *offload + headers;
    size_t payload = size - head, start = 0;
    while (start < payload) {
        size_t end = start, next = start;
        int arrives = 1;
        while (arrives && next < payload) {
            end = next;
            size_t left = payload - end, length = left < offload->gso_size ? left : offload->gso_size;
            arrives = sent(way, headers + length, time);
            next = end + length;
        }
        if (arrives)
            end = next;
        if (end > start)
            append_part(way, whole, head, start, end, end == payload);
        start = next;
    }
}

static void take_in(struct way *way)
{
    static unsigned char bytes[LARGEST];
    const struct virtio_net_hdr *offload = (const void *)bytes;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        ssize_t size = read(way->from, bytes, sizeof bytes);
        if (size <= (ssize_t)sizeof *offload)
            return;
        if (offload->gso_type != VIRTIO_NET_HDR_GSO_NONE)
            send_segments(way, bytes, size, now());
        else if (sent(way, size - sizeof *offload, now()))
            memcpy(append(way, size)->bytes, bytes, size);
    }
}

/* Hand over what has arrived. Returns: when the next packet does. */
static int64_t hand_over(struct way *way)
{
    struct packet *packet;
    while ((packet = way->first) && packet->due <= now()) {
        ssize_t written = write(way->to, packet->bytes, packet->size);
        must(written >= 0 || errno == EIO, "write"); /* EIO: the device is not up yet */
        if (!(way->first = packet->next))
            way->end = &way->first;
        free(packet);
    }
    return packet ? packet->due : INT64_MAX;
}

static void run(struct way *ways)
{
    struct pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}};
    while (!watched[0].revents) {
        for (int i = 0; i < 2; i++)
            take_in(&ways[i]);
        int64_t due = hand_over(&ways[0]), other = hand_over(&ways[1]), time = now();
        due = due < other ? due : other;
        int64_t wait = due > time ? due - time : 0;
        struct timespec until = {wait / 1000000000, wait % 1000000000};
        must(ppoll(watched, 3, due == INT64_MAX ? NULL : &until, NULL) >= 0, "ppoll");
    }
}

int main(int count, char **words)
{
    if (count != 6) {
        fprintf(stderr, "usage: link DELAY_US RATE_BIT_S LOSS QUEUE_BYTES SEED\n");
        return 2;
    }
    delay = (int64_t)(atof(words[1]) * 1e3);
    rate = atof(words[2]);
    loss = atof(words[3]);
    longest_queue = (int64_t)(atof(words[4]) * 8e9 / rate);
    srand48(atol(words[5]));
    int client = new_namespace(), here = new_device();
    int server = new_namespace(), there = new_device();
    struct way ways[] = {{.from = here, .to = there}, {.from = there, .to = here}};
    for (int i = 0; i < 2; i++)
        ways[i].end = &ways[i].first;
    struct sched_param first = {.sched_priority = 1}; /* a line does not wait for a free processor */
    must(sched_setscheduler(0, SCHED_FIFO, &first) == 0, "sched_setscheduler");
    printf("%d %d\n", client, server);
    must(fflush(stdout) == 0, "stdout");
    run(ways);
    return 0;
}
