/* The io_uring executor: the kernel does the work, here are only its three system calls. io_uring_setup(2),
 * io_uring_enter(2), io_uring_register(2). */
#include "ring.h"
#include <errno.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Best first. DEFER_TASKRUN came with Linux 6.1, SINGLE_ISSUER with 6.0. Multishot receives came with 6.0 as
 * well, so a kernel that knows neither flag gets the epoll executor instead. */
static const unsigned setups[] = {
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
};

int uring_open(struct ring *ring, unsigned entries) {
  struct io_uring_params p;
  int fd = -1;
  for (unsigned i = 0; i < sizeof setups / sizeof setups[0]; i++) {
    memset(&p, 0, sizeof p);
    p.flags = ring->setup_flags = setups[i];
    p.cq_entries = entries * 4;
    fd = (int)syscall(SYS_io_uring_setup, entries, &p);
    if (fd >= 0 || errno != EINVAL) break;
  }
  if (fd < 0) return -errno;
  ring->fd = fd;
  size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned);
  size_t cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  ring->words_bytes = sq > cq ? sq : cq;
  ring->sqes_bytes = p.sq_entries * sizeof(struct io_uring_sqe);
  if (!(p.features & IORING_FEAT_SINGLE_MMAP) || !(p.features & IORING_FEAT_EXT_ARG)) {
    uring_close(ring);
    return -ENOSYS;
  }
  char *words = mmap(0, ring->words_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  if (words == MAP_FAILED) {
    int error = errno;
    uring_close(ring);
    return -error;
  }
  ring->words = words;
  void *sqes = mmap(0, ring->sqes_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
  if (sqes == MAP_FAILED) {
    int error = errno;
    uring_close(ring);
    return -error;
  }
  ring->sqes = sqes;
  unsigned *array = (unsigned *)(words + p.sq_off.array);
  for (unsigned i = 0; i < p.sq_entries; i++) array[i] = i;
  ring->sq_head = (void *)(words + p.sq_off.head);
  ring->sq_tail = (void *)(words + p.sq_off.tail);
  ring->sq_flags = (void *)(words + p.sq_off.flags);
  ring->cq_head = (void *)(words + p.cq_off.head);
  ring->cq_tail = (void *)(words + p.cq_off.tail);
  ring->cqes = (void *)(words + p.cq_off.cqes);
  ring->cqes_offset = p.cq_off.cqes;
  ring->sq_entries = p.sq_entries;
  ring->cq_entries = p.cq_entries;
  return 0;
}

int uring_register_group(struct ring *ring, int group) {
  struct io_uring_buf_reg reg = {
      .ring_addr = (uintptr_t)ring->groups[group].ring,
      .ring_entries = ring->groups[group].entries,
      .bgid = (uint16_t)group,
  };
  return syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0 ? -errno : 0;
}

int uring_step(struct ring *ring, int64_t wait) {
  unsigned queued = atomic_load_explicit(ring->sq_tail, memory_order_relaxed) -
                    atomic_load_explicit(ring->sq_head, memory_order_acquire);
  long r;
  if (wait <= 0) {
    r = syscall(SYS_io_uring_enter, ring->fd, queued, wait < 0 ? 1 : 0, IORING_ENTER_GETEVENTS, 0, 0);
  } else {
    struct __kernel_timespec ts = {wait / 1000000000, wait % 1000000000};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    r = syscall(SYS_io_uring_enter, ring->fd, queued, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
  }
  /* ETIME: nothing happened in time. EINTR: a signal. EBUSY: completions must be taken first. None is a failure. */
  if (r < 0 && errno != ETIME && errno != EINTR && errno != EBUSY && errno != EAGAIN) return -errno;
  return 0;
}

void uring_close(struct ring *ring) {
  if (ring->sqes) munmap(ring->sqes, ring->sqes_bytes);
  if (ring->words) munmap(ring->words, ring->words_bytes);
  if (ring->fd >= 0) close(ring->fd);
  ring->sqes = NULL;
  ring->words = NULL;
  ring->fd = -1;
}
