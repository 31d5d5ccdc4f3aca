// `child_process`: there are no processes to start.

require("_inert").fill(exports, "child_process",
  ["ChildProcess", "_forkChild", "exec", "execFile", "execFileSync", "execSync", "fork", "spawn", "spawnSync"]);
