/** The small checkpoint in the repository, loaded. */
import { join } from "node:path";
import type { LoadOptions, DeepSeekR1 as Model } from "../../lib";
import { DeepSeekR1 } from "../../lib/model";
import type { TestDevice } from "./devices";

export const tinyFolder = join(__dirname, "../fixtures/qwen2-tiny");

/** float32, so that what is sampled does not depend on the device's types. */
export function loadTiny(device: TestDevice, options: Partial<LoadOptions> = {}): Promise<Model> {
  return DeepSeekR1.load({ modelPath: tinyFolder, device, precision: "f32", threads: 2, ...options });
}
