// A child process, or worker thread, that imports the package as an ES module.
import { fileURLToPath } from "node:url";
import * as api from "r1-native";
import scenarios from "./scenarios.cjs";

try {
  await scenarios.run(api, { ...JSON.parse(process.argv[2]), entry: fileURLToPath(import.meta.url) });
} catch (error) {
  console.error(error);
  process.exit(99);
}
