/*
 * Sends packets that begin with their IP header, by the interface that is named. Shared by guard.c and beacon.c.
 */
#ifndef SEND_PACKET_H
#define SEND_PACKET_H

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* -1 where there is none: a host without IPv6 has no such socket, and its packets fail one by one. */
struct raw_sockets {
  int ipv4, ipv6;
};

static inline struct raw_sockets open_raw_sockets(void) {
  int on = 1, off = 0, control = 7 /* TC_PRIO_CONTROL */;
  struct raw_sockets sockets = {
      .ipv4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW),
      .ipv6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW),
  };
  setsockopt(sockets.ipv4, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof off);
  setsockopt(sockets.ipv4, SOL_SOCKET, SO_PRIORITY, &control, sizeof control);
  setsockopt(sockets.ipv6, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof on);
  setsockopt(sockets.ipv6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof off);
  setsockopt(sockets.ipv6, SOL_SOCKET, SO_PRIORITY, &control, sizeof control);
  return sockets;
}

static inline void close_raw_sockets(struct raw_sockets sockets) {
  if (sockets.ipv4 >= 0) close(sockets.ipv4);
  if (sockets.ipv6 >= 0) close(sockets.ipv6);
}

/* 0, or the error number. `interface` 0: as routing says. */
static inline int send_packet(struct raw_sockets sockets, const uint8_t *packet, size_t length, int interface) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec piece = {(void *)packet, length};
  struct msghdr parts = {.msg_iov = &piece, .msg_iovlen = 1};
  struct sockaddr_in to4 = {.sin_family = AF_INET};
  struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
  int fd;
  if (length >= 20 && packet[0] >> 4 == 4) {
    fd = sockets.ipv4;
    memcpy(&to4.sin_addr, packet + 16, 4);
    parts.msg_name = &to4, parts.msg_namelen = sizeof to4;
    if (interface != 0) {
      struct in_pktinfo info = {.ipi_ifindex = interface};
      control.header = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
      memcpy(CMSG_DATA(&control.header), &info, sizeof info);
      parts.msg_control = &control, parts.msg_controllen = CMSG_SPACE(sizeof info);
    }
  } else if (length >= 40 && packet[0] >> 4 == 6) {
    fd = sockets.ipv6;
    memcpy(&to6.sin6_addr, packet + 24, 16);
    if (to6.sin6_addr.s6_addr[0] == 0xff || to6.sin6_addr.s6_addr[0] == 0xfe) to6.sin6_scope_id = (uint32_t)interface;
    parts.msg_name = &to6, parts.msg_namelen = sizeof to6;
    if (interface != 0) {
      struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)interface};
      control.header = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
      memcpy(CMSG_DATA(&control.header), &info, sizeof info);
      parts.msg_control = &control, parts.msg_controllen = CMSG_SPACE(sizeof info);
    }
  } else {
    return EINVAL;
  }
  return sendmsg(fd, &parts, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

#endif
