/*
 * Doors to the socket system calls, to bpf(2), and to libuv's poll. No protocol knowledge, no decisions:
 * addresses, control messages and options come and go as bytes, which src/socket-door.ts builds and tests.
 *
 * Every function returns a number: what the system call returned, or the negative error number. Bad
 * argument types throw a TypeError, since they are our own mistake.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <net/if.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* The part of libuv that we call; its headers do not come with node-api-headers. */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
enum { UV_POLL = 8, UV_READABLE = 1 };
extern size_t uv_handle_size(int type);
extern int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd);
extern int uv_poll_start(uv_poll_t *handle, int events, void (*callback)(uv_poll_t *, int, int));
extern int uv_poll_stop(uv_poll_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
extern void uv_unref(uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);

enum { MAX_ARGUMENTS = 8, MAX_BATCH = 64 };

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value outcome(napi_env env, int64_t result) {
  return number(env, result < 0 ? -errno : result);
}

/* Arguments of one call. Missing ones are undefined, as in JavaScript. */
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

static int integer(struct call *call, int index) {
  int64_t value = 0;
  if (napi_get_value_int64(call->env, call->argument[index], &value) != napi_ok) call->wrong = true;
  return (int)value;
}

struct bytes {
  void *data;
  size_t length;
};

/* A typed array's memory, valid until the call returns. undefined and null are an absent one. */
static struct bytes bytes(struct call *call, int index) {
  struct bytes result = {NULL, 0};
  napi_value value = call->argument[index];
  napi_valuetype type;
  if (napi_typeof(call->env, value, &type) != napi_ok) {
    call->wrong = true;
    return result;
  }
  if (type == napi_undefined || type == napi_null) return result;
  bool typed = false;
  if (napi_is_typedarray(call->env, value, &typed) != napi_ok || !typed) {
    call->wrong = true;
    return result;
  }
  napi_typedarray_type kind;
  size_t length = 0;
  if (napi_get_typedarray_info(call->env, value, &kind, &length, &result.data, NULL, NULL) != napi_ok) {
    call->wrong = true;
    return result;
  }
  size_t size = 1;
  if (kind == napi_int32_array || kind == napi_uint32_array || kind == napi_float32_array) size = 4;
  if (kind == napi_int16_array || kind == napi_uint16_array) size = 2;
  if (kind == napi_float64_array || kind == napi_bigint64_array || kind == napi_biguint64_array) size = 8;
  result.length = length * size;
  return result;
}

static napi_value refuse(struct call *call) {
  napi_throw_type_error(call->env, NULL, "an argument of a native socket call has the wrong type or size");
  return NULL;
}

/* open(domain, type, protocol) -> fd. Always close-on-exec and non-blocking. */
static napi_value door_open(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int domain = integer(&call, 0), type = integer(&call, 1), protocol = integer(&call, 2);
  if (call.wrong) return refuse(&call);
  return outcome(env, socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

/* pair(domain, type, fds: Int32Array(2)) -> 0 */
static napi_value door_pair(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int domain = integer(&call, 0), type = integer(&call, 1);
  struct bytes fds = bytes(&call, 2);
  if (call.wrong || fds.length < 2 * sizeof(int)) return refuse(&call);
  return outcome(env, socketpair(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data));
}

/* close(fd) -> 0. Stop watching it first. */
static napi_value door_close(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  if (call.wrong) return refuse(&call);
  return outcome(env, close(fd));
}

/* bind(fd, sockaddr) -> 0 */
static napi_value door_bind(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes address = bytes(&call, 1);
  if (call.wrong) return refuse(&call);
  return outcome(env, bind(fd, address.data, (socklen_t)address.length));
}

/* connect(fd, sockaddr) -> 0 */
static napi_value door_connect(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes address = bytes(&call, 1);
  if (call.wrong) return refuse(&call);
  return outcome(env, connect(fd, address.data, (socklen_t)address.length));
}

/* name(fd, into) -> length of the local address */
static napi_value door_name(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes into = bytes(&call, 1);
  if (call.wrong) return refuse(&call);
  socklen_t length = (socklen_t)into.length;
  int result = getsockname(fd, into.data, &length);
  return outcome(env, result < 0 ? result : (int)length);
}

/* setOption(fd, level, name, value) -> 0 */
static napi_value door_set_option(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0), level = integer(&call, 1), name = integer(&call, 2);
  struct bytes value = bytes(&call, 3);
  if (call.wrong) return refuse(&call);
  return outcome(env, setsockopt(fd, level, name, value.data, (socklen_t)value.length));
}

/* getOption(fd, level, name, into) -> length */
static napi_value door_get_option(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0), level = integer(&call, 1), name = integer(&call, 2);
  struct bytes into = bytes(&call, 3);
  if (call.wrong) return refuse(&call);
  socklen_t length = (socklen_t)into.length;
  int result = getsockopt(fd, level, name, into.data, &length);
  return outcome(env, result < 0 ? result : (int)length);
}

/* attachFilter(fd, program) -> 0. Classic BPF: an option that holds a pointer, so setOption cannot. */
static napi_value door_attach_filter(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes program = bytes(&call, 1);
  if (call.wrong || program.length == 0 || program.length % sizeof(struct sock_filter) != 0) {
    return refuse(&call);
  }
  struct sock_fprog filter = {
      .len = (unsigned short)(program.length / sizeof(struct sock_filter)),
      .filter = program.data,
  };
  return outcome(env, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));
}

