/*
 * The guard: a small program beside the daemon that holds nothing but what the daemon has prepared. While the daemon
 * lives it waits. When the daemon dies or hangs, it sends the prepared adverts in time, starts the daemon again, and, if
 * that does not come back soon, says farewell and removes what the daemon had put into the kernel.
 *
 * It knows no protocol beyond "a packet begins with an IP header". It stands on descriptor 3, one end of a
 * SOCK_SEQPACKET pair; src/guard.ts is the other end. All numbers are little-endian.
 *
 *   daemon to guard: type (1), zero (1), router (2), then
 *     1 CONFIG   flags (4) real-time priority (4) crash window µs (8), NUL-terminated texts: folder, then each
 *                word of the command, an empty one, each NAME=value of the environment, an empty one
 *     2 HELLO    pid (4) zero (4) heartbeat timeout µs (8)        answered by a STATE for each router, and READY
 *     3 BEAT     nothing                                          every message is a beat as well
 *     4 HOLD     flags (4) zero (4), µs (8 each): interval, next advert from now, grace, leave, yield; sections
 *     5 RENEW    flags (4) zero (4) next advert from now µs (8); sections ADVERT and FAREWELL, which replace the old
 *     6 RELEASE  nothing: forget this router
 *     7 SENT     nothing: the daemon has sent an advert, the next is due in an interval
 *     8 BYE      exit code (4): all is given up in order; the guard ends
 *   flags of CONFIG: 1 lock memory, 2 forward signals; of HOLD and RENEW: 1 repeat the last advert
 *   section: kind (2) zero (2) length (4) bytes
 *     1 ADVERT, 2 FAREWELL   packets: interface (4) length (4) bytes
 *     3 REMOVAL              netlink protocol (4), messages
 *     4 WINNER               interface (4) address family (4), classic BPF program
 *     5 RESUME               bytes for the successor
 *   guard to daemon: type (1), zero (1), router (2), then
 *     101 STATE  leaving (4) adverts sent (4), RESUME as it was
 *     102 READY  nothing: there are no more
 *     103 GONE   nothing: farewell said and all removed
 *
 * A router here:   HELD ──(daemon not back in time, or crashed twice)──► LEAVING ──(winner heard + yield, or wait over)──► gone
 *                    └────────────(another's advert heard while the daemon is away)──────────────► YIELDING ──► gone
 * The successor ends any of these with HOLD or RELEASE.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "send-packet.h"

enum { CONFIG = 1, HELLO, BEAT, HOLD, RENEW, RELEASE, SENT, BYE, STATE = 101, READY, GONE };
enum { ADVERT = 1, FAREWELL, REMOVAL, WINNER, RESUME };
enum { FLAG_LOCK = 1, FLAG_FORWARD = 2, FLAG_REPEAT = 1 };
enum { CHANNEL = 3, MAX_MESSAGE = 1 << 20, MAX_ROUTERS = 65536, MAX_WORDS = 1024, MAX_LISTENERS = 4 };
enum { HEADER = 4, SECTION = 8 };

static const int64_t SECOND = 1000000;
static const int64_t NEVER = INT64_MAX;
static const int64_t START_LIMIT = 30 * 1000000;
static const int64_t KILL_WAIT = 500000;

enum phase { HELD, LEAVING, YIELDING };

struct router {
  struct router *next;
  uint16_t id;
  enum phase phase;
  uint8_t *hold, *renewed; /* messages as they came; `renewed` may be absent */
  size_t hold_length, renewed_length;
  int64_t interval, grace, leave, yield;
  int64_t advert_at;  /* when the next advert is due */
  int64_t deadline;   /* HELD and orphaned: when to leave; LEAVING, YIELDING: when to remove */
  bool repeat;
  uint32_t next_advert, sent;
  int listeners[MAX_LISTENERS];
  int listener_count;
};

