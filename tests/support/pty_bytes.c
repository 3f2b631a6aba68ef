/* What a program sends to its terminal, counted through a pseudo terminal.
 *
 *   pty_bytes COLUMNSxROWS TEXT KEYS IDLE_S PROGRAM ARG…
 *
 * Starts PROGRAM, waits until its output contains TEXT and then pauses, presses each character of
 * KEYS and waits for the pause behind it, then for what comes when the cursor rests, listens IDLE_S
 * seconds more, and ends the program. One line each:
 *
 *   first BYTES     key C BYTES REST     idle BYTES     resident KB (the peak, Linux)
 *
 * The one place of the tests that must measure time: silence cannot be waited for otherwise. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE_MS = 500, KEY_PAUSE_MS = 200, PATIENCE_MS = 30000, KEPT = 1 << 20 };

static char seen[KEPT + 1];
static size_t n_seen;

/* Read until `pause` ms of silence; returns the bytes, or -1 when the program has gone. */
static long drain(int fd, int pause)
{
    char buf[65536];
    long total = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const int ready = poll(&p, 1, pause);
        ssize_t n;

        if (ready == 0)
            return total;
        if (ready < 0 && errno == EINTR)
            continue;
        n = read(fd, buf, sizeof buf);
        if (n <= 0)
            return -1;
        total += n;
        if (n_seen + (size_t)n <= KEPT) {
            memcpy(seen + n_seen, buf, (size_t)n);
            n_seen += (size_t)n;
            seen[n_seen] = '\0';
        }
    }
}

/* VmHWM of a process in KB, 0 where the system does not say. */
static long peak_memory(pid_t pid)
{
    char path[64];
    char line[256];
    long kb = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmHWM: %ld", &kb) == 1)
            break;
    }
    if (f)
        fclose(f);
    return kb;
}

static int usage(void)
{
    fprintf(stderr, "usage: pty_bytes COLUMNSxROWS TEXT KEYS IDLE_S PROGRAM ARG…\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct winsize size = {0};
    unsigned w = 0;
    unsigned h = 0;
    int fd = -1;
    int status = 0;
    long first = 0;
    long bytes;
    pid_t pid;

    if (argc < 6 || sscanf(argv[1], "%ux%u", &w, &h) != 2)
        return usage();
    size.ws_col = (unsigned short)w;
    size.ws_row = (unsigned short)h;
    pid = forkpty(&fd, NULL, NULL, &size);
    if (pid < 0) {
        perror("forkpty");
        return 1;
    }
    if (pid == 0) {
        execv(argv[5], argv + 5);
        perror(argv[5]);
        _exit(127);
    }
    for (int waited = 0; !strstr(seen, argv[2]); waited += PAUSE_MS) {
        bytes = drain(fd, PAUSE_MS);
        if (bytes < 0 || waited > PATIENCE_MS) {
            fprintf(stderr, "pty_bytes: never saw \"%s\"\n", argv[2]);
            kill(pid, SIGKILL);
            return 1;
        }
        first += bytes;
    }
    printf("first %ld\n", first);
    for (const char *key = argv[3]; *key; key++) {
        long rest;
        if (write(fd, key, 1) != 1 || (bytes = drain(fd, KEY_PAUSE_MS)) < 0 ||
            (rest = drain(fd, PAUSE_MS)) < 0) {
            fprintf(stderr, "pty_bytes: the program ended at key %c\n", *key);
            return 1;
        }
        printf("key %c %ld %ld\n", *key, bytes, rest);
    }
    bytes = drain(fd, atoi(argv[4]) * 1000);
    printf("idle %ld\nresident %ld\n", bytes, peak_memory(pid));
    kill(pid, SIGTERM);
    while (drain(fd, PAUSE_MS) >= 0)
        if (waitpid(pid, &status, WNOHANG) == pid)
            return 0;
    waitpid(pid, &status, 0);
    return 0;
}
