// A web server that says who it is: web-server.mjs ADDRESS PORT NAME
import { createServer } from "node:http";

const [address, port, name] = process.argv.slice(2);
createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain");
  response.setHeader("X-Web", name);
  response.end(`${name} ${request.url}\n`);
}).listen(Number(port), address);
