/**
 * The turns of a session yield, bit for bit, the same whether its keys and values were kept, swapped, computed anew,
 * shared with forks, preempted or read out and written into another engine.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EngineClient, PressureEvent } from "../../lib/engine-client";
import type { LoadSpecOptions } from "../../lib/load-spec";
import { devices } from "../support/devices";
import { loadEngine, type Outcome, request, run } from "../support/engine";
import { Random } from "../support/random";
import { KV_BLOCK } from "../support/steps";

const random = new Random(41);
const tokens = (length: number) => Int32Array.from({ length }, () => random.integer(0, 511));

/** What each turn adds to what its session holds, and how many tokens it generates. */
const turns = [
  { own: tokens(100), maxNewTokens: 70 },
  { own: tokens(30), maxNewTokens: 1 },
  { own: tokens(1), maxNewTokens: 40 },
  { own: tokens(200), maxNewTokens: 20 },
];
const sample = { temperature: 0.8, topP: 0.95, seed: 3 };

async function take(client: EngineClient, session: number, turn: (typeof turns)[number]): Promise<Outcome> {
  const held = (await client.sessionState(session)).tokens;
  const prompt = Int32Array.from([...held, ...turn.own]);
  return run(client, request({ prompt, session, maxNewTokens: turn.maxNewTokens, sample }));
}

async function takeAll(client: EngineClient, session: number, from = 0): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const turn of turns.slice(from)) outcomes.push(await take(client, session, turn));
  return outcomes;
}

/** All of a session's K and V: [layer][piece]. */
async function readAll(client: EngineClient, session: number, layers: number, most: number): Promise<ArrayBuffer[][]> {
  const { computed } = await client.sessionState(session);
  const pieces: ArrayBuffer[][] = [];
  for (let layer = 0; layer < layers; layer++) {
    pieces.push([]);
    for (let first = 0; first < computed; first += most) {
      pieces[layer].push(await client.readSession(session, layer, first, Math.min(most, computed - first)));
    }
  }
  return pieces;
}

/** A new session of `to` with the content of one of `from`. */
async function copy(from: EngineClient, session: number, to: EngineClient, layers: number, most: number) {
  const { tokens, decoded, computed } = await from.sessionState(session);
  const pieces = await readAll(from, session, layers, most);
  const fresh = to.createSession();
  await to.fillSession(fresh, tokens, decoded);
  for (const [layer, ofLayer] of pieces.entries()) {
    for (const [i, piece] of ofLayer.entries()) {
      await to.writeSession(fresh, layer, i * most, Math.min(most, computed - i * most), piece);
    }
  }
  await to.sealSession(fresh);
  return { fresh, pieces };
}

const plain = (outcomes: Outcome[]) => outcomes.map((outcome) => ({ ...outcome, cachedTokens: 0 }));
const bytes = (pieces: ArrayBuffer[][]) => Buffer.concat(pieces.flat().map((piece) => Buffer.from(piece)));
const expectBytes = (found: ArrayBuffer[][], wanted: ArrayBuffer[][]) =>
  expect(Buffer.compare(bytes(found), bytes(wanted)), "all K and V").toBe(0);

const folder = (name: string) => join(__dirname, "../fixtures", name);
const layersOf = (name: string): number =>
  JSON.parse(readFileSync(join(folder(name), "config.json"), "utf8")).num_hidden_layers;

const cases = ["qwen2-tiny", "qwen3-tiny"].flatMap((name) =>
  devices.flatMap((device) => (["f32", "bf16"] as const).map((precision) => ({ name, device, precision }))),
);

