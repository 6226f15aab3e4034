/* The epoll executor: takes the same entries as io_uring and gives the same completions, for where io_uring is
 * forbidden. Edge-triggered; one epoll_ctl(2) for a descriptor's whole life. */
#include "ring.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE_BITS 8
#define PAGE_SIZE_ (1u << PAGE_BITS)
#define EVENTS 256
/* Reads from one descriptor before others have their turn. */
#define READS_A_TURN 4
#define ACCEPTS_A_TURN 64

enum { HAS_RECV = 1, HAS_SEND = 2, HAS_ACCEPT = 4, HAS_CONNECT = 8, HAS_POLL = 16 };

struct descriptor {
  uint8_t pending;    /* HAS_… */
  uint8_t registered; /* in the epoll set */
  uint8_t readable, writable, hung;
  uint8_t hot; /* in the list of those to look at again without an event */
  uint8_t multishot;
  uint8_t select; /* receive into a provided buffer */
  uint16_t group;
  uint16_t poll_mask;
  uint32_t sent;
  uint64_t recv_data, accept_data, connect_data, poll_data;
  uint64_t recv_addr;
  uint32_t recv_len;
  uint32_t recv_flags;
  struct io_uring_sqe send;
};

struct epoll_state {
  unsigned words[8]; /* sq head, sq tail, cq head, cq tail, flags */
  struct descriptor **pages;
  unsigned page_count;
  int *hot;
  unsigned hot_count, hot_room;
  /* Completions that had no room: none is ever lost. */
  struct io_uring_cqe *overflow;
  size_t overflow_count, overflow_room;
  int libuv_fd, libuv_ready;
  int sent_whole; /* the last send tried took all its bytes */
};

