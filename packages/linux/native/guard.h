/*
 * What guard.c (the daemon's life) and guard-router.c (what it holds) share.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#include "send-packet.h"

enum { CONFIG = 1, HELLO, BEAT, HOLD, RENEW, RELEASE, SENT, BYE, LIMIT, STATE = 101, READY, GONE };
enum { ADVERT = 1, FAREWELL, REMOVAL, WINNER, RESUME, SILENCE };
enum { FLAG_LOCK = 1, FLAG_FORWARD = 2, FLAG_SYSLOG = 4, FLAG_REPEAT = 1 };
enum { CHANNEL = 3, MAX_MESSAGE = 1 << 20, MAX_ROUTERS = 65536, MAX_WORDS = 1024, MAX_LISTENERS = 4 };
enum { HEADER = 4, SECTION = 8 };

static const int64_t SECOND = 1000000;
static const int64_t NEVER = INT64_MAX;

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

enum { HOLD_FIXED = HEADER + 8 + 5 * 8, RENEW_FIXED = HEADER + 8 + 8, CONFIG_FIXED = HEADER + 16, HELLO_FIXED = HEADER + 16 };

struct guard {
  struct router *routers;
  int channel, pidfd, signals;
  struct raw_sockets raw;
  pid_t daemon;
  bool own_child, forwarding, greeted, orphaned, to_syslog;
  /* The daemon's time on and its wait for a processor when half of its patience was over (-1: not looked). */
  int64_t ran, waited;
  /* Until when a daemon that gets no processor may be silent; 0: it gets one, as far as we know. */
  int64_t starving_until;
  int64_t heartbeat, crash_window, last_beat, started_at, restart_at, last_restart, backoff;
  char *words[MAX_WORDS];
  char **environment;
  const char *folder;
  uint8_t *config;
  char oom_adjustment[16];
  struct rlimit files;
};
extern struct guard guard;

static inline int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * SECOND + time.tv_nsec / 1000;
}

static inline uint32_t read4(const uint8_t *at) { return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24; }
static inline uint16_t read2(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline int64_t read8(const uint8_t *at) { return (int64_t)(read4(at) | (uint64_t)read4(at + 4) << 32); }

/* guard-router.c */
struct router *find_router(uint16_t id);
void forget_router(struct router *router);
void hold_router(const uint8_t *bytes, size_t length, int64_t time);
void renew_router(const uint8_t *bytes, size_t length, int64_t time);
void open_listeners(struct router *router);
void begin_leaving(struct router *router, int64_t time);
/* What is due now for a router whose daemon is away, or has not taken it over yet. */
void serve_router(struct router *router, int64_t time);
/* The adverts of a living daemon that gets no processor: those that are overdue by half an interval. */
void speak_for(int64_t time);
/* An answer to the daemon: STATE of a router, GONE, or READY without one. */
void tell_daemon(int type, const struct router *router);

#endif