static struct {
  struct router *routers;
  int channel, pidfd, signals;
  struct raw_sockets raw;
  pid_t daemon;
  bool own_child, forwarding, greeted, orphaned;
  int64_t heartbeat, crash_window, last_beat, started_at, restart_at, last_restart, backoff;
  char *words[MAX_WORDS];
  char **environment;
  const char *folder;
  uint8_t *config;
  char oom_adjustment[16];
  struct rlimit files;
} guard = {.channel = CHANNEL, .pidfd = -1, .signals = -1, .restart_at = INT64_MAX,
           .last_restart = INT64_MIN / 2};

static uint8_t message[MAX_MESSAGE];

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * SECOND + time.tv_nsec / 1000;
}

static uint32_t read4(const uint8_t *at) { return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24; }
static uint16_t read2(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static int64_t read8(const uint8_t *at) { return (int64_t)(read4(at) | (uint64_t)read4(at + 4) << 32); }

/* --- sections ------------------------------------------------------------------------------------------- */

/* The `wanted`th section of a kind, or NULL. `at` is where sections begin. */
static const uint8_t *section(const uint8_t *bytes, size_t length, size_t at, int kind, uint32_t wanted, size_t *size) {
  while (at + SECTION <= length) {
    size_t body = read4(bytes + at + 4);
    if (body > length - at - SECTION) return NULL;
    if (read2(bytes + at) == kind && wanted-- == 0) {
      *size = body;
      return bytes + at + SECTION;
    }
    at += SECTION + body;
  }
  return NULL;
}

enum { HOLD_FIXED = HEADER + 8 + 5 * 8, RENEW_FIXED = HEADER + 8 + 8, CONFIG_FIXED = HEADER + 16, HELLO_FIXED = HEADER + 16 };

static const uint8_t *hold_section(const struct router *router, int kind, uint32_t index, size_t *size) {
  return section(router->hold, router->hold_length, HOLD_FIXED, kind, index, size);
}

/* Adverts and farewells come from the latest RENEW, where there was one. */
static const uint8_t *fresh_section(const struct router *router, int kind, uint32_t index, size_t *size) {
  size_t ignored;
  if (router->renewed != NULL && section(router->renewed, router->renewed_length, RENEW_FIXED, kind, 0, &ignored)) {
    return section(router->renewed, router->renewed_length, RENEW_FIXED, kind, index, size);
  }
  return hold_section(router, kind, index, size);
}

/* --- sending -------------------------------------------------------------------------------------------- */

static void send_packets(const uint8_t *packets, size_t length) {
  for (size_t at = 0; at + 8 <= length;) {
    size_t size = read4(packets + at + 4);
    if (size > length - at - 8) return;
    send_packet(guard.raw, packets + at + 8, size, (int)read4(packets + at));
    at += 8 + size;
  }
}

/* False when there is none left. */
static bool send_advert(struct router *router) {
  size_t size;
  const uint8_t *packets = fresh_section(router, ADVERT, router->next_advert, &size);
  if (packets == NULL && router->repeat && router->next_advert > 0) {
    router->next_advert--;
    packets = fresh_section(router, ADVERT, router->next_advert, &size);
  }
  if (packets == NULL) return false;
  send_packets(packets, size);
  router->next_advert++;
  router->sent++;
  return true;
}

static void send_farewell(struct router *router) {
  for (uint32_t i = 0; i < 2; i++) {
    size_t size;
    const uint8_t *packets = fresh_section(router, FAREWELL, i, &size);
    if (packets == NULL) packets = fresh_section(router, FAREWELL, 0, &size);
    if (packets != NULL) send_packets(packets, size);
  }
}

/* Each message is answered before the next is sent. What the kernel says is not ours to judge. */
static void remove_all(struct router *router) {
  size_t size;
  const uint8_t *removal;
  for (uint32_t i = 0; (removal = hold_section(router, REMOVAL, i, &size)) != NULL; i++) {
    if (size < 4) continue;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)read4(removal));
    if (fd < 0) continue;
    struct timeval limit = {.tv_usec = 200000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send(fd, removal + 4, size - 4, MSG_NOSIGNAL) >= 0) {
      uint8_t answer[512];
      if (recv(fd, answer, sizeof answer, 0) < 0) errno = 0;
    }
    close(fd);
  }
}

