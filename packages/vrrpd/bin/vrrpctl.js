#!/usr/bin/env node
await import("../dist/daemon/ctl/main.js");
