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
 *     9 LIMIT    heartbeat timeout µs (8): another one from now on
 *   flags of CONFIG: 1 lock memory, 2 forward signals, 4 tell syslog too; of HOLD and RENEW: 1 repeat the last advert
 *   section: kind (2) zero (2) length (4) bytes
 *     1 ADVERT, 2 FAREWELL   packets: interface (4) length (4) bytes
 *     3 REMOVAL              netlink protocol (4), messages
 *     4 WINNER               interface (4) address family (4), classic BPF program
 *     5 RESUME               bytes for the successor
 *     6 SILENCE              netlink protocol (4), messages: when the winner is heard, before REMOVAL
 *   guard to daemon: type (1), zero (1), router (2), then
 *     101 STATE  leaving (4) adverts sent (4), RESUME as it was
 *     102 READY  nothing: there are no more
 *     103 GONE   nothing: farewell said and all removed
 *
 * A daemon that is silent because it gets no processor (its wait for one is as long as its silence) is not killed, which would
 * cost it still more: the guard speaks for it, for a few times its patience.
 *
 * A router here:   HELD ──(daemon not back in time, or crashed twice)──► LEAVING ──(winner heard + yield, or wait over)──► gone
 *                    └────────────(another's advert heard while the daemon is away)──────────────► YIELDING ──► gone
 * The successor ends any of these with HOLD or RELEASE.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static const int64_t START_LIMIT = 30 * 1000000;
/* See `patience`. */
static const int64_t IDLE_LIMIT = 10 * 1000000;
static const int64_t KILL_WAIT = 500000;
/* How long a daemon that gets no processor is spoken for, in patiences. */
enum { STARVING_PATIENCES = 6 };

struct guard guard = {.channel = CHANNEL, .pidfd = -1, .signals = -1, .restart_at = INT64_MAX,
           .last_restart = INT64_MIN / 2, .waited = -1};

static uint8_t message[MAX_MESSAGE];

/* --- words ---------------------------------------------------------------------------------------------- */

/* A line to standard error and to the system log; a logger that does not take it at once does not get it. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
  char line[512];
  int start = snprintf(line, sizeof line, "<28>vrrpd-guard[%d]: ", (int)getpid());
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line + start, sizeof line - (size_t)start - 1, format, values);
  va_end(values);
  if (length < 0) return;
  length += start;
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  if (guard.to_syslog) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un logger = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    if (fd >= 0) {
      sendto(fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&logger, sizeof logger);
      close(fd);
    }
  }
  line[length] = '\n';
  struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (poll(&terminal, 1, 0) > 0 && (terminal.revents & POLLOUT) && write(STDERR_FILENO, line + 4, (size_t)length - 3) < 0) {
    errno = 0;
  }
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

/* How it ended, in words. Of a daemon that we did not start nothing is known. */
static void describe_end(char *words, size_t size, int64_t time, bool hung, bool known, int status) {
  if (hung) {
    snprintf(words, size, "had not beaten for %lld ms and was killed", (long long)((time - guard.last_beat) / 1000));
  } else if (known && WIFSIGNALED(status)) {
    snprintf(words, size, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  } else if (known && WIFEXITED(status)) {
    snprintf(words, size, "exited with status %d", WEXITSTATUS(status));
  } else {
    snprintf(words, size, "has ended");
  }
}

/* The daemon is no more. `hung`: it may have missed an advert already. */
static void orphaned(int64_t time, bool hung) {
  pid_t pid = guard.daemon;
  if (guard.channel >= 0) close(guard.channel);
  guard.channel = -1;
  kill_daemon();
  int status = 0;
  bool gives_up = guard.words[0] == NULL;
  bool known = guard.own_child && guard.daemon > 0 && waitpid(guard.daemon, &status, WNOHANG) == guard.daemon;
  if (known && !hung) {
    /* What a start would only repeat: fatal error, configuration (also when the file is gone), permission. */
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    gives_up = gives_up || code == 1 || code == 2 || code == 4 || code == 6;
    /* Asked to stop before it could listen to that: no crash. */
    gives_up = gives_up || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  }
  if (guard.greeted && time - guard.started_at > 60 * SECOND) guard.backoff = 0;
  bool again = time - guard.last_restart < guard.crash_window;
  guard.daemon = 0;
  guard.greeted = false;
  guard.waited = -1;
  guard.starving_until = 0;
  int held = 0;
  for (struct router *router = guard.routers; router != NULL; router = router->next) held += router->phase == HELD;
  char end[128];
  describe_end(end, sizeof end, time, hung, known, status);
  bool leaves = held > 0 && (gives_up || again);
  say("the daemon (pid %d) %s: %s%s", (int)pid, end,
      gives_up ? "it is not started again" : guard.backoff == 0 ? "started again" : "started again in a while",
      leaves ? gives_up ? "; its virtual routers leave" : " and, since it ended a short while ago too, its virtual routers leave"
             : held > 0 ? "; meanwhile its adverts come from here" : "");
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
  for (struct router *router = guard.routers; router != NULL; router = router->next) tell_daemon(STATE, router);
  tell_daemon(READY, NULL);
}

static void take_config(const uint8_t *bytes, size_t length) {
  uint32_t flags = read4(bytes + HEADER), priority = read4(bytes + HEADER + 4);
  guard.crash_window = read8(bytes + HEADER + 8);
  guard.forwarding = flags & FLAG_FORWARD;
  guard.to_syslog = flags & FLAG_SYSLOG;
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
      if (length >= HOLD_FIXED) hold_router(bytes, length, time);
      return;
    case RENEW:
      if (length >= RENEW_FIXED) renew_router(bytes, length, time);
      return;
    case RELEASE:
      router = find_router(read2(bytes + 2));
      if (router != NULL) forget_router(router);
      return;
    case SENT:
      router = find_router(read2(bytes + 2));
      if (router != NULL) router->advert_at = time + router->interval, router->next_advert = 0;
      return;
    case LIMIT:
      if (length >= HEADER + 8) guard.heartbeat = read8(bytes + HEADER);
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
    guard.waited = -1;
    guard.starving_until = 0;
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

static int64_t earliest(int64_t a, int64_t b) { return a < b ? a : b; }

/*
 * Silence after which the daemon counts as hung. One that holds nothing, a backup, endangers nobody soon: to kill it when
 * a busy host makes it slow would take the pair's other half away just when it is needed.
 */
static int64_t patience(void) {
  if (!guard.greeted) return START_LIMIT;
  return guard.routers == NULL && guard.heartbeat < IDLE_LIMIT ? IDLE_LIMIT : guard.heartbeat;
}

/* Microseconds that the daemon's main thread has been on a processor, and has waited for one. */
static bool processor_times(int64_t *ran, int64_t *waited) {
  char path[64], text[96];
  snprintf(path, sizeof path, "/proc/%d/schedstat", (int)guard.daemon);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length > 0 ? length : 0] = '\0';
  char *end;
  *ran = strtoll(text, &end, 10) / 1000;
  *waited = strtoll(end, &end, 10) / 1000;
  return length > 0;
}

static bool is_thread_runnable(const char *thread) {
  char path[320], text[256];
  snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)guard.daemon, thread);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length > 0 ? length : 0] = '\0';
  const char *name_end = strrchr(text, ')');
  return name_end != NULL && strncmp(name_end, ") R", 3) == 0;
}

