/*
 * What the guard holds: routers as the daemon has described them, their adverts, farewell and removal. See guard.c.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <sys/time.h>

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

/*
 * Sends every netlink message of a kind. Rtnetlink's answer is waited for, so that one message is done before the next; the
 * batches of nftables are done when send returns. What the kernel says is not ours to judge.
 */
static void perform(const struct router *router, int kind) {
  size_t size;
  const uint8_t *request;
  for (uint32_t i = 0; (request = hold_section(router, kind, i, &size)) != NULL; i++) {
    if (size < 4) continue;
    int protocol = (int)read4(request);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) continue;
    struct timeval limit = {.tv_usec = 200000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send(fd, request + 4, size - 4, MSG_NOSIGNAL) >= 0 && protocol == NETLINK_ROUTE) {
      uint8_t answer[512];
      if (recv(fd, answer, sizeof answer, 0) < 0) errno = 0;
    }
    close(fd);
  }
}

/* --- hearing the winner --------------------------------------------------------------------------------- */

void open_listeners(struct router *router) {
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

struct router *find_router(uint16_t id) {
  for (struct router *router = guard.routers; router != NULL; router = router->next) {
    if (router->id == id) return router;
  }
  return NULL;
}

void forget_router(struct router *router) {
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

void tell_daemon(int type, const struct router *router) {
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

void begin_leaving(struct router *router, int64_t time) {
  open_listeners(router);
  send_farewell(router);
  router->phase = LEAVING;
  router->deadline = time + router->leave;
}

static void finish(struct router *router) {
  perform(router, REMOVAL);
  tell_daemon(GONE, router);
  forget_router(router);
}

void hold_router(const uint8_t *bytes, size_t length, int64_t time) {
  uint16_t id = read2(bytes + 2);
  struct router *router = find_router(id);
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

void renew_router(const uint8_t *bytes, size_t length, int64_t time) {
  struct router *router = find_router(read2(bytes + 2));
  uint8_t *copy = router == NULL ? NULL : malloc(length);
  if (copy == NULL) return;
  memcpy(copy, bytes, length);
  free(router->renewed);
  router->renewed = copy, router->renewed_length = length;
  router->repeat = read4(bytes + HEADER) & FLAG_REPEAT;
  router->advert_at = time + read8(bytes + HEADER + 8);
  router->next_advert = 0;
}

void speak_for(int64_t time) {
  for (struct router *router = guard.routers; router != NULL; router = router->next) {
    /* Digests bind adverts to their moment and number: only what may be repeated. */
    if (router->phase != HELD || !router->repeat || time < router->advert_at + router->interval / 2) continue;
    if (send_advert(router)) router->advert_at = time + router->interval / 2;
    router->sent--;
  }
}

/* What is due now for the routers whose daemon is away, or has not taken them over yet. */
void serve_router(struct router *router, int64_t time) {
  if (router->deadline == NEVER) return;
  if (hears_winner(router)) {
    int64_t removal = time + router->yield;
    if (router->phase == HELD || removal < router->deadline) router->deadline = removal;
    /* The winner has our virtual hardware address: a frame of ours would lead switches back to us. */
    if (router->phase != YIELDING) perform(router, SILENCE);
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
