/*
 * A thread that sends prepared packets at their time, whatever the event loop does. Packets begin with their IP
 * header; there is no other protocol knowledge. src/beacon.ts prepares them and renews the lease of each entry; an
 * entry whose lease is over falls silent.
 *
 * One thread serves all entries of a process. Everything happens under one lock, so that nothing is sent after
 * `remove` has returned; the lock is held for as long as one entry's packets take to send.
 *
 * Adverts come as bytes, little-endian: for each advert the length of its packets (4), then packets: interface (4),
 * length (4), bytes.
 */
#define _GNU_SOURCE
#include <node_api.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "send-packet.h"

enum { MAX_ENTRIES = 1024, MAX_ARGUMENTS = 8, GUARD_SENT = 7, FIGURES = 8 };

static const int64_t SECOND = 1000000;

struct entry {
  bool used, repeat, expired, exhausted;
  int guard;
  uint16_t guard_id;
  int64_t interval, lease, lease_until, due;
  uint8_t *adverts;
  size_t length, at;
  /* What has happened so far. */
  int64_t sent, failed, last_sent, max_late, total_late, expirations;
  int error;
};

struct beacon {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool running, stopping;
  struct raw_sockets raw;
  struct entry entries[MAX_ENTRIES];
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * SECOND + time.tv_nsec / 1000;
}

static uint32_t read4(const uint8_t *at) { return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24; }

static void send_advert(const struct beacon *beacon, struct entry *entry) {
  if (entry->at + 4 > entry->length && entry->repeat) entry->at = 0;
  if (entry->at + 4 > entry->length) {
    entry->exhausted = true;
    return;
  }
  size_t end = entry->at + 4 + read4(entry->adverts + entry->at);
  size_t at = entry->at + 4;
  if (end > entry->length) end = entry->length;
  entry->at = end;
  while (at + 8 <= end) {
    size_t length = read4(entry->adverts + at + 4);
    if (length > end - at - 8) break;
    int error = send_packet(beacon->raw, entry->adverts + at + 8, length, (int)read4(entry->adverts + at));
    if (error == 0) {
      entry->sent++;
    } else {
      entry->failed++;
      entry->error = error;
    }
    at += 8 + length;
  }
}

