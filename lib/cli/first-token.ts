/** A process of its own that loads a model and generates one token, and tells how long that took: for `r1 bench load`. */
import type { LoadOptions } from "../load-options";
import type { ModelDetails } from "../loading";
import { DeepSeekR1 } from "../model";

/** Milliseconds. */
export interface FirstToken {
  /** From calling `DeepSeekR1.load` until the first token was there. */
  total: number;
  loadMs: ModelDetails["loadMs"];
}

export async function firstToken(options: LoadOptions): Promise<FirstToken> {
  const begin = performance.now();
  const model = await DeepSeekR1.load(options);
  try {
    const prompt = Int32Array.from({ length: 16 }, (_, i) => i);
    await model.generate(prompt, { temperature: 0, maxNewTokens: 1, ignoreEos: true });
    return { total: performance.now() - begin, loadMs: model.info.loadMs };
  } finally {
    await model.dispose();
  }
}

if (require.main === module) {
  firstToken(JSON.parse(process.argv[2])).then(
    (result) => process.stdout.write(JSON.stringify(result)),
    (error) => {
      process.stderr.write(String(error?.message ?? error));
      process.exitCode = 1;
    },
  );
}
