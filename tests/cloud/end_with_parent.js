// Loaded before a server of the tests: its standard input is the parent's, and ends with it.
"use strict";
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
