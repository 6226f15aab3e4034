/*
 * Doors to what Node lacks for its own process: scheduling, limits, names, namespaces, chroot, locks.
 * Every function returns what the system call returned, or the negative error number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 4, MAX_PATH = 4096 };

struct call {
  napi_env env;
  napi_value argument[MAX_ARGUMENTS];
  bool wrong;
};

static struct call enter(napi_env env, napi_callback_info info) {
  struct call call = {.env = env, .wrong = false};
  size_t count = MAX_ARGUMENTS;
  if (napi_get_cb_info(env, info, &count, call.argument, NULL, NULL) != napi_ok) call.wrong = true;
  return call;
}

static int64_t integer(struct call *call, int index) {
  int64_t value = 0;
  if (napi_get_value_int64(call->env, call->argument[index], &value) != napi_ok) call->wrong = true;
  return value;
}

static void text(struct call *call, int index, char *into) {
  size_t length = 0;
  if (napi_get_value_string_utf8(call->env, call->argument[index], into, MAX_PATH, &length) != napi_ok ||
      length + 1 >= MAX_PATH) {
    call->wrong = true;
  }
}

static napi_value refuse(struct call *call) {
  napi_throw_type_error(call->env, NULL, "an argument of a native process call has the wrong type or size");
  return NULL;
}

static napi_value outcome(napi_env env, int64_t result) {
  napi_value value = NULL;
  napi_create_int64(env, result < 0 ? -errno : result, &value);
  return value;
}

/* unshare(flags): of the calling thread; what it opens and starts from then on belongs to the new namespaces. */
static napi_value door_unshare(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int flags = (int)integer(&call, 0);
  if (call.wrong) return refuse(&call);
  return outcome(env, unshare(flags));
}

/* enterNamespace(path, type) */
static napi_value door_enter_namespace(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  char path[MAX_PATH];
  text(&call, 0, path);
  int type = (int)integer(&call, 1);
  if (call.wrong) return refuse(&call);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return outcome(env, fd);
  int result = setns(fd, type);
  int saved = errno;
  close(fd);
  errno = saved;
  return outcome(env, result);
}

/* setScheduler(thread, policy, priority): of one thread, 0 is the caller's; with SCHED_RESET_ON_FORK as policy says */
static napi_value door_set_scheduler(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  pid_t thread = (pid_t)integer(&call, 0);
  int policy = (int)integer(&call, 1);
  struct sched_param parameter = {.sched_priority = (int)integer(&call, 2)};
  if (call.wrong) return refuse(&call);
  return outcome(env, sched_setscheduler(thread, policy, &parameter));
}

/* getScheduler() -> policy */
static napi_value door_get_scheduler(napi_env env, napi_callback_info info) {
  (void)info;
  return outcome(env, sched_getscheduler(0));
}

/* setAffinity(mask: Uint8Array), a bit for each CPU, lowest first */
static napi_value door_set_affinity(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  bool typed = false;
  napi_typedarray_type kind;
  size_t length = 0;
  void *data = NULL;
  if (napi_is_typedarray(env, call.argument[0], &typed) != napi_ok || !typed ||
      napi_get_typedarray_info(env, call.argument[0], &kind, &length, &data, NULL, NULL) != napi_ok ||
      kind != napi_uint8_array || length > sizeof(cpu_set_t)) {
    return refuse(&call);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  for (size_t cpu = 0; cpu < 8 * length; cpu++) {
    if (((uint8_t *)data)[cpu / 8] >> (cpu % 8) & 1) CPU_SET(cpu, &set);
  }
  return outcome(env, sched_setaffinity(0, sizeof set, &set));
}

/* setLimit(resource, soft, hard); -1 is no limit */
static napi_value door_set_limit(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int resource = (int)integer(&call, 0);
  struct rlimit limit = {.rlim_cur = (rlim_t)integer(&call, 1), .rlim_max = (rlim_t)integer(&call, 2)};
  if (call.wrong) return refuse(&call);
  return outcome(env, setrlimit(resource, &limit));
}

/* control(option, argument): the prctl(2) options that take one number */
static napi_value door_control(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int option = (int)integer(&call, 0);
  unsigned long argument = (unsigned long)integer(&call, 1);
  if (call.wrong) return refuse(&call);
  return outcome(env, prctl(option, argument, 0, 0, 0));
}

/* setName(name): the first 15 bytes, as ps and killall see the process */
static napi_value door_set_name(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  char name[MAX_PATH];
  text(&call, 0, name);
  if (call.wrong) return refuse(&call);
  return outcome(env, prctl(PR_SET_NAME, name, 0, 0, 0));
}

/* changeRoot(path): and into it */
static napi_value door_change_root(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  char path[MAX_PATH];
  text(&call, 0, path);
  if (call.wrong) return refuse(&call);
  int result = chroot(path);
  return outcome(env, result < 0 ? result : chdir("/"));
}

/* lock(fd): exclusive, without waiting; gone with the descriptor */
static napi_value door_lock(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = (int)integer(&call, 0);
  if (call.wrong) return refuse(&call);
  return outcome(env, flock(fd, LOCK_EX | LOCK_NB));
}

/* processDescriptor(pid) -> a pidfd, close-on-exec: readable once the process has ended, whoever its parent is */
static napi_value door_process_descriptor(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  pid_t pid = (pid_t)integer(&call, 0);
  if (call.wrong) return refuse(&call);
  return outcome(env, syscall(SYS_pidfd_open, pid, 0));
}

/* closeOnExec(fd, on) */
static napi_value door_close_on_exec(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = (int)integer(&call, 0), on = (int)integer(&call, 1);
  if (call.wrong) return refuse(&call);
  return outcome(env, fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

static const struct {
  const char *name;
  napi_callback function;
} doors[] = {
    {"changeRoot", door_change_root},
    {"closeOnExec", door_close_on_exec},
    {"control", door_control},
    {"enterNamespace", door_enter_namespace},
    {"getScheduler", door_get_scheduler},
    {"lock", door_lock},
    {"processDescriptor", door_process_descriptor},
    {"setAffinity", door_set_affinity},
    {"setLimit", door_set_limit},
    {"setName", door_set_name},
    {"setScheduler", door_set_scheduler},
    {"unshare", door_unshare},
};

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
    napi_value function = NULL;
    if (napi_create_function(env, doors[i].name, NAPI_AUTO_LENGTH, doors[i].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, doors[i].name, function) != napi_ok) {
      napi_throw_error(env, NULL, "cannot set up the native process module");
      return NULL;
    }
  }
  return exports;
}