int epoll_open(struct ring *ring, unsigned entries) {
  struct epoll_state *state = calloc(1, sizeof *state);
  if (!state) return -ENOMEM;
  state->libuv_fd = -1;
  ring->fd = epoll_create1(EPOLL_CLOEXEC);
  if (ring->fd < 0) {
    int error = errno;
    free(state);
    return -error;
  }
  ring->epoll = state;
  ring->sq_entries = entries;
  ring->cq_entries = entries * 4;
  ring->cqes_offset = 4096;
  ring->words_bytes = ring->cqes_offset + ring->cq_entries * sizeof(struct io_uring_cqe);
  ring->sqes_bytes = entries * sizeof(struct io_uring_sqe);
  ring->words = mmap(0, ring->words_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ring->sqes = mmap(0, ring->sqes_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ring->words == MAP_FAILED || ring->sqes == (void *)MAP_FAILED) {
    if (ring->words == MAP_FAILED) ring->words = NULL;
    if (ring->sqes == (void *)MAP_FAILED) ring->sqes = NULL;
    epoll_close(ring);
    return -ENOMEM;
  }
  _Atomic unsigned *words = (void *)ring->words;
  ring->sq_head = &words[0];
  ring->sq_tail = &words[1];
  ring->cq_head = &words[2];
  ring->cq_tail = &words[3];
  ring->sq_flags = &words[4];
  ring->cqes = (void *)(ring->words + ring->cqes_offset);
  return 0;
}

static unsigned cq_room(struct ring *ring) {
  return ring->cq_entries - (*ring->cq_tail - *ring->cq_head);
}

static void post(struct ring *ring, const struct io_uring_cqe *entry) {
  unsigned tail = *ring->cq_tail;
  ring->cqes[tail & (ring->cq_entries - 1)] = *entry;
  atomic_store_explicit(ring->cq_tail, tail + 1, memory_order_release);
}

static void complete(struct ring *ring, uint64_t user_data, int res, unsigned flags) {
  struct epoll_state *state = ring->epoll;
  struct io_uring_cqe entry = {.user_data = user_data, .res = res, .flags = flags};
  if (state->overflow_count == 0 && cq_room(ring) > 0) {
    post(ring, &entry);
    return;
  }
  if (state->overflow_count == state->overflow_room) {
    size_t room = state->overflow_room ? state->overflow_room * 2 : 256;
    struct io_uring_cqe *list = realloc(state->overflow, room * sizeof *list);
    if (!list) abort(); /* a lost completion is a lost buffer or worse: end, and be restarted */
    state->overflow = list;
    state->overflow_room = room;
  }
  state->overflow[state->overflow_count++] = entry;
}

static void flush_overflow(struct ring *ring) {
  struct epoll_state *state = ring->epoll;
  size_t moved = 0;
  while (moved < state->overflow_count && cq_room(ring) > 0) post(ring, &state->overflow[moved++]);
  if (moved == 0) return;
  state->overflow_count -= moved;
  memmove(state->overflow, state->overflow + moved, state->overflow_count * sizeof *state->overflow);
}

static struct descriptor *lookup(struct epoll_state *state, int fd) {
  unsigned page = (unsigned)fd >> PAGE_BITS;
  if (fd < 0 || page >= state->page_count || !state->pages[page]) return NULL;
  return &state->pages[page][(unsigned)fd & (PAGE_SIZE_ - 1)];
}

static struct descriptor *ensure(struct epoll_state *state, int fd) {
  unsigned page = (unsigned)fd >> PAGE_BITS;
  if (fd < 0) return NULL;
  if (page >= state->page_count) {
    unsigned count = page + 16;
    struct descriptor **pages = realloc(state->pages, count * sizeof *pages);
    if (!pages) return NULL;
    memset(pages + state->page_count, 0, (count - state->page_count) * sizeof *pages);
    state->pages = pages;
    state->page_count = count;
  }
  if (!state->pages[page]) state->pages[page] = calloc(PAGE_SIZE_, sizeof(struct descriptor));
  return lookup(state, fd);
}

static int watch(struct ring *ring, struct descriptor *d, int fd) {
  if (d->registered) return 0;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, .data.fd = fd};
  if (epoll_ctl(ring->fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST) return -errno;
  d->registered = 1;
  /* What it can do is not known: try, and be told when it cannot. */
  d->readable = d->writable = 1;
  d->hung = 0;
  return 0;
}

static void make_hot(struct epoll_state *state, struct descriptor *d, int fd) {
  if (d->hot) return;
  if (state->hot_count == state->hot_room) {
    unsigned room = state->hot_room ? state->hot_room * 2 : 256;
    int *list = realloc(state->hot, room * sizeof *list);
    if (!list) abort();
    state->hot = list;
    state->hot_room = room;
  }
  d->hot = 1;
  state->hot[state->hot_count++] = fd;
}

static void do_accept(struct ring *ring, struct descriptor *d, int fd) {
  for (int i = 0; i < ACCEPTS_A_TURN; i++) {
    int accepted = accept4(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) {
      if (errno == EAGAIN) {
        d->readable = 0;
        return;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      d->pending &= ~HAS_ACCEPT;
      complete(ring, d->accept_data, -errno, 0);
      return;
    }
    if (!d->multishot) {
      d->pending &= ~HAS_ACCEPT;
      complete(ring, d->accept_data, accepted, 0);
      return;
    }
    complete(ring, d->accept_data, accepted, IORING_CQE_F_MORE);
  }
  make_hot(ring->epoll, d, fd);
}

static void finish_recv(struct ring *ring, struct descriptor *d, int res) {
  d->pending &= ~HAS_RECV;
  complete(ring, d->recv_data, res, 0);
}

static void do_recv(struct ring *ring, struct descriptor *d, int fd) {
  for (int i = 0; i < READS_A_TURN; i++) {
    void *where = (void *)(uintptr_t)d->recv_addr;
    size_t size = d->recv_len;
    unsigned flags = 0;
    struct buffer_group *group = NULL;
    if (d->select) {
      group = &ring->groups[d->group];
      if (group->head == group->ring->tail) {
        finish_recv(ring, d, -ENOBUFS);
        return;
      }
      struct io_uring_buf *buffer = &group->ring->bufs[group->head & (group->entries - 1)];
      where = (void *)(uintptr_t)buffer->addr;
      if (size == 0 || size > buffer->len) size = buffer->len;
      flags = IORING_CQE_F_BUFFER | ((unsigned)buffer->bid << IORING_CQE_BUFFER_SHIFT);
    }
    ssize_t r = recv(fd, where, size, MSG_DONTWAIT | (int)d->recv_flags);
    if (r < 0 && errno == EINTR) continue;
    if (r < 0 && errno == EAGAIN) {
      d->readable = 0;
      return;
    }
    if (r < 0) {
      finish_recv(ring, d, -errno);
      return;
    }
    if (r == 0 && d->select) {
      finish_recv(ring, d, 0);
      return;
    }
    if (group) group->head++;
    /* A stream socket that gave less than asked is empty, and says so with an edge when it is not; only the
     * end of the stream may already stand behind these bytes. */
    if ((size_t)r < size && !d->hung) d->readable = 0;
    if (!d->multishot || r == 0) {
      d->pending &= ~HAS_RECV;
      complete(ring, d->recv_data, (int)r, flags);
      return;
    }
    complete(ring, d->recv_data, (int)r, flags | IORING_CQE_F_MORE);
    if (!d->readable) return;
  }
  make_hot(ring->epoll, d, fd);
}

static size_t length_of(const struct io_uring_sqe *e) {
  if (e->opcode != IORING_OP_SENDMSG) return e->len;
  const struct msghdr *message = (const struct msghdr *)(uintptr_t)e->addr;
  size_t length = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) length += message->msg_iov[i].iov_len;
  return length;
}

/* As io_uring does with MSG_WAITALL: goes on until all is sent or an error ends it. */
static void do_send(struct ring *ring, struct descriptor *d, int fd) {
  struct io_uring_sqe *e = &d->send;
  for (;;) {
    ssize_t r;
    if (e->opcode == IORING_OP_SENDMSG) {
      r = sendmsg(fd, (struct msghdr *)(uintptr_t)e->addr, (int)e->msg_flags | MSG_DONTWAIT);
    } else {
      r = send(fd, (char *)(uintptr_t)e->addr + d->sent, e->len - d->sent, (int)e->msg_flags | MSG_DONTWAIT);
    }
    if (r < 0 && errno == EINTR) continue;
    if (r < 0 && errno == EAGAIN) {
      d->writable = 0;
      return;
    }
    if (r < 0) {
      int error = errno;
      d->pending &= ~HAS_SEND;
      complete(ring, e->user_data, d->sent > 0 ? (int)d->sent : -error, 0);
      return;
    }
    d->sent += (uint32_t)r;
    ring->epoll->sent_whole = d->sent == length_of(e);
    /* A sendmsg that went in part is the owner's to continue: its parts are not ours to move. */
    if (e->opcode == IORING_OP_SENDMSG || d->sent >= e->len || !(e->msg_flags & MSG_WAITALL)) {
      d->pending &= ~HAS_SEND;
      complete(ring, e->user_data, (int)d->sent, 0);
      return;
    }
  }
}

static void do_connect(struct ring *ring, struct descriptor *d, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  if (poll(&p, 1, 0) <= 0) {
    d->writable = 0;
    return;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
  d->pending &= ~HAS_CONNECT;
  complete(ring, d->connect_data, -error, 0);
}

static void do_poll(struct ring *ring, struct descriptor *d, int fd) {
  struct pollfd p = {.fd = fd, .events = (short)d->poll_mask};
  if (poll(&p, 1, 0) <= 0) return;
  d->pending &= ~HAS_POLL;
  complete(ring, d->poll_data, p.revents, 0);
}

/* Whatever a descriptor has pending and may be able to do. */
static void progress(struct ring *ring, struct descriptor *d, int fd) {
  if ((d->pending & HAS_POLL)) do_poll(ring, d, fd);
  if ((d->pending & HAS_CONNECT) && d->writable) do_connect(ring, d, fd);
  if ((d->pending & HAS_SEND) && d->writable) do_send(ring, d, fd);
  if ((d->pending & HAS_ACCEPT) && d->readable) do_accept(ring, d, fd);
  if ((d->pending & HAS_RECV) && d->readable) do_recv(ring, d, fd);
}

static int cancel_pending(struct ring *ring, struct descriptor *d, unsigned which) {
  int count = 0;
  if (d->pending & which & HAS_RECV) complete(ring, d->recv_data, -ECANCELED, 0), count++;
  if (d->pending & which & HAS_SEND)
    complete(ring, d->send.user_data, d->sent > 0 ? (int)d->sent : -ECANCELED, 0), count++;
  if (d->pending & which & HAS_ACCEPT) complete(ring, d->accept_data, -ECANCELED, 0), count++;
  if (d->pending & which & HAS_CONNECT) complete(ring, d->connect_data, -ECANCELED, 0), count++;
  if (d->pending & which & HAS_POLL) complete(ring, d->poll_data, -ECANCELED, 0), count++;
  d->pending &= (uint8_t)~which;
  return count;
}

static unsigned pending_with(const struct descriptor *d, uint64_t user_data) {
  unsigned which = 0;
  if ((d->pending & HAS_RECV) && d->recv_data == user_data) which |= HAS_RECV;
  if ((d->pending & HAS_SEND) && d->send.user_data == user_data) which |= HAS_SEND;
  if ((d->pending & HAS_ACCEPT) && d->accept_data == user_data) which |= HAS_ACCEPT;
  if ((d->pending & HAS_CONNECT) && d->connect_data == user_data) which |= HAS_CONNECT;
  if ((d->pending & HAS_POLL) && d->poll_data == user_data) which |= HAS_POLL;
  return which;
}

/* io_uring names the entry to cancel by user_data alone; our callers put the descriptor beside it. */
static void do_cancel(struct ring *ring, const struct io_uring_sqe *e) {
  struct descriptor *d = lookup(ring->epoll, e->fd);
  int count = 0;
  if (d) {
    count = cancel_pending(ring, d, pending_with(d, e->addr));
  }
  complete(ring, e->user_data, count == 0 ? -ENOENT : 0, 0);
}

static void do_close(struct ring *ring, const struct io_uring_sqe *e) {
  struct descriptor *d = lookup(ring->epoll, e->fd);
  if (d) {
    cancel_pending(ring, d, 0xff);
    /* Another descriptor may share the socket (a listener in two processes): then closing ours leaves it in
     * the set, and it would report under a number that is somebody else's. */
    if (d->registered) epoll_ctl(ring->fd, EPOLL_CTL_DEL, e->fd, 0);
    uint8_t hot = d->hot;
    memset(d, 0, sizeof *d);
    d->hot = hot;
  }
  complete(ring, e->user_data, close(e->fd) < 0 ? -errno : 0, 0);
}

static void execute(struct ring *ring, const struct io_uring_sqe *e) {
  struct epoll_state *state = ring->epoll;
  int fd = e->fd;
  switch (e->opcode) {
  case IORING_OP_NOP: complete(ring, e->user_data, 0, 0); return;
  case IORING_OP_ASYNC_CANCEL: do_cancel(ring, e); return;
  case IORING_OP_CLOSE: do_close(ring, e); return;
  case IORING_OP_SEND:
  case IORING_OP_SENDMSG:
  case IORING_OP_RECV:
  case IORING_OP_ACCEPT:
  case IORING_OP_CONNECT:
  case IORING_OP_POLL_ADD: break;
  default: complete(ring, e->user_data, -EINVAL, 0); return;
  }
  struct descriptor *d = ensure(state, fd);
  if (!d) {
    complete(ring, e->user_data, fd < 0 ? -EBADF : -ENOMEM, 0);
    return;
  }
  /* connect(2) goes first: a socket that is not connected yet would report a hang-up when watched. */
  int error = 0;
  if (e->opcode == IORING_OP_CONNECT) {
    if (connect(fd, (void *)(uintptr_t)e->addr, (socklen_t)e->off) == 0) {
      complete(ring, e->user_data, 0, 0);
      return;
    }
    error = errno;
    if (error != EINPROGRESS && error != EAGAIN) {
      complete(ring, e->user_data, -error, 0);
      return;
    }
    /* A unix socket whose backlog is full says EAGAIN and will not tell when it is not. */
    if (error == EAGAIN) {
      complete(ring, e->user_data, -EAGAIN, 0);
      return;
    }
  }
  error = watch(ring, d, fd);
  if (error < 0 && error != -EPERM) {
    complete(ring, e->user_data, error, 0);
    return;
  }
  switch (e->opcode) {
  case IORING_OP_SEND:
  case IORING_OP_SENDMSG:
    if (d->pending & HAS_SEND) {
      complete(ring, e->user_data, -EBUSY, 0);
      return;
    }
    d->pending |= HAS_SEND;
    d->send = *e;
    d->sent = 0;
    if (d->writable) do_send(ring, d, fd);
    return;
  case IORING_OP_RECV:
    if (d->pending & HAS_RECV) {
      complete(ring, e->user_data, -EBUSY, 0);
      return;
    }
    d->pending |= HAS_RECV;
    d->recv_data = e->user_data;
    d->multishot = (e->ioprio & IORING_RECV_MULTISHOT) != 0;
    d->select = (e->flags & IOSQE_BUFFER_SELECT) != 0;
    d->group = e->buf_group;
    d->recv_addr = e->addr;
    d->recv_len = e->len;
    d->recv_flags = e->msg_flags;
    if (d->select && d->group >= RING_GROUPS) {
      finish_recv(ring, d, -EINVAL);
      return;
    }
    if (d->readable) do_recv(ring, d, fd);
    return;
  case IORING_OP_ACCEPT:
    if (d->pending & HAS_ACCEPT) {
      complete(ring, e->user_data, -EBUSY, 0);
      return;
    }
    d->pending |= HAS_ACCEPT;
    d->accept_data = e->user_data;
    d->multishot = (e->ioprio & IORING_ACCEPT_MULTISHOT) != 0;
    d->readable = 1; /* what waits in the backlog gave its edge long ago */
    do_accept(ring, d, fd);
    return;
  case IORING_OP_CONNECT:
    d->pending |= HAS_CONNECT;
    d->connect_data = e->user_data;
    do_connect(ring, d, fd);
    return;
  case IORING_OP_POLL_ADD:
    d->pending |= HAS_POLL;
    d->poll_data = e->user_data;
    d->poll_mask = (uint16_t)e->poll32_events;
    do_poll(ring, d, fd);
    return;
  }
}

int epoll_pending(struct ring *ring) {
  return ring->epoll->hot_count > 0 || ring->epoll->overflow_count > 0;
}

static void look_again(struct ring *ring) {
  struct epoll_state *state = ring->epoll;
  unsigned count = state->hot_count;
  for (unsigned i = 0; i < count; i++) {
    int fd = state->hot[i];
    struct descriptor *d = lookup(state, fd);
    d->hot = 0;
    progress(ring, d, fd);
  }
  /* Those that became hot meanwhile stand behind. */
  state->hot_count -= count;
  memmove(state->hot, state->hot + count, state->hot_count * sizeof *state->hot);
}

int epoll_step(struct ring *ring, int64_t wait) {
  struct epoll_state *state = ring->epoll;
  flush_overflow(ring);
  unsigned head = *ring->sq_head;
  int broken = 0;
  while (head != *ring->sq_tail) {
    const struct io_uring_sqe *entry = &ring->sqes[head & (ring->sq_entries - 1)];
    /* What is linked behind a send is done only when all of it went at once; io_uring would also wait for that. */
    if (broken) complete(ring, entry->user_data, -ECANCELED, 0);
    else {
      state->sent_whole = 0;
      execute(ring, entry);
    }
    broken = (entry->flags & IOSQE_IO_LINK) && (broken || !state->sent_whole);
    atomic_store_explicit(ring->sq_head, ++head, memory_order_release);
  }
  /* Let what is there be taken before more is asked for. */
  if (state->overflow_count > 0 || cq_room(ring) < ring->cq_entries / 2) return 0;
  struct epoll_event events[EVENTS];
  int sleepless = *ring->cq_head != *ring->cq_tail || epoll_pending(ring) || wait == 0;
  int64_t rounded = (wait + 999999) / 1000000;
  int timeout = sleepless ? 0 : wait < 0 ? -1 : rounded > 0x7fffffff ? 0x7fffffff : (int)rounded;
  int count = epoll_wait(ring->fd, events, EVENTS, timeout);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  look_again(ring);
  for (int i = 0; i < count; i++) {
    int fd = events[i].data.fd;
    uint32_t what = events[i].events;
    if (fd == state->libuv_fd) {
      state->libuv_ready = 1;
      continue;
    }
    struct descriptor *d = lookup(state, fd);
    if (!d || !d->registered) continue;
    if (what & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) d->hung = 1;
    if (what & (EPOLLIN | EPOLLPRI | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) d->readable = 1;
    if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) d->writable = 1;
    progress(ring, d, fd);
  }
  return 0;
}

int epoll_watch_libuv(struct ring *ring, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(ring->fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST) return -errno;
  ring->epoll->libuv_fd = fd;
  return 0;
}

int epoll_libuv_ready(struct ring *ring) {
  int ready = ring->epoll->libuv_ready;
  ring->epoll->libuv_ready = 0;
  return ready;
}

void epoll_close(struct ring *ring) {
  struct epoll_state *state = ring->epoll;
  if (ring->fd >= 0) close(ring->fd);
  ring->fd = -1;
  if (ring->words) munmap(ring->words, ring->words_bytes);
  if (ring->sqes) munmap(ring->sqes, ring->sqes_bytes);
  ring->words = NULL;
  ring->sqes = NULL;
  if (!state) return;
  for (unsigned i = 0; i < state->page_count; i++) free(state->pages[i]);
  free(state->pages);
  free(state->hot);
  free(state->overflow);
  free(state);
  ring->epoll = NULL;
}
