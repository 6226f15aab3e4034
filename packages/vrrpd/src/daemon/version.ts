/** `-v`: on standard error, as keepalived does it. */
export function printVersion(): void {
  process.stderr.write(
    `vrrpd v0.1.0, compatible with keepalived.conf of Keepalived v2.4.3\n\nNode.js ${process.version}\n`,
  );
}
