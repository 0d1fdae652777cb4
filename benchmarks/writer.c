/* Writes lines as ZMap does, one write(2) each, at a rate, and says how long each write was held up.
 *
 *     writer LINES TIMES RATE >pipe
 *
 * LINES is a file of lines. TIMES becomes a file of pairs of 64-bit numbers, one pair a line: when its write began
 * and when it returned, in ns since the epoch. RATE is in lines a second, 0 for as fast as it goes. A line that
 * is late (because the write before it was held up) is written at once; none is left out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000ull
#define NEAR 20000ull /* ns before a line is due in which it is not worth sleeping */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * BILLION + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t due)
{
    struct timespec t = {.tv_sec = (time_t)(due / BILLION), .tv_nsec = (long)(due % BILLION)};
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: writer LINES TIMES RATE\n", stderr);
        return 2;
    }
    double rate = atof(argv[3]);
    int in = open(argv[1], O_RDONLY), out = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct stat status;
    if (in < 0 || out < 0 || fstat(in, &status) < 0)
        die("open");
    char *text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, in, 0);
    if (text == MAP_FAILED)
        die("mmap");
    char *end = text + status.st_size;
    size_t count = 0;
    for (char *p = text; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        count++;
    size_t size = count * 2 * sizeof(uint64_t);
    if (count == 0 || ftruncate(out, (off_t)size) < 0)
        die("times");
    uint64_t *times = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, out, 0);
    if (times == MAP_FAILED)
        die("mmap");
    prctl(PR_SET_TIMERSLACK, 1);
    uint64_t start = now();
    char *line = text;
    for (size_t k = 0; k < count; k++) {
        char *next = (char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        uint64_t due = rate > 0 ? start + (uint64_t)((double)k * (double)BILLION / rate) : 0, begun = now();
        if (due > begun + NEAR) {
            sleep_until(due);
            begun = now();
        }
        times[2 * k] = begun;
        for (ssize_t done = 0, length = next - line; done < length;) {
            ssize_t n = write(1, line + done, (size_t)(length - done));
            if (n < 0 && errno != EINTR)
                die("write");
            done += n > 0 ? n : 0;
        }
        times[2 * k + 1] = now();
        line = next;
    }
    return 0;
}