/* --- hearing the winner --------------------------------------------------------------------------------- */

static void open_listeners(struct router *router) {
  if (router->listener_count > 0) {
    /* Open since an earlier absence: what is queued is old. */
    for (int i = 0; i < router->listener_count; i++) {
      uint8_t old[64];
      while (recv(router->listeners[i], old, sizeof old, MSG_DONTWAIT) >= 0) continue;
    }
    return;
  }
  size_t size;
  const uint8_t *winner;
  for (uint32_t i = 0; (winner = hold_section(router, WINNER, i, &size)) != NULL; i++) {
    if (size < 8 || (size - 8) % sizeof(struct sock_filter) != 0 || router->listener_count == MAX_LISTENERS) continue;
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    size_t count = (size - 8) / sizeof(struct sock_filter);
    struct sock_filter *program = malloc(size - 8 + 1);
    if (program == NULL) {
      close(fd);
      continue;
    }
    memcpy(program, winner + 8, size - 8);
    struct sock_fprog filter = {.len = (unsigned short)count, .filter = program};
    int interface = (int)read4(winner), family = (int)read4(winner + 4);
    struct packet_mreq multicast = {.mr_ifindex = interface, .mr_type = PACKET_MR_ALLMULTI};
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(family == AF_INET ? ETHERTYPE_IP : ETHERTYPE_IPV6),
        .sll_ifindex = interface,
    };
    int ready = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
    free(program);
    if (interface != 0) setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &multicast, sizeof multicast);
    if (ready < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
      close(fd);
      continue;
    }
    router->listeners[router->listener_count++] = fd;
  }
}

/* Whether both messages ask to listen for the same: closing such a socket takes the kernel milliseconds. */
static bool same_winners(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length) {
  for (uint32_t i = 0;; i++) {
    size_t a_size = 0, b_size = 0;
    const uint8_t *mine = section(a, a_length, HOLD_FIXED, WINNER, i, &a_size);
    const uint8_t *other = section(b, b_length, HOLD_FIXED, WINNER, i, &b_size);
    if (mine == NULL && other == NULL) return true;
    if (mine == NULL || other == NULL || a_size != b_size || memcmp(mine, other, a_size) != 0) return false;
  }
}

static bool hears_winner(struct router *router) {
  bool heard = false;
  for (int i = 0; i < router->listener_count; i++) {
    struct sockaddr_ll from;
    socklen_t length = sizeof from;
    uint8_t start[64];
    while (recvfrom(router->listeners[i], start, sizeof start, MSG_DONTWAIT, (struct sockaddr *)&from, &length) >= 0) {
      if (from.sll_pkttype != PACKET_OUTGOING) heard = true;
      length = sizeof from;
    }
  }
  return heard;
}

/* --- routers -------------------------------------------------------------------------------------------- */

static struct router *find(uint16_t id) {
  for (struct router *router = guard.routers; router != NULL; router = router->next) {
    if (router->id == id) return router;
  }
  return NULL;
}

static void forget(struct router *router) {
  for (struct router **link = &guard.routers; *link != NULL; link = &(*link)->next) {
    if (*link != router) continue;
    *link = router->next;
    break;
  }
  for (int i = 0; i < router->listener_count; i++) close(router->listeners[i]);
  free(router->hold);
  free(router->renewed);
  free(router);
}

