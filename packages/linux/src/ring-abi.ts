/** What a completion is about: the `op` of `RingOwner.complete`. */
export const OP_ACCEPT = 1;
export const OP_RECEIVE = 2;
export const OP_SEND = 3;
export const OP_CONNECT = 4;
export const OP_CLOSE = 6;
export const OP_CANCEL = 7;
export const OP_POLL = 8;
/** As OP_RECEIVE, of a receive from the group of large buffers. */
export const OP_RECEIVE_LARGE = 9;

/** Groups of provided buffers. */
export const GROUP_SMALL = 0;
export const GROUP_LARGE = 1;

/** Error numbers that the data plane meets, negated as completions carry them. errno(3). */
export const EAGAIN = -11;
export const EMFILE = -24;
export const ENFILE = -23;
export const ENOBUFS = -105;
export const ECANCELED = -125;
export const ECONNRESET = -104;
export const ECONNREFUSED = -111;
export const ETIMEDOUT = -110;
export const EPIPE = -32;
export const EPROTO = -71;
export const ENOENT = -2;

/** Bytes of a message header (`struct msghdr`) and of each of its parts (`struct iovec`). */
export const MESSAGE_BYTES = 56;
export const PART_BYTES = 16;

/** Flags of `Ring.send`. send(2) */
export const MSG_MORE = 0x8000;

/** What the kernel's header `linux/io_uring.h` calls these; the epoll executor takes the same. */
export const IORING_OP_POLL_ADD = 6;
export const IORING_OP_SENDMSG = 9;
export const IORING_OP_ACCEPT = 13;
export const IORING_OP_ASYNC_CANCEL = 14;
export const IORING_OP_CONNECT = 16;
export const IORING_OP_CLOSE = 19;
export const IORING_OP_SEND = 26;
export const IORING_OP_RECV = 27;
export const IORING_ACCEPT_MULTISHOT = 1;
export const IORING_RECV_MULTISHOT = 2;
export const IOSQE_IO_LINK = 1 << 2;
export const IOSQE_BUFFER_SELECT = 1 << 5;
export const CQE_BUFFER = 1;
export const CQE_MORE = 2;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;

/** Doubles that the door and the ring share: see `native/ring.c`. */
export const CLOCK_NOW = 0;
export const CLOCK_WALL = 1;
export const CLOCK_DEADLINE = 2;
export const CLOCK_SLEPT = 3;
export const CLOCK_STEPS = 4;
export const CLOCK_PASSES = 5;
