/* The door between JS and a ring: its memory as ArrayBuffers, one step of it, and the loop that gives it the
 * sleep, with libuv as its guest. No logic of the proxy is here. */
#include "ring.h"
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The few functions of libuv that embedding takes: public, and stable since 1.0. */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_handle_cb)(uv_handle_t *);
int uv_backend_fd(const uv_loop_t *);
int uv_backend_timeout(const uv_loop_t *);
void uv_update_time(uv_loop_t *);
size_t uv_handle_size(int type);
int uv_check_init(uv_loop_t *, uv_handle_t *);
int uv_check_start(uv_handle_t *, uv_handle_cb);
int uv_check_stop(uv_handle_t *);
int uv_idle_init(uv_loop_t *, uv_handle_t *);
int uv_idle_start(uv_handle_t *, uv_handle_cb);
int uv_idle_stop(uv_handle_t *);
void uv_close(uv_handle_t *, uv_handle_cb);
void uv_ref(uv_handle_t *);
void uv_unref(uv_handle_t *);
void *uv_handle_get_data(const uv_handle_t *);
void uv_handle_set_data(uv_handle_t *, void *);
enum { UV_CHECK_ = 2, UV_IDLE_ = 6 };

/* Doubles that both sides see. */
enum {
  CLOCK_NOW,      /* monotonic, ms: at the end of the last step */
  CLOCK_WALL,     /* since 1970, ms */
  CLOCK_DEADLINE, /* set by JS: wake up at this CLOCK_NOW, or infinity */
  CLOCK_SLEPT,    /* ms spent waiting, summed */
  CLOCK_STEPS,
  CLOCK_PASSES, /* how often libuv had its turn */
  CLOCK_WORDS = 8
};

struct door {
  struct ring ring;
  napi_env env;
  double clock[CLOCK_WORDS];
  char *slab;
  size_t slab_bytes;
  unsigned char *owned; /* by descriptor: 1 is to be closed with the thread */
  size_t owned_bytes;
  int polled; /* io_uring: our poll on libuv's descriptor is armed */
  int running, closed, released;
  int handles;
  napi_ref turn, resource;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  uv_loop_t *loop;
  uv_handle_t *check, *idle;
};

static napi_value number(napi_env env, double value) {
  napi_value v = NULL;
  napi_create_double(env, value, &v);
  return v;
}

static int32_t int_of(napi_env env, napi_value v) {
  int32_t x = 0;
  napi_get_value_int32(env, v, &x);
  return x;
}

static double double_of(napi_env env, napi_value v) {
  double x = 0;
  napi_get_value_double(env, v, &x);
  return x;
}

static struct door *door_of(napi_env env, napi_value v) {
  void *p = NULL;
  napi_get_value_external(env, v, &p);
  return p;
}

