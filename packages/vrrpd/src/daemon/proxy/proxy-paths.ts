/** Where the files of one proxy are: `/run/vrrpd/proxy-web.line` and its like. */
export interface ProxyPaths {
  /** Unix stream socket: the line between vrrpd and lbproxy. */
  readonly line: string;
  /** Unix stream socket that gives the listening sockets that vrrpd holds (`-x`). */
  readonly held: string;
  /** Unix datagram socket: `NOTIFY_SOCKET` of another program. */
  readonly notify: string;
  /** FIFO: its standard output and error. */
  readonly output: string;
}

/** @param stem As `ControlPaths.proxies`. */
export function proxyPaths(stem: string, name: string): ProxyPaths {
  const path = `${stem}${name}`;
  return {
    line: `${path}.line`,
    held: `${path}.held`,
    notify: `${path}.notify`,
    output: `${path}.output`,
  };
}