describe.each(cases)("$name on $device at $precision", ({ name, device, precision }) => {
  const layers = layersOf(name);
  const load = (options: Partial<LoadSpecOptions> = {}) =>
    loadEngine(folder(name), { device, precision, contextLength: 1024, ...options });
  const blocks = (count: number) => count * KV_BLOCK * client.info.kvBytesPerToken;
  let client: EngineClient;
  let expected: Outcome[];

  beforeAll(async () => {
    client = await load();
    expected = await takeAll(client, client.createSession());
  });
  afterAll(() => client?.dispose());

  async function elsewhere(options: Partial<LoadSpecOptions>): Promise<PressureEvent["action"][]> {
    const other = await load(options);
    const seen: PressureEvent["action"][] = [];
    other.onPressure = ({ action }) => seen.push(action);
    expect(plain(await takeAll(other, other.createSession()))).toEqual(plain(expected));
    await other.dispose();
    return seen;
  }

  it("kept", async () => {
    expect(expected.map(({ tokens }) => tokens.length)).toEqual(turns.map(({ maxNewTokens }) => maxNewTokens));
    expect(expected.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 169, 200, 241]);
    expect(client.info.kvType).toBe(precision);
    await elsewhere({ prefixCache: false });
    await elsewhere({ prefillRows: 37, stepTokens: 20 });
  });

  it("computed anew every turn", async () => {
    expect(new Set(await elsewhere({ sessionKvShare: 0, hostKvMemory: 0 }))).toEqual(new Set(["session-dropped"]));
    await elsewhere({ sessionKvShare: 0, hostKvMemory: 0, prefillRows: 37, prefixCache: false });
  });

  it.runIf(device === "cuda")("swapped to host memory and back every turn", async () => {
    const seen = await elsewhere({ sessionKvShare: 0, hostKvMemory: 2 ** 26 });
    expect(seen.filter((action) => action === "session-swapped")).toHaveLength(turns.length);
    expect(seen.filter((action) => action === "restored")).toHaveLength(turns.length - 1);
  });

  it("forked, the forks going on together", async () => {
    const session = client.createSession();
    await take(client, session, turns[0]);
    const forks = Array.from({ length: 4 }, () => client.forkSession(session));
    const outcomes = await Promise.all([session, ...forks].map((id) => takeAll(client, id, 1)));
    for (const outcome of outcomes) expect(plain(outcome)).toEqual(plain(expected.slice(1)));
    const late = client.forkSession(session);
    const other = await take(client, late, turns[1]);
    expect(plain([await take(client, client.forkSession(forks[0]), turns[1])])).toEqual(plain([other]));
    for (const id of [session, late, ...forks]) client.dropSession(id);
  });

  it.each([0, 2 ** 26])(
    "beside others that take its blocks and preempt it, %i bytes of host memory",
    async (hostKvMemory) => {
      const other = await load({ kvMemory: blocks(10), hostKvMemory: device === "cuda" ? hostKvMemory : 0 });
      const seen = new Set<string>();
      other.onPressure = ({ action }) => seen.add(action);
      const [first, second] = [other.createSession(), other.createSession()];
      const asked = Array.from({ length: 6 }, (_, i) => request({ prompt: tokens(50 + i), maxNewTokens: 190 }));
      const noise = asked.map((one) => run(other, one));
      const sessions = await Promise.all([takeAll(other, first), takeAll(other, second)]);
      for (const outcomes of sessions) expect(plain(outcomes)).toEqual(plain(expected));
      for (const [i, outcome] of (await Promise.all(noise)).entries()) {
        expect(plain([outcome])).toEqual(plain([await run(client, asked[i])]));
      }
      expect(
        [...seen].some((action) => action.startsWith("session-")),
        [...seen].join(),
      ).toBe(true);
      await other.dispose();
    },
  );

  it.each([1000, 64, 37])("read out and written into another engine, %i tokens at a time", async (most) => {
    const other = await load();
    const session = client.createSession();
    for (const turn of turns.slice(0, 3)) await take(client, session, turn);
    const { fresh, pieces } = await copy(client, session, other, layers, most);
    expect(await other.sessionState(fresh)).toEqual(await client.sessionState(session));
    expectBytes(await readAll(other, fresh, layers, most), pieces);
    const next = await take(other, fresh, turns[3]);
    expect(next.cachedTokens).toBe(241);
    expect(plain([next])).toEqual(plain(expected.slice(3)));
    const { computed } = await client.sessionState(session);
    expect(bytes(pieces).length).toBe(computed * client.info.kvBytesPerToken);
    client.dropSession(session);
    await other.dispose();
  });

  it("read out of host memory, and of what was given up only as far as it is there", async () => {
    const session = client.createSession();
    await take(client, session, turns[0]);
    const kept = await readAll(client, session, layers, 64);
    const other = await load({ sessionKvShare: 0, hostKvMemory: 2 ** 26 });
    const same = other.createSession();
    await take(other, same, turns[0]);
    if (device === "cuda") {
      expectBytes(await readAll(other, same, layers, 64), kept);
    } else {
      expect((await other.sessionState(same)).computed).toBe(0);
      await expect(other.readSession(same, 0, 0, 1)).rejects.toMatchObject({ code: "E_INVALID_ARGUMENT" });
    }
    client.dropSession(session);
    await other.dispose();
  });
});