static void tell(int type, const struct router *router) {
  if (guard.channel < 0 || !guard.greeted) return;
  size_t size = 0;
  const uint8_t *resume = NULL;
  uint8_t answer[HEADER + 8 + 65536];
  memset(answer, 0, HEADER + 8);
  answer[0] = (uint8_t)type;
  size_t length = HEADER;
  if (router != NULL) answer[2] = router->id & 0xff, answer[3] = router->id >> 8;
  if (type == STATE) {
    answer[4] = router->phase != HELD;
    for (int i = 0; i < 4; i++) answer[8 + i] = (router->sent >> (8 * i)) & 0xff;
    length += 8;
    resume = hold_section(router, RESUME, 0, &size);
    if (resume != NULL && size <= 65536) memcpy(answer + length, resume, size), length += size;
  }
  send(guard.channel, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void begin_leaving(struct router *router, int64_t time) {
  open_listeners(router);
  send_farewell(router);
  router->phase = LEAVING;
  router->deadline = time + router->leave;
}

static void finish(struct router *router) {
  remove_all(router);
  tell(GONE, router);
  forget(router);
}

/* --- the daemon ----------------------------------------------------------------------------------------- */

static void take_words(const uint8_t *texts, size_t length) {
  size_t at = 0;
  int count = 0;
  bool environment = false;
  guard.folder = (const char *)texts;
  guard.environment = NULL;
  for (at = strnlen((const char *)texts, length) + 1; at < length && count < MAX_WORDS - 2;) {
    char *word = (char *)texts + at;
    size_t size = strnlen(word, length - at);
    if (at + size >= length) break;
    at += size + 1;
    if (size > 0) {
      guard.words[count++] = word;
      continue;
    }
    guard.words[count++] = NULL;
    if (environment) break;
    environment = true;
    guard.environment = &guard.words[count];
  }
  guard.words[count] = NULL;
}

static void write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, text, strlen(text)) < 0) errno = 0;
  close(fd);
}

static _Noreturn void run_daemon(int channel) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  write_text("/proc/self/oom_score_adj", guard.oom_adjustment);
  setrlimit(RLIMIT_NOFILE, &guard.files);
  if (guard.folder != NULL && *guard.folder != '\0' && chdir(guard.folder) < 0) errno = 0;
  if (channel == CHANNEL) {
    if (fcntl(channel, F_SETFD, 0) < 0) _exit(127);
  } else if (dup2(channel, CHANNEL) < 0) {
    _exit(127);
  }
  static char number[] = "VRRPD_GUARD_FD=3";
  char *environment[MAX_WORDS + 1];
  int count = 0;
  for (char **entry = guard.environment; entry != NULL && *entry != NULL; entry++) environment[count++] = *entry;
  environment[count++] = number;
  environment[count] = NULL;
  execvpe(guard.words[0], guard.words, environment);
  _exit(127);
}

static void start_daemon(int64_t time) {
  int pair[2];
  guard.restart_at = NEVER;
  guard.last_restart = guard.started_at = time;
  guard.backoff = guard.backoff == 0 ? SECOND : guard.backoff >= 32 * SECOND ? 60 * SECOND : 2 * guard.backoff;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
    guard.restart_at = time + guard.backoff;
    return;
  }
  int size = 4 * MAX_MESSAGE;
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  pid_t pid = fork();
  if (pid == 0) run_daemon(pair[1]);
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    guard.restart_at = time + guard.backoff;
    return;
  }
  guard.channel = pair[0];
  guard.daemon = pid;
  guard.own_child = true;
  guard.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  guard.last_beat = time;
  guard.greeted = false;
}

static void kill_daemon(void) {
  if (guard.daemon <= 0) return;
  if (guard.pidfd >= 0) {
    syscall(SYS_pidfd_send_signal, guard.pidfd, SIGKILL, NULL, 0);
    struct pollfd dead = {.fd = guard.pidfd, .events = POLLIN};
    poll(&dead, 1, (int)(KILL_WAIT / 1000));
    close(guard.pidfd);
  } else if (guard.own_child) {
    kill(guard.daemon, SIGKILL);
  }
  guard.pidfd = -1;
}

