/*
 * Starts a program as a daemon must start the scripts of others: in a session of its own, with the rights asked
 * for, without our descriptors, signals, scheduling or memory. Node's spawn cannot set groups, umask or scheduling, and
 * leaves open what was opened without close-on-exec.
 *
 *   launch [-u UID] [-g GID] [-G GID,GID…] [-m UMASK] [-n NETNS] [-s] [-k] [-d SIGNAL] [-f FD] [-l RESOURCE=LIMIT]…
 *          -- PROGRAM [ARGUMENT…]
 *
 *   -u -g -G  user, group, supplementary groups (none if -u is given without -G)
 *   -m        umask, octal            -n  network namespace to enter (a path)
 *   -s        not a session of its own
 *   -k        keep scheduling class, niceness and affinity
 *   -d        signal to get when the parent dies (a number)
 *   -f        keep the descriptors from 4 up to this one
 *   -l        limit a resource (its number), soft and hard; -1 is no limit
 *
 * If the program cannot be started, "STAGE ERRNO\n" goes to descriptor 3 and the exit status is 127. Descriptor 3
 * is closed when the program starts, which is how the parent knows that it has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REPORT = 3, MAX_GROUPS = 1024, CANNOT_EXECUTE = 127 };

static _Noreturn void fail(const char *stage) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %d\n", stage, errno);
  if (write(REPORT, line, (size_t)length) != length) _exit(CANNOT_EXECUTE);
  _exit(CANNOT_EXECUTE);
}

static long number(const char *text, int base) {
  char *end = NULL;
  errno = 0;
  long value = strtol(text, &end, base);
  if (errno != 0 || end == text || *end != '\0' || value < 0) {
    errno = EINVAL;
    fail("options");
  }
  return value;
}

/* The last one means "leave as it is" to the kernel: root would stay root. */
static long identity(const char *text) {
  long value = number(text, 10);
  if (value >= 0xffffffffL) {
    errno = EINVAL;
    fail("options");
  }
  return value;
}

static size_t read_groups(char *text, gid_t *groups) {
  size_t count = 0;
  for (char *part = strtok(text, ","); part != NULL; part = strtok(NULL, ",")) {
    if (count == MAX_GROUPS) {
      errno = EINVAL;
      fail("options");
    }
    groups[count++] = (gid_t)identity(part);
  }
  return count;
}

static void reset_signals(void) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void reset_scheduling(void) {
  struct sched_param ordinary = {.sched_priority = 0};
  sched_setscheduler(0, SCHED_OTHER, &ordinary);
  setpriority(PRIO_PROCESS, 0, 0);
  cpu_set_t all;
  memset(&all, 0xff, sizeof all);
  sched_setaffinity(0, sizeof all, &all);
}

/* "7=4096": before rights are given up, since a hard limit can only be raised by root. */
static void limit_resource(char *text) {
  char *value = strchr(text, '=');
  if (value == NULL) {
    errno = EINVAL;
    fail("options");
  }
  *value++ = '\0';
  rlim_t most = strcmp(value, "-1") == 0 ? RLIM_INFINITY : (rlim_t)number(value, 10);
  struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
  if (setrlimit((__rlimit_resource_t)number(text, 10), &limit) < 0) fail("limit");
}

int main(int argc, char **argv) {
  static gid_t groups[MAX_GROUPS];
  size_t group_count = 0;
  long uid = -1, gid = -1, mask = -1, death = 0;
  int keep = 0, session = 1, set_groups = 0;
  const char *network = NULL;
  long kept = REPORT;
  pid_t parent = getppid();

  int option;
  while ((option = getopt(argc, argv, "+u:g:G:m:n:d:f:l:ks")) != -1) {
    switch (option) {
      case 'u': uid = identity(optarg); break;
      case 'g': gid = identity(optarg); break;
      case 'G': group_count = read_groups(optarg, groups), set_groups = 1; break;
      case 'm': mask = number(optarg, 8); break;
      case 'n': network = optarg; break;
      case 'd': death = number(optarg, 10); break;
      case 'k': keep = 1; break;
      case 'f': kept = number(optarg, 10); break;
      case 'l': limit_resource(optarg); break;
      case 's': session = 0; break;
      default: errno = EINVAL; fail("options");
    }
  }
  if (optind >= argc) {
    errno = EINVAL;
    fail("options");
  }
  reset_signals();
  if (session && getsid(0) != getpid()) setsid();
  if (!keep) reset_scheduling();
  if (network != NULL) {
    int fd = open(network, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail("namespace");
  }
  if (mask >= 0) umask((mode_t)mask);
  if ((uid >= 0 || set_groups) && setgroups(group_count, groups) < 0) fail("groups");
  if (gid >= 0 && setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) < 0) fail("group");
  if (uid >= 0 && setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0) fail("user");
  /* A change of user clears it, so this comes after; the parent may have died before. */
  if (death > 0 && prctl(PR_SET_PDEATHSIG, death) < 0) fail("death signal");
  if (death > 0 && getppid() != parent) raise((int)death);

  if (fcntl(REPORT, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF) fail("descriptors");
  if (kept < REPORT) kept = REPORT;
  if (syscall(SYS_close_range, (unsigned)kept + 1, ~0U, 0) < 0) {
    /* Before Linux 5.9. */
    long limit = sysconf(_SC_OPEN_MAX);
    for (long fd = kept + 1; fd < limit; fd++) close((int)fd);
  }
  execv(argv[optind], argv + optind);
  fail("execute");
}
