/* Socket calls that do not wait, for the ring's sockets: each takes and gives numbers and bytes, and returns a
 * negated errno when it fails. What options mean is decided in TypeScript. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS(n)                                                                                                        \
  size_t argc = n;                                                                                                     \
  napi_value a[n];                                                                                                     \
  napi_get_cb_info(env, info, &argc, a, NULL, NULL)

static napi_value result(napi_env env, long value) {
  napi_value v = NULL;
  napi_create_int32(env, (int32_t)(value < 0 ? -errno : value), &v);
  return v;
}

static int number(napi_env env, napi_value v) {
  int32_t x = 0;
  napi_get_value_int32(env, v, &x);
  return x;
}

/* The bytes of a Uint8Array. */
static size_t bytes(napi_env env, napi_value v, void **data) {
  size_t size = 0;
  *data = NULL;
  napi_get_typedarray_info(env, v, NULL, &size, data, NULL, NULL);
  return size;
}

/* socket(domain, type, protocol): always close-on-exec and non-blocking */
static napi_value Socket(napi_env env, napi_callback_info info) {
  ARGS(3);
  return result(env, socket(number(env, a[0]), number(env, a[1]) | SOCK_CLOEXEC | SOCK_NONBLOCK, number(env, a[2])));
}

static napi_value Bind(napi_env env, napi_callback_info info) {
  ARGS(2);
  void *address;
  size_t size = bytes(env, a[1], &address);
  return result(env, bind(number(env, a[0]), address, (socklen_t)size));
}

static napi_value Listen(napi_env env, napi_callback_info info) {
  ARGS(2);
  return result(env, listen(number(env, a[0]), number(env, a[1])));
}

static napi_value Connect(napi_env env, napi_callback_info info) {
  ARGS(2);
  void *address;
  size_t size = bytes(env, a[1], &address);
  return result(env, connect(number(env, a[0]), address, (socklen_t)size));
}

static napi_value SetOption(napi_env env, napi_callback_info info) {
  ARGS(4);
  void *value;
  size_t size = bytes(env, a[3], &value);
  return result(env, setsockopt(number(env, a[0]), number(env, a[1]), number(env, a[2]), value, (socklen_t)size));
}

/* setNumber(fd, level, name, value): an int */
static napi_value SetNumber(napi_env env, napi_callback_info info) {
  ARGS(4);
  int value = number(env, a[3]);
  return result(env, setsockopt(number(env, a[0]), number(env, a[1]), number(env, a[2]), &value, sizeof value));
}

/* getNumber(fd, level, name): an int option that is never negative */
static napi_value GetNumber(napi_env env, napi_callback_info info) {
  ARGS(3);
  int value = 0;
  socklen_t size = sizeof value;
  int r = getsockopt(number(env, a[0]), number(env, a[1]), number(env, a[2]), &value, &size);
  return result(env, r < 0 ? r : value);
}

/* getOption(fd, level, name, out) → its size */
static napi_value GetOption(napi_env env, napi_callback_info info) {
  ARGS(4);
  void *out;
  socklen_t size = (socklen_t)bytes(env, a[3], &out);
  int r = getsockopt(number(env, a[0]), number(env, a[1]), number(env, a[2]), out, &size);
  return result(env, r < 0 ? r : (long)size);
}

/* name(fd, out, peer) → the size of the sockaddr */
static napi_value Name(napi_env env, napi_callback_info info) {
  ARGS(3);
  void *out;
  socklen_t size = (socklen_t)bytes(env, a[1], &out);
  int fd = number(env, a[0]);
  int r = number(env, a[2]) ? getpeername(fd, out, &size) : getsockname(fd, out, &size);
  return result(env, r < 0 ? r : (long)size);
}

static napi_value CloseNow(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result(env, close(number(env, a[0])));
}

static napi_value Shutdown(napi_env env, napi_callback_info info) {
  ARGS(2);
  return result(env, shutdown(number(env, a[0]), number(env, a[1])));
}