/* The daemon is no more. `hung`: it may have missed an advert already. */
static void orphaned(int64_t time, bool hung) {
  if (guard.channel >= 0) close(guard.channel);
  guard.channel = -1;
  kill_daemon();
  int status = 0;
  bool gives_up = guard.words[0] == NULL;
  if (guard.own_child && guard.daemon > 0 && waitpid(guard.daemon, &status, WNOHANG) == guard.daemon && !hung && WIFEXITED(status)) {
    /* What a start would only repeat: fatal error, configuration, permission. */
    int code = WEXITSTATUS(status);
    gives_up = gives_up || code == 1 || code == 2 || code == 4;
  }
  if (guard.greeted && time - guard.started_at > 60 * SECOND) guard.backoff = 0;
  bool again = time - guard.last_restart < guard.crash_window;
  guard.daemon = 0;
  guard.greeted = false;
  bool first = !guard.orphaned;
  guard.orphaned = true;
  struct router *next;
  for (struct router *router = guard.routers; router != NULL; router = next) {
    next = router->next;
    if (router->phase != HELD) continue;
    if (first || again) open_listeners(router);
    if (gives_up || again) {
      begin_leaving(router, time);
      continue;
    }
    router->deadline = time + router->grace;
    /* An advert that is overdue, or may have been missed by a daemon that hung, goes out at once. */
    if (hung || router->advert_at < time) router->advert_at = time;
  }
  if (gives_up) {
    guard.restart_at = NEVER;
    guard.words[0] = NULL;
  } else if (guard.backoff == 0) {
    start_daemon(time);
  } else {
    guard.restart_at = time + guard.backoff;
  }
}

static void hello(const uint8_t *bytes, int64_t time) {
  if (!guard.own_child) {
    guard.daemon = (pid_t)read4(bytes + HEADER);
    guard.pidfd = (int)syscall(SYS_pidfd_open, guard.daemon, 0);
    guard.started_at = time;
  }
  guard.heartbeat = read8(bytes + HEADER + 8);
  guard.greeted = true;
  for (struct router *router = guard.routers; router != NULL; router = router->next) tell(STATE, router);
  tell(READY, NULL);
}

static void take_config(const uint8_t *bytes, size_t length) {
  uint32_t flags = read4(bytes + HEADER), priority = read4(bytes + HEADER + 4);
  guard.crash_window = read8(bytes + HEADER + 8);
  guard.forwarding = flags & FLAG_FORWARD;
  uint8_t *copy = malloc(length + 1);
  if (copy == NULL) return;
  memcpy(copy, bytes, length);
  copy[length] = 0;
  free(guard.config);
  guard.config = copy;
  take_words(copy + CONFIG_FIXED, length - CONFIG_FIXED);
  if (flags & FLAG_LOCK) mlockall(MCL_CURRENT | MCL_FUTURE);
  if (priority > 0) {
    struct sched_param parameter = {.sched_priority = (int)priority};
    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameter);
  }
}

static void take_hold(const uint8_t *bytes, size_t length, int64_t time) {
  uint16_t id = read2(bytes + 2);
  struct router *router = find(id);
  uint8_t *copy = malloc(length);
  if (copy == NULL) return;
  memcpy(copy, bytes, length);
  if (router == NULL) {
    router = calloc(1, sizeof *router);
    if (router == NULL) {
      free(copy);
      return;
    }
    router->id = id;
    router->next = guard.routers;
    guard.routers = router;
  }
  if (router->hold != NULL && !same_winners(router->hold, router->hold_length, bytes, length)) {
    for (int i = 0; i < router->listener_count; i++) close(router->listeners[i]);
    router->listener_count = 0;
  }
  free(router->hold);
  free(router->renewed);
  router->hold = copy, router->hold_length = length;
  router->renewed = NULL, router->renewed_length = 0;
  router->repeat = read4(bytes + HEADER) & FLAG_REPEAT;
  const uint8_t *times = bytes + HEADER + 8;
  router->interval = read8(times) < 1000 ? 1000 : read8(times);
  router->advert_at = time + read8(times + 8);
  router->grace = read8(times + 16);
  router->leave = read8(times + 24);
  router->yield = read8(times + 32);
  router->deadline = NEVER;
  router->phase = HELD;
  router->next_advert = router->sent = 0;
}