static void serve(const struct beacon *beacon, struct entry *entry, int64_t time) {
  if (time >= entry->lease_until) {
    entry->expired = true;
    entry->expirations++;
    return;
  }
  int64_t late = time - entry->due;
  send_advert(beacon, entry);
  if (entry->exhausted) return;
  entry->last_sent = time;
  entry->total_late += late;
  if (late > entry->max_late) entry->max_late = late;
  entry->due += entry->interval;
  if (entry->due <= time) entry->due = time + entry->interval;
  if (entry->guard >= 0) {
    uint8_t message[] = {GUARD_SENT, 0, entry->guard_id & 0xff, entry->guard_id >> 8};
    if (send(entry->guard, message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) entry->error = errno;
  }
}

static void *run(void *data) {
  struct beacon *beacon = data;
  pthread_mutex_lock(&beacon->lock);
  while (!beacon->stopping) {
    int64_t next = INT64_MAX;
    int64_t time = now();
    for (int i = 0; i < MAX_ENTRIES; i++) {
      struct entry *entry = &beacon->entries[i];
      if (!entry->used || entry->expired || entry->exhausted) continue;
      if (entry->due <= time) serve(beacon, entry, now());
      if (!entry->expired && !entry->exhausted && entry->due < next) next = entry->due;
    }
    if (next == INT64_MAX) {
      pthread_cond_wait(&beacon->changed, &beacon->lock);
    } else {
      struct timespec until = {.tv_sec = next / SECOND, .tv_nsec = next % SECOND * 1000};
      pthread_cond_timedwait(&beacon->changed, &beacon->lock, &until);
    }
  }
  pthread_mutex_unlock(&beacon->lock);
  return NULL;
}

static int start(struct beacon *beacon) {
  if (beacon->running) return 0;
  beacon->raw = open_raw_sockets();
  if (beacon->raw.ipv4 < 0) {
    int error = errno;
    close_raw_sockets(beacon->raw);
    return error;
  }
  int error = pthread_create(&beacon->thread, NULL, run, beacon);
  if (error != 0) {
    close_raw_sockets(beacon->raw);
    return error;
  }
  pthread_setname_np(beacon->thread, "beacon");
  beacon->running = true;
  return 0;
}

static void destroy(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct beacon *beacon = data;
  if (beacon->running) {
    pthread_mutex_lock(&beacon->lock);
    beacon->stopping = true;
    pthread_cond_signal(&beacon->changed);
    pthread_mutex_unlock(&beacon->lock);
    pthread_join(beacon->thread, NULL);
    close_raw_sockets(beacon->raw);
  }
  for (int i = 0; i < MAX_ENTRIES; i++) free(beacon->entries[i].adverts);
  pthread_cond_destroy(&beacon->changed);
  pthread_mutex_destroy(&beacon->lock);
  free(beacon);
}

struct call {
  napi_env env;
  napi_value argument[MAX_ARGUMENTS];
  struct beacon *beacon;
  bool wrong;
};

static struct call enter(napi_env env, napi_callback_info info) {
  struct call call = {.env = env, .beacon = NULL, .wrong = false};
  size_t count = MAX_ARGUMENTS;
  if (napi_get_cb_info(env, info, &count, call.argument, NULL, NULL) != napi_ok ||
      napi_get_instance_data(env, (void **)&call.beacon) != napi_ok || call.beacon == NULL) {
    call.wrong = true;
  }
  return call;
}

static int64_t integer(struct call *call, int index) {
  int64_t value = 0;
  if (napi_get_value_int64(call->env, call->argument[index], &value) != napi_ok) call->wrong = true;
  return value;
}

/* A copy, or NULL. */
static uint8_t *copy_bytes(struct call *call, int index, size_t *length) {
  bool typed = false;
  napi_typedarray_type kind;
  void *data = NULL;
  if (napi_is_typedarray(call->env, call->argument[index], &typed) != napi_ok || !typed ||
      napi_get_typedarray_info(call->env, call->argument[index], &kind, length, &data, NULL, NULL) != napi_ok ||
      kind != napi_uint8_array) {
    call->wrong = true;
    return NULL;
  }
  uint8_t *copy = malloc(*length + 1);
  if (copy != NULL) memcpy(copy, data, *length);
  return copy;
}

static struct entry *entry_of(struct call *call, int index) {
  int64_t id = integer(call, index);
  if (call->wrong || id < 0 || id >= MAX_ENTRIES || !call->beacon->entries[id].used) {
    call->wrong = true;
    return NULL;
  }
  return &call->beacon->entries[id];
}

static napi_value refuse(struct call *call) {
  napi_throw_type_error(call->env, NULL, "an argument of a native beacon call has the wrong type or size");
  return NULL;
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

/* add(adverts, interval, lease, firstAfter, repeat, guardFd, guardId) -> id, or the negative error number; times in µs */
static napi_value door_add(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  int64_t interval = integer(&call, 1), lease = integer(&call, 2), first = integer(&call, 3);
  bool repeat = integer(&call, 4) != 0;
  int guard = (int)integer(&call, 5);
  uint16_t guard_id = (uint16_t)integer(&call, 6);
  if (call.wrong || interval < 1000) return refuse(&call);
  struct beacon *beacon = call.beacon;
  int error = start(beacon);
  if (error != 0) return number(env, -error);
  size_t length = 0;
  uint8_t *adverts = copy_bytes(&call, 0, &length);
  if (call.wrong) return refuse(&call);
  if (adverts == NULL) return number(env, -ENOMEM);
  pthread_mutex_lock(&beacon->lock);
  int id = 0;
  while (id < MAX_ENTRIES && beacon->entries[id].used) id++;
  if (id < MAX_ENTRIES) {
    int64_t time = now();
    beacon->entries[id] = (struct entry){
        .used = true,
        .repeat = repeat,
        .guard = guard,
        .guard_id = guard_id,
        .interval = interval,
        .lease = lease,
        .lease_until = time + lease,
        .due = time + first,
        .adverts = adverts,
        .length = length,
    };
    pthread_cond_signal(&beacon->changed);
  }
  pthread_mutex_unlock(&beacon->lock);
  if (id < MAX_ENTRIES) return number(env, id);
  free(adverts);
  return number(env, -ENOSPC);
}

/* replace(id, adverts, repeat) -> 0 */
static napi_value door_replace(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct entry *entry = entry_of(&call, 0);
  bool repeat = integer(&call, 2) != 0;
  size_t length = 0;
  uint8_t *adverts = call.wrong ? NULL : copy_bytes(&call, 1, &length);
  if (call.wrong) return refuse(&call);
  if (adverts == NULL) return number(env, -ENOMEM);
  pthread_mutex_lock(&call.beacon->lock);
  uint8_t *old = entry->adverts;
  entry->adverts = adverts;
  entry->length = length;
  entry->at = 0;
  entry->repeat = repeat;
  if (entry->exhausted) entry->due = now() + entry->interval;
  entry->exhausted = false;
  pthread_cond_signal(&call.beacon->changed);
  pthread_mutex_unlock(&call.beacon->lock);
  free(old);
  return number(env, 0);
}

/* setInterval(id, interval, lease) -> 0 */
static napi_value door_set_interval(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct entry *entry = entry_of(&call, 0);
  int64_t interval = integer(&call, 1), lease = integer(&call, 2);
  if (call.wrong || interval < 1000) return refuse(&call);
  pthread_mutex_lock(&call.beacon->lock);
  int64_t time = now();
  entry->due = entry->due - entry->interval + interval;
  if (entry->due < time) entry->due = time;
  entry->interval = interval;
  entry->lease = lease;
  pthread_cond_signal(&call.beacon->changed);
  pthread_mutex_unlock(&call.beacon->lock);
  return number(env, 0);
}

/* renew(id, resume) -> 1 when it is silent since its lease was over, and stays so without `resume`; else 0 */
static napi_value door_renew(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct entry *entry = entry_of(&call, 0);
  bool resume = integer(&call, 1) != 0;
  if (call.wrong) return refuse(&call);
  pthread_mutex_lock(&call.beacon->lock);
  int64_t time = now();
  /* The thread sees the end of a lease only when the next advert is due. */
  if (!entry->expired && time >= entry->lease_until) {
    entry->expired = true;
    entry->expirations++;
  }
  if (resume && entry->expired) {
    entry->expired = false;
    entry->due = time;
    pthread_cond_signal(&call.beacon->changed);
  }
  bool expired = entry->expired;
  if (!expired) entry->lease_until = time + entry->lease;
  pthread_mutex_unlock(&call.beacon->lock);
  return number(env, expired);
}

/* figures(id, into: Float64Array(8)): sent, failed, errno, lastSent, maxLate, totalLate, expirations, silent */
static napi_value door_figures(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct entry *entry = entry_of(&call, 0);
  bool typed = false;
  napi_typedarray_type kind = napi_uint8_array;
  size_t length = 0;
  double *out = NULL;
  if (call.wrong || napi_is_typedarray(env, call.argument[1], &typed) != napi_ok || !typed ||
      napi_get_typedarray_info(env, call.argument[1], &kind, &length, (void **)&out, NULL, NULL) != napi_ok ||
      kind != napi_float64_array || length < FIGURES) {
    return refuse(&call);
  }
  pthread_mutex_lock(&call.beacon->lock);
  out[0] = (double)entry->sent;
  out[1] = (double)entry->failed;
  out[2] = entry->error;
  out[3] = (double)entry->last_sent;
  out[4] = (double)entry->max_late;
  out[5] = (double)entry->total_late;
  out[6] = (double)entry->expirations;
  out[7] = entry->expired || entry->exhausted;
  pthread_mutex_unlock(&call.beacon->lock);
  return NULL;
}

/* remove(id): nothing more is sent when this has returned */
static napi_value door_remove(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct entry *entry = entry_of(&call, 0);
  if (call.wrong) return refuse(&call);
  pthread_mutex_lock(&call.beacon->lock);
  free(entry->adverts);
  memset(entry, 0, sizeof *entry);
  pthread_mutex_unlock(&call.beacon->lock);
  return NULL;
}

/* setPriority(priority) -> 0: SCHED_RR for the thread, which does not inherit it from the one that made it */
static napi_value door_set_priority(napi_env env, napi_callback_info info) {
  struct call call = enter(env, info);
  struct sched_param parameter = {.sched_priority = (int)integer(&call, 0)};
  if (call.wrong) return refuse(&call);
  int error = start(call.beacon);
  if (error == 0) error = pthread_setschedparam(call.beacon->thread, SCHED_RR, &parameter);
  return number(env, -error);
}

static const struct {
  const char *name;
  napi_callback function;
} doors[] = {
    {"add", door_add},         {"figures", door_figures}, {"remove", door_remove},
    {"renew", door_renew},     {"replace", door_replace}, {"setInterval", door_set_interval},
    {"setPriority", door_set_priority},
};

NAPI_MODULE_INIT() {
  struct beacon *beacon = calloc(1, sizeof *beacon);
  pthread_condattr_t monotonic;
  if (beacon == NULL || pthread_condattr_init(&monotonic) != 0) {
    free(beacon);
    napi_throw_error(env, NULL, "cannot set up the native beacon module");
    return NULL;
  }
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&beacon->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&beacon->lock, NULL);
  if (napi_set_instance_data(env, beacon, destroy, NULL) != napi_ok) {
    destroy(env, beacon, NULL);
    napi_throw_error(env, NULL, "cannot set up the native beacon module");
    return NULL;
  }
  for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
    napi_value function = NULL;
    if (napi_create_function(env, doors[i].name, NAPI_AUTO_LENGTH, doors[i].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, doors[i].name, function) != napi_ok) {
      napi_throw_error(env, NULL, "cannot set up the native beacon module");
      return NULL;
    }
  }
  return exports;
}