/* Whether any thread of the daemon wants to run: the main one may sleep because it waits for one of V8's that gets no processor. */
static bool is_runnable(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", (int)guard.daemon);
  DIR *threads = opendir(path);
  if (threads == NULL) return false;
  bool runnable = false;
  for (struct dirent *entry; !runnable && (entry = readdir(threads)) != NULL;) {
    runnable = entry->d_name[0] != '.' && is_thread_runnable(entry->d_name);
  }
  closedir(threads);
  return runnable;
}

/*
 * The daemon has been silent for its patience. Whether that is for want of a processor: then it gets a few times as long. A
 * wait that goes on is not in the kernel's sum before it is over, so who wants to run and hardly did counts as well.
 */
static bool starves(int64_t time) {
  if (guard.starving_until != 0) return time < guard.starving_until;
  int64_t ran, waited, looked = patience() / 2;
  if (guard.waited < 0 || guard.routers == NULL || !processor_times(&ran, &waited)) return false;
  if (waited - guard.waited < looked * 4 / 10 && !(is_runnable() && ran - guard.ran < looked / 10)) return false;
  guard.starving_until = time + (STARVING_PATIENCES - 1) * patience();
  say("the daemon (pid %d) gets no processor: its adverts come from here meanwhile", (int)guard.daemon);
  return true;
}

static int64_t next_event(void) {
  int64_t next = guard.restart_at;
  if (guard.channel >= 0 && guard.heartbeat > 0) {
    if (guard.starving_until != 0) {
      next = earliest(next, now() + 5000);
    } else {
      if (guard.waited < 0 && guard.greeted && guard.routers != NULL) next = earliest(next, guard.last_beat + patience() / 2);
      next = earliest(next, guard.last_beat + patience());
    }
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
  fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);
  /* What a daemon has left open by mistake must not outlive it with us. */
  syscall(SYS_close_range, CHANNEL + 1, ~0U, 0);
  guard.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);

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
    } else if (guard.channel >= 0 && guard.heartbeat > 0 && time - guard.last_beat >= patience()) {
      if (starves(time)) speak_for(time);
      else orphaned(time, true);
    } else if (guard.channel >= 0 && guard.greeted && guard.waited < 0 && time - guard.last_beat >= patience() / 2) {
      if (!processor_times(&guard.ran, &guard.waited)) guard.waited = 0;
    }
    if (guard.channel >= 0 && guard.greeted) guard.orphaned = false;
    if (time >= guard.restart_at && guard.words[0] != NULL) start_daemon(time);

    struct router *next;
    for (struct router *router = guard.routers; router != NULL; router = next) {
      next = router->next;
      serve_router(router, time);
    }
    if (guard.routers == NULL && guard.channel < 0 && guard.restart_at == NEVER) return 0;
    planned = next_event();
    wait_until(planned);
  }
}