/* send(fd, bytes, size, flags): at once or not at all (datagrams) */
static napi_value SendNow(napi_env env, napi_callback_info info) {
  ARGS(4);
  void *data;
  size_t room = bytes(env, a[1], &data), size = (size_t)number(env, a[2]);
  if (size > room) size = room;
  return result(env, send(number(env, a[0]), data, size, number(env, a[3]) | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* sendMany(fd, bytes, Int32Array of ends, count): datagrams that stand one after the other, at once or not at all;
 * returns how many went. sendmmsg(2) */
static napi_value SendMany(napi_env env, napi_callback_info info) {
  ARGS(4);
  void *data, *ends;
  size_t room = bytes(env, a[1], &data), entries = bytes(env, a[2], &ends), count = (size_t)number(env, a[3]);
  if (count > entries) count = entries;
  int fd = number(env, a[0]);
  struct mmsghdr messages[64];
  struct iovec parts[64];
  size_t sent = 0, start = 0;
  while (sent < count) {
    unsigned batch = 0;
    for (; batch < 64 && sent + batch < count; batch++) {
      size_t end = (size_t)((int32_t *)ends)[sent + batch];
      if (end > room || end < start) {
        errno = EINVAL;
        return result(env, -1);
      }
      parts[batch] = (struct iovec){(char *)data + start, end - start};
      memset(&messages[batch], 0, sizeof messages[batch]);
      messages[batch].msg_hdr.msg_iov = &parts[batch];
      messages[batch].msg_hdr.msg_iovlen = 1;
      start = end;
    }
    int r = sendmmsg(fd, messages, batch, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r < 0) return result(env, sent > 0 ? (long)sent : -1);
    sent += (size_t)r;
    if ((unsigned)r < batch) break;
  }
  return result(env, (long)sent);
}

/* write(fd, bytes, size) */
static napi_value Write(napi_env env, napi_callback_info info) {
  ARGS(3);
  void *data;
  size_t room = bytes(env, a[1], &data), size = (size_t)number(env, a[2]);
  if (size > room) size = room;
  return result(env, write(number(env, a[0]), data, size));
}

/* isNonBlocking, made so: an inherited descriptor may be neither */
static napi_value Prepare(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd = number(env, a[0]);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return result(env, -1);
  return result(env, fcntl(fd, F_SETFD, FD_CLOEXEC));
}

/* raiseDescriptorLimit(wanted): the soft limit, and as root the hard one; returns the soft limit that now holds */
static napi_value RaiseDescriptorLimit(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct rlimit limit;
  rlim_t wanted = (rlim_t)number(env, a[0]);
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return result(env, -1);
  if (limit.rlim_cur < wanted) {
    struct rlimit raised = {wanted, limit.rlim_max < wanted ? wanted : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) < 0) {
      raised.rlim_max = limit.rlim_max;
      raised.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
      if (setrlimit(RLIMIT_NOFILE, &raised) < 0) return result(env, -1);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  return result(env, limit.rlim_cur > 0x7fffffff ? 0x7fffffff : (long)limit.rlim_cur);
}

/* sendDescriptors(unix socket, bytes, Int32Array of descriptors) → bytes sent. unix(7), SCM_RIGHTS */
static napi_value SendDescriptors(napi_env env, napi_callback_info info) {
  ARGS(3);
  void *data, *fds;
  size_t size = bytes(env, a[1], &data), count = bytes(env, a[2], &fds);
  char control[CMSG_SPACE(253 * sizeof(int))];
  if (count > 253) {
    errno = EINVAL;
    return result(env, -1);
  }
  struct iovec part = {data, size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    memset(control, 0, sizeof control);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  return result(env, sendmsg(number(env, a[0]), &message, MSG_NOSIGNAL));
}

/* receiveDescriptors(unix socket, bytes, Int32Array) → bytes received | descriptors << 24; waits */
static napi_value ReceiveDescriptors(napi_env env, napi_callback_info info) {
  ARGS(3);
  void *data, *fds;
  size_t size = bytes(env, a[1], &data), room = bytes(env, a[2], &fds);
  char control[CMSG_SPACE(253 * sizeof(int))];
  struct iovec part = {data, size > 0xffffff ? 0xffffff : size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t received = recvmsg(number(env, a[0]), &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return result(env, -1);
  size_t count = 0;
  for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    size_t here = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const int *list = (const int *)CMSG_DATA(h);
    for (size_t i = 0; i < here; i++) {
      if (count < room && count < 127) ((int *)fds)[count++] = list[i];
      else close(list[i]);
    }
  }
  return result(env, (long)((size_t)received | (count << 24)));
}

napi_value ring_socket_exports(napi_env env, napi_value exports);
napi_value ring_socket_exports(napi_env env, napi_value exports) {
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"socket", Socket},         {"bind", Bind},
      {"listen", Listen},         {"connect", Connect},
      {"setOption", SetOption},   {"setNumber", SetNumber},
      {"getNumber", GetNumber},   {"getOption", GetOption},
      {"name", Name},             {"closeNow", CloseNow},     {"shutdown", Shutdown},
     
      {"sendNow", SendNow},       {"write", Write},
      {"sendMany", SendMany},
      {"prepare", Prepare},       {"raiseDescriptorLimit", RaiseDescriptorLimit},
      {"sendDescriptors", SendDescriptors}, {"receiveDescriptors", ReceiveDescriptors},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