static void take_renewal(const uint8_t *bytes, size_t length, int64_t time) {
  struct router *router = find(read2(bytes + 2));
  uint8_t *copy = router == NULL ? NULL : malloc(length);
  if (copy == NULL) return;
  memcpy(copy, bytes, length);
  free(router->renewed);
  router->renewed = copy, router->renewed_length = length;
  router->repeat = read4(bytes + HEADER) & FLAG_REPEAT;
  router->advert_at = time + read8(bytes + HEADER + 8);
  router->next_advert = 0;
}

static void take_message(const uint8_t *bytes, size_t length, int64_t time) {
  if (length < HEADER) return;
  struct router *router;
  switch (bytes[0]) {
    case CONFIG:
      if (length > CONFIG_FIXED) take_config(bytes, length);
      return;
    case HELLO:
      if (length >= HELLO_FIXED) hello(bytes, time);
      return;
    case HOLD:
      if (length >= HOLD_FIXED) take_hold(bytes, length, time);
      return;
    case RENEW:
      if (length >= RENEW_FIXED) take_renewal(bytes, length, time);
      return;
    case RELEASE:
      router = find(read2(bytes + 2));
      if (router != NULL) forget(router);
      return;
    case SENT:
      router = find(read2(bytes + 2));
      if (router != NULL) router->advert_at = time + router->interval, router->next_advert = 0;
      return;
    case BYE: {
      int code = length >= HEADER + 4 ? (int)read4(bytes + HEADER) : 0;
      if (guard.forwarding && guard.pidfd >= 0) {
        struct pollfd dead = {.fd = guard.pidfd, .events = POLLIN};
        poll(&dead, 1, 5000);
      }
      exit(code);
    }
    default: /* BEAT */
      return;
  }
}