/* send(fd, data, sockaddr?, control?, flags) -> length */
static napi_value door_send(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes data = bytes(&call, 1), address = bytes(&call, 2), control = bytes(&call, 3);
  int flags = integer(&call, 4);
  if (call.wrong) return refuse(&call);
  struct iovec piece = {.iov_base = data.data, .iov_len = data.length};
  struct msghdr message = {
      .msg_name = address.data,
      .msg_namelen = (socklen_t)address.length,
      .msg_iov = &piece,
      .msg_iovlen = 1,
      .msg_control = control.data,
      .msg_controllen = control.length,
  };
  return outcome(env, sendmsg(fd, &message, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/*
 * receive(fd, slab, addresses, controls, lengths: Int32Array, count) -> number of messages
 *
 * slab, addresses and controls are cut into `count` equal slots (any of them may be absent but the slab).
 * lengths takes four numbers a message: data, flags, address, control.
 */
static napi_value door_receive(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes slab = bytes(&call, 1), addresses = bytes(&call, 2), controls = bytes(&call, 3);
  struct bytes lengths = bytes(&call, 4);
  int count = integer(&call, 5);
  if (call.wrong || count < 1 || count > MAX_BATCH || lengths.length < (size_t)count * 4 * sizeof(int32_t)) {
    return refuse(&call);
  }
  struct mmsghdr messages[MAX_BATCH];
  struct iovec pieces[MAX_BATCH];
  size_t slot = slab.length / (size_t)count;
  size_t address_slot = addresses.length / (size_t)count;
  size_t control_slot = controls.length / (size_t)count;
  memset(messages, 0, sizeof messages[0] * (size_t)count);
  for (int i = 0; i < count; i++) {
    pieces[i] = (struct iovec){(char *)slab.data + slot * (size_t)i, slot};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    if (address_slot > 0) {
      messages[i].msg_hdr.msg_name = (char *)addresses.data + address_slot * (size_t)i;
      messages[i].msg_hdr.msg_namelen = (socklen_t)address_slot;
    }
    if (control_slot > 0) {
      messages[i].msg_hdr.msg_control = (char *)controls.data + control_slot * (size_t)i;
      messages[i].msg_hdr.msg_controllen = control_slot;
    }
  }
  int received = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
  if (received < 0) return number(env, -errno);
  int32_t *out = lengths.data;
  for (int i = 0; i < received; i++) {
    out[4 * i] = (int32_t)messages[i].msg_len;
    out[4 * i + 1] = messages[i].msg_hdr.msg_flags;
    out[4 * i + 2] = (int32_t)messages[i].msg_hdr.msg_namelen;
    out[4 * i + 3] = (int32_t)messages[i].msg_hdr.msg_controllen;
  }
  return number(env, received);
}

static long bpf(int command, union bpf_attr *attributes) {
  return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

/* bpfMapCreate(type, keySize, valueSize, entries) -> fd */
static napi_value door_bpf_map_create(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = (uint32_t)integer(&call, 0);
  attributes.key_size = (uint32_t)integer(&call, 1);
  attributes.value_size = (uint32_t)integer(&call, 2);
  attributes.max_entries = (uint32_t)integer(&call, 3);
  if (call.wrong) return refuse(&call);
  return outcome(env, bpf(BPF_MAP_CREATE, &attributes));
}

/* bpfProgramLoad(type, instructions, log?) -> fd. The verifier's words go to `log`. */
static napi_value door_bpf_program_load(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int type = integer(&call, 0);
  struct bytes program = bytes(&call, 1), log = bytes(&call, 2);
  if (call.wrong || program.length % sizeof(struct bpf_insn) != 0) return refuse(&call);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = (uint32_t)type;
  attributes.insns = (uint64_t)(uintptr_t)program.data;
  attributes.insn_cnt = (uint32_t)(program.length / sizeof(struct bpf_insn));
  attributes.license = (uint64_t)(uintptr_t) "Apache-2.0";
  if (log.length > 0) {
    attributes.log_buf = (uint64_t)(uintptr_t)log.data;
    attributes.log_size = (uint32_t)log.length;
    attributes.log_level = 1;
  }
  /* The verifier gives up with EAGAIN when a signal waits for the process, as happens on a busy host. */
  long result;
  for (int attempt = 0; (result = bpf(BPF_PROG_LOAD, &attributes)) < 0 && errno == EAGAIN && attempt < 20; attempt++) {
  }
  return outcome(env, result);
}

/* bpfMapLookup(fd, key, value) -> 0 */
static napi_value door_bpf_map_lookup(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes key = bytes(&call, 1), value = bytes(&call, 2);
  if (call.wrong) return refuse(&call);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_fd = (uint32_t)fd;
  attributes.key = (uint64_t)(uintptr_t)key.data;
  attributes.value = (uint64_t)(uintptr_t)value.data;
  return outcome(env, bpf(BPF_MAP_LOOKUP_ELEM, &attributes));
}

/* bpfMapNextKey(fd, key?, next) -> 0, or ENOENT after the last */
static napi_value door_bpf_map_next_key(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  struct bytes key = bytes(&call, 1), next = bytes(&call, 2);
  if (call.wrong) return refuse(&call);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_fd = (uint32_t)fd;
  attributes.key = (uint64_t)(uintptr_t)key.data;
  attributes.next_key = (uint64_t)(uintptr_t)next.data;
  return outcome(env, bpf(BPF_MAP_GET_NEXT_KEY, &attributes));
}

/* A descriptor watched for input. Freed when libuv has closed the handle. */
struct watch {
  napi_env env;
  napi_ref callback;
  napi_async_cleanup_hook_handle hook;
  uv_poll_t *poll;
  bool closing;
};

static void watch_closed(uv_handle_t *handle) {
  struct watch *watch = uv_handle_get_data(handle);
  if (watch->hook != NULL) napi_remove_async_cleanup_hook(watch->hook);
  free(watch->poll);
  free(watch);
}

static void watch_close(struct watch *watch) {
  if (watch->closing) return;
  watch->closing = true;
  uv_poll_stop(watch->poll);
  uv_close((uv_handle_t *)watch->poll, watch_closed);
}

static void watch_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  watch_close(data);
}

static void watch_ready(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct watch *watch = uv_handle_get_data((uv_handle_t *)poll);
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback = NULL, receiver = NULL, argument = NULL;
  if (napi_get_reference_value(env, watch->callback, &callback) == napi_ok && callback != NULL &&
      napi_get_global(env, &receiver) == napi_ok && napi_create_int32(env, status, &argument) == napi_ok) {
    /* After this the watch may be closed, though not freed: that needs another turn of the loop. */
    if (napi_make_callback(env, NULL, receiver, callback, 1, &argument, NULL) == napi_pending_exception) {
      napi_value error = NULL;
      if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

/* watch(fd, callback(status), keepAlive) -> handle for unwatch. Level-triggered, for input only. */
static napi_value door_watch(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  napi_valuetype type = napi_undefined;
  bool keep_alive = false;
  if (napi_typeof(env, call.argument[1], &type) != napi_ok || type != napi_function) call.wrong = true;
  if (napi_get_value_bool(env, call.argument[2], &keep_alive) != napi_ok) call.wrong = true;
  if (call.wrong) return refuse(&call);

  uv_loop_t *loop = NULL;
  if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok) return number(env, -EINVAL);
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return number(env, -ENOMEM);
  watch->env = env;
  watch->poll = calloc(1, uv_handle_size(UV_POLL));
  if (watch->poll == NULL) {
    free(watch);
    return number(env, -ENOMEM);
  }
  int result = uv_poll_init(loop, watch->poll, fd);
  if (result < 0) {
    free(watch->poll);
    free(watch);
    return number(env, result);
  }
  /* From here on the handle is libuv's: it is freed by closing only. */
  uv_handle_set_data((uv_handle_t *)watch->poll, watch);
  napi_value external = NULL;
  if (napi_create_reference(env, call.argument[1], 1, &watch->callback) != napi_ok ||
      napi_add_async_cleanup_hook(env, watch_cleanup, watch, &watch->hook) != napi_ok ||
      napi_create_external(env, watch, NULL, NULL, &external) != napi_ok) {
    watch_close(watch);
    return number(env, -ENOMEM);
  }
  result = uv_poll_start(watch->poll, UV_READABLE, watch_ready);
  if (result < 0) {
    watch_close(watch);
    return number(env, result);
  }
  if (!keep_alive) uv_unref((uv_handle_t *)watch->poll);
  return external;
}

/* unwatch(handle): once for each handle. The descriptor may be closed as soon as this returns. */
static napi_value door_unwatch(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct watch *watch = NULL;
  if (napi_get_value_external(env, call.argument[0], (void **)&watch) != napi_ok) return refuse(&call);
  if (!watch->closing) napi_delete_reference(env, watch->callback);
  watch_close(watch);
  return NULL;
}

/* timerOpen() -> descriptor of a timer on CLOCK_MONOTONIC. */
static napi_value door_timer_open(napi_env env, napi_callback_info info) {
  (void)info;
  return outcome(env, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

/* timerSet(fd, microseconds) -> 0. Readable once that time has passed; 0 disarms. Either forgets an expiry not yet read. */
static napi_value door_timer_set(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0);
  double after = 0;
  if (napi_get_value_double(env, call.argument[1], &after) != napi_ok || !(after >= 0 && after < 1e15)) call.wrong = true;
  if (call.wrong) return refuse(&call);
  uint64_t microseconds = (uint64_t)after;
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t)(microseconds / 1000000), .tv_nsec = (long)(microseconds % 1000000) * 1000}};
  return outcome(env, timerfd_settime(fd, 0, &when, NULL));
}

/*
 * ioctl(fd, request, bytes, data?) -> what the call returned. `bytes` is a struct ifreq; the address of `data`, when there is
 * any, goes where its ifr_data is.
 */
static napi_value door_ioctl(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int fd = integer(&call, 0), request = integer(&call, 1);
  struct bytes argument = bytes(&call, 2), data = bytes(&call, 3);
  if (call.wrong || argument.length < sizeof(struct ifreq)) return refuse(&call);
  if (data.data != NULL) ((struct ifreq *)argument.data)->ifr_data = data.data;
  return outcome(env, ioctl(fd, (unsigned long)(unsigned int)request, argument.data));
}

/* realtime() -> microseconds since 1970: what the kernel stamps packets with. */
static napi_value door_realtime(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) < 0) return number(env, -errno);
  return number(env, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

static const struct {
  const char *name;
  napi_callback function;
} doors[] = {
    {"attachFilter", door_attach_filter},
    {"bind", door_bind},
    {"bpfMapCreate", door_bpf_map_create},
    {"bpfMapLookup", door_bpf_map_lookup},
    {"bpfMapNextKey", door_bpf_map_next_key},
    {"bpfProgramLoad", door_bpf_program_load},
    {"close", door_close},
    {"connect", door_connect},
    {"getOption", door_get_option},
    {"ioctl", door_ioctl},
    {"name", door_name},
    {"open", door_open},
    {"pair", door_pair},
    {"realtime", door_realtime},
    {"receive", door_receive},
    {"send", door_send},
    {"setOption", door_set_option},
    {"timerOpen", door_timer_open},
    {"timerSet", door_timer_set},
    {"unwatch", door_unwatch},
    {"watch", door_watch},
};

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
    napi_value function = NULL;
    if (napi_create_function(env, doors[i].name, NAPI_AUTO_LENGTH, doors[i].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, doors[i].name, function) != napi_ok) {
      napi_throw_error(env, NULL, "cannot set up the native socket module");
      return NULL;
    }
  }
  return exports;
}
