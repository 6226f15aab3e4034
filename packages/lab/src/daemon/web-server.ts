/*
 * A web server that says who it is: node web-server.js ADDRESS PORT NAME. It stands alone, as the probe client does.
 */
import { createServer } from "node:http";

const [address = "", port = "80", name = ""] = process.argv.slice(2);
createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain");
  response.setHeader("X-Web", name);
  const body = `${name} ${request.url}\n`;
  response.setHeader("Content-Length", body.length);
  response.end(body);
}).listen(Number(port), address, () => process.stdout.write("ready\n"));
