/** K and V token by token, out of the blocks of a KV cache and into them: what sessions are saved and restored by. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../support/backends";
import { KvCache } from "../support/kv-cache";
import { Random } from "../support/random";
import { KV_BLOCK } from "../support/steps";
import { type TestBackend, testAddon } from "../support/test-addon";

const LAYERS = 3;
const shape = { heads: 4, kvHeads: 2, headDim: 64 };
const width = shape.kvHeads * shape.headDim;
const blocks = Int32Array.of(4, 0, 3);
const TOKENS = blocks.length * KV_BLOCK;
const spans = [
  [0, 1],
  [0, TOKENS],
  [63, 2],
  [64, 64],
  [70, 10],
  [100, 90],
  [TOKENS - 1, 1],
];

// They do not depend on the kernels.
describe.each(variants().filter(({ chosen }) => chosen))(
  "tokens of the KV cache on $label",
  ({ options, precision }) => {
    const bytesPerToken = 2 * width * (precision === "f32" ? 4 : 2);
    let backend: TestBackend;
    let cache: KvCache;

    beforeAll(() => {
      backend = new (testAddon().TestBackend)(options);
      cache = new KvCache(backend, shape, 5, LAYERS);
      const random = new Random(5);
      const rows = () =>
        Array.from({ length: TOKENS }, () => Float32Array.from({ length: width }, () => random.next()));
      for (let layer = 0; layer < LAYERS; layer++)
        cache.fill(layer, blocks, { keys: rows(), values: rows() }, precision);
    });
    afterAll(() => {
      cache.free();
      backend.dispose();
    });

    /** The tokens of a layer as they lie in its blocks, one buffer each: K, then V, as float32. */
    const dump = (layer: number): Buffer[] => {
      const values = cache.read(layer, "v", blocks);
      return cache
        .read(layer, "k", blocks)
        .map((key, slot) => Buffer.concat([Buffer.from(key.buffer), Buffer.from(values[slot].buffer)]));
    };
    const expectEqual = (found: Buffer[], wanted: Buffer[], what: string) =>
      expect(Buffer.compare(Buffer.concat(found), Buffer.concat(wanted)), what).toBe(0);

    it.each(spans)("%i and the %i from it on are read, and written elsewhere, and nothing else is", (first, count) => {
      const before = [0, 1, 2].map(dump);
      const bytes = backend.readTokens(cache.pool, 0, blocks, first, count);
      expect(bytes.length).toBe(count * bytesPerToken);
      const wanted = before[0].slice(first, first + count);
      if (precision === "f32") expectEqual([Buffer.from(bytes)], wanted, "what is read");
      const at = TOKENS - first - count;
      backend.writeTokens(cache.pool, 1, blocks, at, count, bytes);
      const expected = [...before[1]];
      expected.splice(at, count, ...wanted);
      expectEqual(dump(0), before[0], "the layer that is read");
      expectEqual(dump(1), expected, "the layer that is written");
      expectEqual(dump(2), before[2], "the layer behind it");
    });
  },
);
