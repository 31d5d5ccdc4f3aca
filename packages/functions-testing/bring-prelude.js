// Copies the server's files into the package before it is packed.

import { copyFileSync, mkdirSync } from "node:fs";
import { files } from "./prelude.js";

mkdirSync(new URL("prelude/", import.meta.url), { recursive: true });
for (const name of files) {
  copyFileSync(new URL(`../../crates/js/src/prelude/${name}`, import.meta.url), new URL(`prelude/${name}`, import.meta.url));
}