static void set(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

/* The memory outlives the door's descriptor, since JS may still hold a view: it goes with the thread. */
static napi_value buffer(napi_env env, void *data, size_t bytes) {
  napi_value v = NULL;
  napi_create_external_arraybuffer(env, data, bytes, NULL, NULL, &v);
  return v;
}

static double milliseconds(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int step(struct door *door, int64_t wait) {
  struct ring *ring = &door->ring;
  double before = wait == 0 ? 0 : milliseconds(CLOCK_MONOTONIC);
  int error = ring->epoll ? epoll_step(ring, wait) : uring_step(ring, wait);
  double now = milliseconds(CLOCK_MONOTONIC);
  door->clock[CLOCK_NOW] = now;
  door->clock[CLOCK_WALL] = milliseconds(CLOCK_REALTIME);
  if (wait != 0) door->clock[CLOCK_SLEPT] += now - before;
  door->clock[CLOCK_STEPS]++;
  return error;
}

static int has_completions(struct door *door) {
  return atomic_load_explicit(door->ring.cq_tail, memory_order_acquire) !=
         atomic_load_explicit(door->ring.cq_head, memory_order_relaxed);
}

/* Work that needs no waiting: completions to take, or what the epoll executor keeps for later. */
static int has_work(struct door *door) {
  return has_completions(door) || (door->ring.epoll && epoll_pending(&door->ring));
}

/* A slab that never crosses a 4 GiB line, so that JS adds an offset to the low word of an address only. */
static char *map_slab(size_t bytes) {
  size_t line = (size_t)1 << 32;
  char *area = mmap(0, bytes + line, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return NULL;
  char *start = area;
  if (((uintptr_t)start & (line - 1)) + bytes > line) start = (char *)(((uintptr_t)area + line - 1) & ~(line - 1));
  if (start > area) munmap(area, (size_t)(start - area));
  size_t rest = (size_t)(area + bytes + line - (start + bytes));
  if (rest > 0) munmap(start + bytes, rest);
  if (mprotect(start, bytes, PROT_READ | PROT_WRITE) < 0) {
    munmap(start, bytes);
    return NULL;
  }
  return start;
}

/* Ends everything in flight. The memory that JS has views of stays. */
static void close_ring(struct door *door) {
  if (door->closed) return;
  close(door->ring.fd);
  door->ring.fd = -1;
  door->closed = 1;
}

static void free_door(struct door *door) {
  if (door->ring.epoll) epoll_close(&door->ring);
  else uring_close(&door->ring);
  if (door->owned) munmap(door->owned, door->owned_bytes);
  for (int i = 0; i < RING_GROUPS; i++)
    if (door->ring.groups[i].ring) munmap(door->ring.groups[i].ring, door->ring.groups[i].bytes);
  if (door->slab) munmap(door->slab, door->slab_bytes);
  free(door);
}

static void handle_closed(uv_handle_t *handle) {
  struct door *door = uv_handle_get_data(handle);
  free(handle);
  if (--door->handles > 0) return;
  if (door->released) {
    napi_remove_async_cleanup_hook(door->hook);
    free_door(door);
  }
}

static void stop_handles(struct door *door) {
  if (!door->running) return;
  door->running = 0;
  uv_check_stop(door->check);
  uv_idle_stop(door->idle);
  uv_close(door->check, handle_closed);
  uv_close(door->idle, handle_closed);
}

/* The thread ends: Node closes none of our descriptors, and a listener left open would swallow its share of
 * connections for ever. */
static void on_env_exit(napi_async_cleanup_hook_handle hook, void *data) {
  struct door *door = data;
  int had_handles = door->handles > 0;
  door->released = 1;
  stop_handles(door);
  close_ring(door);
  if (door->owned)
    for (size_t fd = 0; fd < door->owned_bytes; fd++)
      if (door->owned[fd]) close((int)fd);
  if (had_handles) return; /* handle_closed does the rest */
  napi_remove_async_cleanup_hook(hook);
  free_door(door);
}

/* open(executor: 0 io_uring | 1 epoll, entries, slab bytes, descriptors, group entries…) → object, or a negated errno */
static napi_value Open(napi_env env, napi_callback_info info) {
  size_t argc = 6;
  napi_value a[6];
  napi_get_cb_info(env, info, &argc, a, NULL, NULL);
  struct door *door = calloc(1, sizeof *door);
  if (!door) return number(env, -ENOMEM);
  door->env = env;
  door->ring.fd = -1;
  unsigned entries = (unsigned)int_of(env, a[1]);
  int error = int_of(env, a[0]) == 1 ? epoll_open(&door->ring, entries) : uring_open(&door->ring, entries);
  if (error < 0) {
    free(door);
    return number(env, error);
  }
  door->slab_bytes = (size_t)double_of(env, a[2]);
  door->slab = map_slab(door->slab_bytes);
  door->owned_bytes = (size_t)int_of(env, a[3]);
  door->owned = mmap(0, door->owned_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (door->owned == MAP_FAILED) door->owned = NULL;
  if (!door->slab || !door->owned) error = -ENOMEM;
  for (int i = 0; i < RING_GROUPS && error == 0; i++) {
    struct buffer_group *group = &door->ring.groups[i];
    group->entries = (unsigned)int_of(env, a[4 + i]);
    group->bytes = group->entries * sizeof(struct io_uring_buf);
    if (group->bytes < 4096) group->bytes = 4096;
    void *memory = mmap(0, group->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
      error = -ENOMEM;
      break;
    }
    group->ring = memory;
    if (!door->ring.epoll) error = uring_register_group(&door->ring, i);
  }
  if (error < 0) {
    close_ring(door);
    free_door(door);
    return number(env, error);
  }
  door->clock[CLOCK_NOW] = milliseconds(CLOCK_MONOTONIC);
  door->clock[CLOCK_WALL] = milliseconds(CLOCK_REALTIME);
  door->clock[CLOCK_DEADLINE] = 1.0 / 0.0;
  napi_add_async_cleanup_hook(env, on_env_exit, door, &door->hook);

  struct ring *ring = &door->ring;
  napi_value o, external;
  napi_create_object(env, &o);
  napi_create_external(env, door, NULL, NULL, &external);
  set(env, o, "door", external);
  set(env, o, "slab", buffer(env, door->slab, door->slab_bytes));
  set(env, o, "slabHigh", number(env, (double)(int32_t)((uintptr_t)door->slab >> 32)));
  set(env, o, "slabLow", number(env, (double)((uintptr_t)door->slab & 0xffffffff)));
  set(env, o, "words", buffer(env, ring->words, ring->words_bytes));
  set(env, o, "entries", buffer(env, ring->sqes, ring->sqes_bytes));
  set(env, o, "owned", buffer(env, door->owned, door->owned_bytes));
  set(env, o, "clock", buffer(env, door->clock, sizeof door->clock));
  set(env, o, "group0", buffer(env, ring->groups[0].ring, ring->groups[0].bytes));
  set(env, o, "group1", buffer(env, ring->groups[1].ring, ring->groups[1].bytes));
  set(env, o, "sqHead", number(env, (double)((char *)ring->sq_head - ring->words)));
  set(env, o, "sqTail", number(env, (double)((char *)ring->sq_tail - ring->words)));
  set(env, o, "sqEntries", number(env, ring->sq_entries));
  set(env, o, "cqHead", number(env, (double)((char *)ring->cq_head - ring->words)));
  set(env, o, "cqTail", number(env, (double)((char *)ring->cq_tail - ring->words)));
  set(env, o, "cqEntries", number(env, ring->cq_entries));
  set(env, o, "cqes", number(env, (double)ring->cqes_offset));
  set(env, o, "setupFlags", number(env, ring->setup_flags));
  return o;
}

/* step(door, wait in ms: -1 until a completion) → 0 or a negated errno */
static napi_value Step(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value a[2];
  napi_get_cb_info(env, info, &argc, a, NULL, NULL);
  struct door *door = door_of(env, a[0]);
  if (!door || door->closed) return number(env, -EBADF);
  double wait = double_of(env, a[1]);
  if (has_work(door)) wait = 0;
  return number(env, step(door, wait < 0 ? -1 : (int64_t)(wait * 1e6)));
}

/* One turn in a callback scope: next ticks and promises made in it run when it closes. -1 when JS could not run. */
static int turn(struct door *door) {
  napi_env env = door->env;
  napi_handle_scope handles;
  napi_callback_scope scope;
  napi_value resource, function, undefined, result = NULL;
  int32_t hit = 0;
  napi_open_handle_scope(env, &handles);
  napi_get_reference_value(env, door->resource, &resource);
  napi_open_callback_scope(env, resource, door->context, &scope);
  napi_get_reference_value(env, door->turn, &function);
  napi_get_undefined(env, &undefined);
  if (napi_call_function(env, undefined, function, 0, NULL, &result) == napi_ok) {
    napi_get_value_int32(env, result, &hit);
  } else {
    /* An error of ours ends the process. A thread that is being terminated runs no JS any more, and has none. */
    bool pending = false;
    napi_value error = NULL;
    hit = -1;
    if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
  }
  napi_close_callback_scope(env, scope);
  napi_close_handle_scope(env, handles);
  return hit;
}

static void arm_poll(struct door *door) {
  struct ring *ring = &door->ring;
  unsigned tail = atomic_load_explicit(ring->sq_tail, memory_order_relaxed);
  if (tail - atomic_load_explicit(ring->sq_head, memory_order_acquire) == ring->sq_entries) step(door, 0);
  struct io_uring_sqe *entry = &ring->sqes[tail & (ring->sq_entries - 1)];
  memset(entry, 0, sizeof *entry);
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = uv_backend_fd(door->loop);
  entry->poll32_events = 1; /* POLLIN */
  entry->user_data = USER_DATA_LIBUV;
  atomic_store_explicit(ring->sq_tail, tail + 1, memory_order_release);
  door->polled = 1;
}

static void on_idle(uv_handle_t *handle) { (void)handle; }

/* The least of what libuv and JS want to be woken for, in nanoseconds; -1 is never. */
static int64_t time_to_wait(struct door *door, int libuv_ms) {
  double deadline = door->clock[CLOCK_DEADLINE] - milliseconds(CLOCK_MONOTONIC);
  if (libuv_ms >= 0 && libuv_ms < deadline) deadline = libuv_ms;
  if (deadline <= 0) return 0;
  if (deadline > 1e12) return -1;
  return (int64_t)(deadline * 1e6);
}

/* The ring owns the sleep. libuv gets a pass that does not block only when its descriptor is readable, or a timer,
 * an immediate or a new watcher is due (its timeout is 0 then, as long as our idle handle is stopped). */
static void on_check(uv_handle_t *handle) {
  struct door *door = uv_handle_get_data(handle);
  door->clock[CLOCK_PASSES]++;
  uv_idle_stop(door->idle);
  for (int first = 1, hit = 0; !hit && door->running; first = 0) {
    if (!door->ring.epoll && !door->polled) arm_poll(door);
    uv_update_time(door->loop);
    int timeout = uv_backend_timeout(door->loop);
    if (timeout == 0 && !first) break;
    int64_t wait = timeout == 0 || has_work(door) ? 0 : time_to_wait(door, timeout);
    step(door, wait);
    if (has_completions(door) || door->clock[CLOCK_DEADLINE] <= door->clock[CLOCK_NOW]) {
      int fired = turn(door);
      if (fired < 0) {
        /* libuv must see that its loop is to end. */
        if (door->running) uv_idle_start(door->idle, on_idle);
        return;
      }
      if (fired & 1) {
        door->polled = 0;
        hit = 1;
      }
    }
    if (!door->running) return;
    if (door->ring.epoll && epoll_libuv_ready(&door->ring)) hit = 1;
  }
  if (!door->running) return;
  step(door, 0);
  uv_idle_start(door->idle, on_idle);
}

/* run(door, turn) → 0 or a negated errno. `turn` takes completions and returns 1 when the poll on libuv was one. */
static napi_value Run(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value a[2];
  napi_get_cb_info(env, info, &argc, a, NULL, NULL);
  struct door *door = door_of(env, a[0]);
  if (!door || door->closed) return number(env, -EBADF);
  if (door->running || door->handles > 0) return number(env, -EBUSY);
  napi_get_uv_event_loop(env, (struct uv_loop_s **)&door->loop);
  napi_value resource, name;
  napi_create_object(env, &resource);
  napi_create_string_utf8(env, "ring", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, resource, name, &door->context);
  napi_create_reference(env, resource, 1, &door->resource);
  napi_create_reference(env, a[1], 1, &door->turn);
  if (door->ring.epoll) {
    int error = epoll_watch_libuv(&door->ring, uv_backend_fd(door->loop));
    if (error < 0) return number(env, error);
  }
  door->check = calloc(1, uv_handle_size(UV_CHECK_));
  door->idle = calloc(1, uv_handle_size(UV_IDLE_));
  if (!door->check || !door->idle) return number(env, -ENOMEM);
  uv_check_init(door->loop, door->check);
  uv_idle_init(door->loop, door->idle);
  uv_handle_set_data(door->check, door);
  uv_handle_set_data(door->idle, door);
  door->handles = 2;
  door->running = 1;
  uv_check_start(door->check, on_check);
  uv_idle_start(door->idle, on_idle);
  return number(env, 0);
}

/* stop(door): libuv has its loop back; what is in flight stays so. */
static napi_value Stop(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value a[1];
  napi_get_cb_info(env, info, &argc, a, NULL, NULL);
  struct door *door = door_of(env, a[0]);
  if (door && door->running) {
    stop_handles(door);
    napi_delete_reference(env, door->turn);
    napi_delete_reference(env, door->resource);
    napi_async_destroy(env, door->context);
  }
  return NULL;
}

/* close(door): the ring's descriptor goes, and with it everything in flight. Its memory stays until the thread ends. */
static napi_value Close(napi_env env, napi_callback_info info) {
  Stop(env, info);
  size_t argc = 1;
  napi_value a[1];
  napi_get_cb_info(env, info, &argc, a, NULL, NULL);
  struct door *door = door_of(env, a[0]);
  if (door) close_ring(door);
  return NULL;
}

napi_value ring_socket_exports(napi_env env, napi_value exports);

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"open", Open}, {"step", Step}, {"run", Run}, {"stop", Stop}, {"close", Close}};
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    set(env, exports, functions[i].name, function);
  }
  return ring_socket_exports(env, exports);
}
