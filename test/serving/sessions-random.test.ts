/**
 * Sessions under random use, in a cache that holds few of them: whatever else happens (other turns, forks, files, turns
 * given up, room made for others), each turn yields what it yields in an undisturbed session with the same turns.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeepSeekR1, type LoadOptions, type Session } from "../../lib";
import { devices } from "../support/devices";
import { generator, pick } from "../support/mutate";

const modelPath = join(__dirname, "../../models/r1-nano-xs");
const steps = 60;
const asked = [
  "What is 17 * 24?",
  "and times two?",
  "Sort these numbers: 5, 3, 9, 1",
  "4827 加 596 等于多少？",
  "Why?",
];

interface Said {
  question: string;
  options: { seed: number; temperature: number; maxNewTokens: number };
}

/** A session and its turns. */
interface Talk {
  session: Session;
  turns: Said[];
}

describe.each(devices)("on %s", (device) => {
  const load = (options: Partial<LoadOptions> = {}) =>
    DeepSeekR1.load({ modelPath, device, threads: 2, contextLength: 640, ...options });
  let folder: string;
  let roomy: DeepSeekR1;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "r1-sessions-"));
    roomy = await load({ prefixCache: false });
  });
  afterAll(async () => {
    await roomy.dispose();
    rmSync(folder, { recursive: true });
  });

  it.each([
    { keepReasoning: false, prefixCache: true, seed: 1 },
    { keepReasoning: true, prefixCache: true, seed: 2 },
    { keepReasoning: true, prefixCache: false, seed: 3 },
  ])("%o", async ({ keepReasoning, prefixCache, seed }) => {
    const random = generator(seed);
    const below = (n: number) => Math.floor(random() * n);
    const small = await load({ kvMemory: 64 * 14 * roomy.info.memory.kvPerToken, prefixCache, onWarning: () => {} });
    const room = small.info.contextLength;
    let gaveWay = 0;
    small.on("pressure", ({ session }) => {
      if (session !== undefined) gaveWay++;
    });
    const undisturbed = new Map<string, number[]>();

    /** What the last of these turns yields where nothing else happens. */
    async function expected(turns: readonly Said[]): Promise<number[]> {
      const key = JSON.stringify(turns);
      if (!undisturbed.has(key)) {
        await using session = roomy.createSession({ keepReasoning });
        for (const { question, options } of turns.slice(0, -1)) await session.chat(question, options);
        const { question, options } = turns.at(-1) as Said;
        undisturbed.set(key, (await session.chat(question, options)).tokens);
      }
      return undisturbed.get(key) as number[];
    }

    const talks: Talk[] = [];
    const create = () => talks.push({ session: small.createSession({ keepReasoning }), turns: [] });
    async function turn(talk: Talk, given?: Said) {
      const maxNewTokens = pick(random, [8, 24, 60]);
      const said = given ?? {
        question: pick(random, asked),
        options: { seed: below(4), temperature: pick(random, [0, 0.9]), maxNewTokens },
      };
      const turns = [...talk.turns, said];
      const { tokens, usage } = await talk.session.chat(said.question, said.options);
      talk.turns = turns;
      expect(tokens).toEqual(await expected(turns));
      return usage.promptTokens + tokens.length;
    }
    async function restart(talk: Talk) {
      await talk.session.dispose();
      talks.splice(talks.indexOf(talk), 1);
      create();
    }

    const operations: Record<string, (talk: Talk) => Promise<unknown>> = {
      async turn(talk) {
        if ((await turn(talk)) > room / 3) await restart(talk);
      },
      async together() {
        const some = talks.filter(() => random() < 0.5);
        const long = await Promise.all(some.map((talk) => turn(talk)));
        for (const [i, talk] of some.entries()) if (long[i] > room / 3) await restart(talk);
      },
      async fork(talk) {
        if (talks.length < 6) talks.push({ session: talk.session.fork(), turns: talk.turns });
      },
      async file(talk) {
        const path = join(folder, "talk.r1session");
        await talk.session.save(path);
        await talk.session.dispose();
        talk.session = await small.restoreSession(path);
      },
      async "give up"(talk) {
        const stream = talk.session.stream(pick(random, asked), { ignoreEos: true, seed: below(9) });
        for (let n = below(6); n > 0; n--) await stream.next();
        await stream.return(undefined);
      },
      async other() {
        const { tokens } = await small.generate("word ".repeat(50 + below(80)), { ignoreEos: true, maxNewTokens: 60 });
        expect(tokens.length).toBe(60);
      },
      restart,
    };
    for (let i = 0; i < 4; i++) create();
    const names = Object.keys(operations);
    for (let step = 0; step < steps; step++) {
      const name = step % 2 === 0 ? "together" : pick(random, names);
      await operations[name](pick(random, talks));
    }
    expect(undisturbed.size).toBeGreaterThan(steps / 2);
    expect(gaveWay).toBeGreaterThan(steps / 4);
    for (const { session } of talks) await session.dispose();
    const { sessionBlocks, running, waiting } = small.stats();
    expect({ sessionBlocks, running, waiting }).toEqual({ sessionBlocks: 0, running: 0, waiting: 0 });
    await small.dispose();
  });
});
