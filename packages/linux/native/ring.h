/* What the two executors of the ring and its door share. The ABI is that of io_uring(7): 64-byte entries in,
 * 16-byte completions out, provided buffers in rings of io_uring_buf. */
#ifndef RING_H
#define RING_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* user_data of the door's own poll on libuv's descriptor: no slot of ours has this generation. */
#define USER_DATA_LIBUV 0xffffffffffffffffull
#define RING_GROUPS 2

/* A ring of provided buffers. `head` is used by the epoll executor only: the kernel keeps its own. */
struct buffer_group {
  struct io_uring_buf_ring *ring;
  size_t bytes;
  unsigned entries;
  uint16_t head;
};

struct epoll_state;

/* The four words and two arrays of a ring, whichever executor is behind them. */
struct ring {
  int fd; /* io_uring's or epoll's */
  struct epoll_state *epoll; /* NULL: io_uring */
  unsigned sq_entries, cq_entries;
  _Atomic unsigned *sq_head, *sq_tail, *cq_head, *cq_tail, *sq_flags;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
  /* Memory that JS maps: the words and the completions stand in one block. */
  char *words;
  size_t words_bytes;
  size_t sqes_bytes;
  size_t cqes_offset;
  unsigned setup_flags;
  struct buffer_group groups[RING_GROUPS];
};

/* All return 0 or a negated errno. */
int uring_open(struct ring *ring, unsigned entries);
int uring_register_group(struct ring *ring, int group);
/* Submits what is queued. wait: -1 until a completion, 0 not at all, else nanoseconds. */
int uring_step(struct ring *ring, int64_t wait);
void uring_close(struct ring *ring);

int epoll_open(struct ring *ring, unsigned entries);
int epoll_step(struct ring *ring, int64_t wait);
/* Whether work is left that needs no event: a step must not sleep. */
int epoll_pending(struct ring *ring);
/* Watches libuv's descriptor; epoll_libuv_ready says, once, that it fired. */
int epoll_watch_libuv(struct ring *ring, int fd);
int epoll_libuv_ready(struct ring *ring);
void epoll_close(struct ring *ring);

#endif