/* Everything the daemon has said. False when it has hung up. */
static bool hear_daemon(int64_t time) {
  while (guard.channel >= 0) {
    ssize_t length = recv(guard.channel, message, sizeof message, MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (length < 0) return true;
    guard.last_beat = time;
    take_message(message, (size_t)length, time);
  }
  return true;
}

static void hear_signals(int64_t time) {
  struct signalfd_siginfo info;
  while (read(guard.signals, &info, sizeof info) == sizeof info) {
    int number = (int)info.ssi_signo;
    if (!guard.forwarding || number == SIGCHLD || number == SIGPIPE) continue;
    if (guard.pidfd >= 0) {
      syscall(SYS_pidfd_send_signal, guard.pidfd, number, NULL, 0);
    } else if (number == SIGTERM || number == SIGINT) {
      guard.words[0] = NULL;
      guard.restart_at = NEVER;
      for (struct router *router = guard.routers; router != NULL; router = router->next) {
        if (router->phase == HELD) begin_leaving(router, time);
      }
    }
  }
}

/* What is due now for the routers whose daemon is away, or has not taken them over yet. */
static void serve(struct router *router, int64_t time) {
  if (router->deadline == NEVER) return;
  if (hears_winner(router)) {
    int64_t removal = time + router->yield;
    if (router->phase == HELD || removal < router->deadline) router->deadline = removal;
    router->phase = YIELDING;
  }
  if (router->phase == HELD) {
    if (time >= router->deadline) {
      begin_leaving(router, time);
    } else if (time >= router->advert_at) {
      if (!send_advert(router)) {
        begin_leaving(router, time);
      } else {
        router->advert_at += router->interval;
        if (router->advert_at <= time) router->advert_at = time + router->interval;
      }
    }
  } else if (time >= router->deadline) {
    finish(router);
  }
}

static int64_t earliest(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t next_event(void) {
  int64_t next = guard.restart_at;
  if (guard.channel >= 0 && guard.heartbeat > 0) {
    next = earliest(next, guard.last_beat + (guard.greeted ? guard.heartbeat : START_LIMIT));
  }
  for (struct router *router = guard.routers; router != NULL; router = router->next) {
    if (router->deadline == NEVER) continue;
    next = earliest(next, router->deadline);
    if (router->phase == HELD) next = earliest(next, router->advert_at);
  }
  return next;
}

static void wait_until(int64_t next) {
  static struct pollfd *fds;
  static size_t room;
  size_t count = 3;
  for (struct router *router = guard.routers; router != NULL; router = router->next) {
    if (router->deadline != NEVER) count += (size_t)router->listener_count;
  }
  if (count > room) {
    struct pollfd *larger = realloc(fds, count * sizeof *fds);
    if (larger == NULL) return;
    fds = larger, room = count;
  }
  fds[0] = (struct pollfd){.fd = guard.channel, .events = POLLIN};
  fds[1] = (struct pollfd){.fd = guard.pidfd, .events = POLLIN};
  fds[2] = (struct pollfd){.fd = guard.signals, .events = POLLIN};
  size_t used = 3;
  for (struct router *router = guard.routers; router != NULL; router = router->next) {
    for (int i = 0; router->deadline != NEVER && i < router->listener_count; i++) {
      fds[used++] = (struct pollfd){.fd = router->listeners[i], .events = POLLIN};
    }
  }
  int64_t wait = next == NEVER ? NEVER : next - now();
  struct timespec limit = {.tv_sec = wait > 0 ? wait / SECOND : 0, .tv_nsec = wait > 0 ? wait % SECOND * 1000 : 0};
  ppoll(fds, used, wait == NEVER ? NULL : &limit, NULL);
}

static bool daemon_is_dead(void) {
  struct pollfd dead = {.fd = guard.pidfd, .events = POLLIN};
  return guard.pidfd >= 0 && poll(&dead, 1, 0) > 0;
}

static void prepare(void) {
  setsid();
  prctl(PR_SET_NAME, "vrrpd-guard");
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  guard.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);

  int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t length = read(fd, guard.oom_adjustment, sizeof guard.oom_adjustment - 1);
    guard.oom_adjustment[length > 0 ? length : 0] = '\0';
    close(fd);
    write_text("/proc/self/oom_score_adj", "-1000");
  }
  getrlimit(RLIMIT_NOFILE, &guard.files);
  struct rlimit files = {guard.files.rlim_max, guard.files.rlim_max};
  setrlimit(RLIMIT_NOFILE, &files);

  guard.raw = open_raw_sockets();
}

int main(void) {
  prepare();
  guard.last_beat = now();
  int64_t planned = NEVER;
  for (;;) {
    int64_t time = now();
    /* Frozen together with the daemon, as a whole host is: it gets its time again. */
    if (planned != NEVER && time - planned > guard.heartbeat / 4) guard.last_beat = time;
    bool connected = hear_daemon(time);
    hear_signals(time);
    if (guard.channel >= 0 && (!connected || daemon_is_dead())) {
      orphaned(time, false);
    } else if (guard.channel >= 0 && guard.heartbeat > 0) {
      int64_t limit = guard.greeted ? guard.heartbeat : START_LIMIT;
      if (time - guard.last_beat >= limit) orphaned(time, true);
    }
    if (guard.channel >= 0 && guard.greeted) guard.orphaned = false;
    if (time >= guard.restart_at && guard.words[0] != NULL) start_daemon(time);

    struct router *next;
    for (struct router *router = guard.routers; router != NULL; router = next) {
      next = router->next;
      serve(router, time);
    }
    if (guard.routers == NULL && guard.channel < 0 && guard.restart_at == NEVER) return 0;
    planned = next_event();
    wait_until(planned);
  }
}
