/** Sessions on a backend that computes nothing: what is taken over, shared, given up and computed anew. */
import { describe, expect, it } from "vitest";
import { branch, prompt, type Run, Simulation } from "../support/test-engine";

const finished = (run: Run) => expect(run.end, `request ${run.id}`).toMatchObject({ type: "finish" });
const cached = (run: Run) => (run.end as { cachedTokens: number }).cachedTokens;
const joined = (...parts: ArrayLike<number>[]) => Int32Array.from(parts.flatMap((part) => Array.from(part)));
const actions = (s: Simulation) => s.pressure.map(({ action }) => action);

/** A request to its end: what it yields is what it yields alone. */
function turn(s: Simulation, session: number, tokens: Int32Array, maxNewTokens = 20, more = {}): Run {
  const run = s.submit({ prompt: tokens, maxNewTokens, session, ...more });
  s.finish();
  finished(run);
  expect(run.tokens).toEqual(s.expected(run));
  return run;
}

/** The next turn of a conversation that keeps everything: what the session holds, and `own` tokens more. */
function next(s: Simulation, session: number, own: number, maxNewTokens = 20): Run {
  const held = s.engine.sessionState(session).tokens;
  return turn(s, session, joined(held, prompt(own, 77 + own)), maxNewTokens);
}

describe("a session", () => {
  it("holds what its request computed and generated", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    expect(session).toBe(1);
    expect(s.engine.sessionState(session)).toEqual({
      tokens: new Int32Array(),
      decoded: new Int32Array(),
      computed: 0,
      open: false,
    });
    const run = turn(s, session, prompt(100, 1), 30);
    expect(s.engine.sessionState(session)).toEqual({
      tokens: joined(prompt(100, 1), run.tokens),
      decoded: Int32Array.of(100, 129), // the newest token has not been computed
      computed: 129,
      open: false,
    });
    expect(s.stats()).toMatchObject({ sessions: 1, sessionBlocks: 3, kvBlocksUsed: 3 });
  });

  it("gives the next request all it has computed", () => {
    const s = new Simulation({ blocks: 100, record: true });
    const session = s.engine.createSession();
    turn(s, session, prompt(100, 1), 30);
    const before = s.stats().promptTokens;
    s.steps.length = 0;
    const second = next(s, session, 40, 10);
    expect(cached(second)).toBe(129);
    expect(s.stats().promptTokens - before).toBe(1 + 40);
    expect(s.steps[0].parts).toEqual([{ id: second.id, first: 129, rows: 41, logits: 1 }]);
    const third = next(s, session, 1, 5);
    expect(cached(third)).toBe(129 + 41 + 9);
    expect(s.engine.sessionState(session).decoded).toEqual(Int32Array.of(100, 129, 170, 179, 181, 185));
    expect(s.stats().sessionBlocks).toBe(3);
  });

  it("is used as far as the prompt begins with its tokens, one token at least being left", () => {
    const s = new Simulation({ blocks: 200, prefixCache: false });
    const session = s.engine.createSession();
    const first = turn(s, session, prompt(200, 1), 100);
    const all = joined(prompt(200, 1), first.tokens);
    for (const [length, hit] of [
      [300, 299],
      [260, 259],
      [256, 255],
      [200, 199],
      [129, 128],
      [1, 0],
    ]) {
      const fork = s.engine.forkSession(session);
      const run = turn(s, fork, all.slice(0, length), 5);
      expect(cached(run), `${length} tokens`).toBe(hit);
      s.engine.dropSession(fork);
    }
    for (const shared of [299, 250, 64, 63, 1, 0]) {
      const fork = s.engine.forkSession(session);
      const own = joined(all.slice(0, shared), [996 - all[shared]], prompt(90, 5));
      expect(cached(turn(s, fork, own, 5)), `${shared} tokens in common`).toBe(shared);
      s.engine.dropSession(fork);
    }
    s.engine.dropSession(session);
    expect(s.stats()).toMatchObject({ kvBlocksUsed: 0, sessions: 0, sessionBlocks: 0 });
  });

  it("that drops its generated tokens shares the rest through the prefix cache", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    turn(s, session, prompt(200, 1), 50);
    const second = turn(s, session, branch(200, 1, 300, 2), 50);
    expect(cached(second)).toBe(200);
    const other = s.submit({ prompt: branch(200, 1, 300, 2), maxNewTokens: 4 });
    s.finish();
    expect(cached(other)).toBe(299);
    const elsewhere = turn(s, s.engine.createSession(), branch(200, 1, 300, 2), 4);
    expect(cached(elsewhere)).toBe(299);
  });

  it("never gives generated tokens, or what follows them, to the prefix cache", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    turn(s, session, prompt(100, 1), 100);
    const second = next(s, session, 200, 10);
    const other = s.submit({ prompt: second.asked.prompt, maxNewTokens: 4 });
    s.finish();
    expect(other.tokens).toEqual(s.expected(other));
    expect(cached(other)).toBe(100);
  });

  it("gives nothing to a request of another tenant", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    turn(s, session, prompt(200, 1), 5, { salt: "a" });
    const run = s.submit({ prompt: prompt(250, 1), maxNewTokens: 5, session, salt: "b" });
    s.finish();
    finished(run);
    expect(cached(run)).toBe(0);
  });

  it("is refused to two requests at a time, to scores, and when nobody knows it", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    const first = s.submit({ prompt: prompt(100, 1), maxNewTokens: 5, session });
    const second = s.submit({ prompt: prompt(100, 1), maxNewTokens: 5, session });
    expect(second.end).toMatchObject({
      error: { code: "E_BAD_INPUT", message: expect.stringMatching(/open request/) },
    });
    expect(s.engine.sessionState(session).open).toBe(true);
    s.finish();
    finished(first);
    const score = s.submit({ prompt: prompt(9, 1), maxNewTokens: 0, score: true, session });
    expect(score.end).toMatchObject({ error: { code: "E_INVALID_ARGUMENT" } });
    for (const id of [99, s.engine.forkSession(99)]) {
      expect(() => s.engine.sessionState(id)).toThrow(/not known/);
      const lost = s.submit({ prompt: prompt(9, 1), maxNewTokens: 1, session: id });
      expect(lost.end).toMatchObject({ error: { code: "E_BAD_INPUT" } });
    }
  });
});

describe("forks", () => {
  it("share blocks, and copy the last one when they go on", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    turn(s, session, prompt(100, 1), 30);
    const forks = [1, 2, 3].map(() => s.engine.forkSession(session));
    expect(s.stats()).toMatchObject({ sessions: 4, sessionBlocks: 3 });
    const held = s.engine.sessionState(session).tokens;
    const runs = forks.map((fork, i) =>
      s.submit({ prompt: joined(held, prompt(20, i + 5)), maxNewTokens: 30, session: fork }),
    );
    s.finish();
    for (const run of runs) {
      expect(run.tokens).toEqual(s.expected(run));
      expect(cached(run)).toBe(129);
    }
    expect(s.engine.sessionState(session).tokens).toEqual(held);
    expect(cached(next(s, session, 5))).toBe(129);
    for (const fork of [...forks, session]) s.engine.dropSession(fork);
    expect(s.stats()).toMatchObject({ kvBlocksUsed: 0, sessions: 0, sessionBlocks: 0 });
  });

  it("of a session in use have what it held before", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    turn(s, session, prompt(100, 1), 30);
    const held = s.engine.sessionState(session);
    const open = s.submit({ prompt: joined(held.tokens, prompt(300, 3)), maxNewTokens: 90, session });
    const early = s.engine.forkSession(session);
    for (let i = 0; i < 10; i++) s.round();
    const late = s.engine.forkSession(session);
    expect(s.engine.sessionState(early)).toEqual(held);
    expect(s.engine.sessionState(late)).toEqual({ ...held, computed: 128 });
    expect(cached(next(s, late, 10))).toBe(128);
    s.finish();
    expect(open.tokens).toEqual(s.expected(open));
    expect(cached(next(s, early, 10))).toBe(129);
  });

  it("of a swapped one share its host memory", () => {
    const s = new Simulation({ blocks: 100, hostBlocks: 10, sessionKvShare: 0 });
    const session = s.engine.createSession();
    turn(s, session, prompt(200, 1), 30);
    s.round();
    expect(actions(s)).toEqual(["session-swapped"]);
    const fork = s.engine.forkSession(session);
    expect(cached(next(s, session, 5))).toBe(229);
    expect(cached(next(s, fork, 6))).toBe(229);
  });
});

describe("a request that does not finish", () => {
  it("leaves what it has come to", () => {
    const s = new Simulation({ blocks: 100, prefillRows: 64 });
    const session = s.engine.createSession();
    const run = s.submit({ prompt: prompt(300, 1), maxNewTokens: 50, session });
    s.round();
    s.round();
    s.cancel(run);
    expect(run.end).toMatchObject({ type: "cancelled" });
    expect(s.engine.sessionState(session)).toMatchObject({ tokens: prompt(300, 1), computed: 128, open: false });
    const second = s.submit({ prompt: prompt(300, 1), maxNewTokens: 50, session });
    for (let i = 0; i < 13; i++) s.round();
    s.cancel(second);
    expect(cached(second)).toBe(128);
    const state = s.engine.sessionState(session);
    expect(state.tokens).toEqual(joined(prompt(300, 1), second.tokens));
    expect(state.computed).toBe(300 + second.tokens.length - 1);
    expect(cached(next(s, session, 5))).toBe(state.computed);
  });

  it("leaves the session as it was when it never ran", () => {
    const s = new Simulation({ blocks: 100, maxSequences: 1 });
    const session = s.engine.createSession();
    turn(s, session, prompt(300, 1), 50);
    const held = s.engine.sessionState(session);
    const other = s.submit({ prompt: prompt(10, 2), maxNewTokens: 500 });
    s.round();
    const late = s.submit({ prompt: prompt(90, 3), maxNewTokens: 5, session, queueTimeoutMs: 10 });
    for (let i = 0; i < 20; i++) s.round();
    expect(late.end).toMatchObject({ error: { code: "E_TIMEOUT" } });
    expect(s.engine.sessionState(session)).toEqual(held);
    const waiting = s.submit({ prompt: prompt(90, 3), maxNewTokens: 5, session });
    s.round();
    s.cancel(waiting);
    expect(s.engine.sessionState(session)).toEqual(held);
    s.cancel(other);
  });

  it("waiting for its token when it is cancelled, has that token computed as a part of the next prompt", () => {
    const s = new Simulation({ blocks: 100 });
    s.holdGates = true;
    const session = s.engine.createSession();
    const run = s.submit({ prompt: prompt(100, 1), maxNewTokens: 50, session, gated: true });
    for (let i = 0; i < 8; i++) {
      s.round();
      s.answerGates();
    }
    s.round();
    s.cancel(run);
    const state = s.engine.sessionState(session);
    expect(state.tokens).toHaveLength(108);
    expect(state).toMatchObject({ computed: 107, decoded: Int32Array.of(100, 107) });
    expect(cached(next(s, session, 5))).toBe(107);
  });

  it("goes on without a session that is dropped", () => {
    const s = new Simulation({ blocks: 100, maxSequences: 1 });
    const [first, second] = [s.engine.createSession(), s.engine.createSession()];
    turn(s, first, prompt(100, 1), 50);
    turn(s, second, prompt(100, 2), 50);
    const running = s.submit({
      prompt: joined(s.engine.sessionState(first).tokens, prompt(50, 3)),
      maxNewTokens: 50,
      session: first,
    });
    s.round();
    const waiting = s.submit({
      prompt: joined(s.engine.sessionState(second).tokens, prompt(50, 3)),
      maxNewTokens: 50,
      session: second,
    });
    s.round();
    s.engine.dropSession(first);
    s.engine.dropSession(second);
    s.finish();
    for (const run of [running, waiting]) {
      finished(run);
      expect(run.tokens).toEqual(s.expected(run));
    }
    expect(s.stats()).toMatchObject({ kvBlocksUsed: 0, sessions: 0 });
  });

  it("ends with a lost device like any other", () => {
    const s = new Simulation({ blocks: 100 });
    const session = s.engine.createSession();
    const run = s.submit({ prompt: prompt(100, 1), maxNewTokens: 50, session });
    s.round();
    s.engine.failAll();
    s.round();
    expect(run.end).toMatchObject({ error: { code: "E_DEVICE_LOST" } });
    expect(s.engine.sessionState(session).open).toBe(false);
  });
});

describe("short of blocks", () => {
  it("idle sessions pin their share of the pool and no more: the least recently used gives way", () => {
    const s = new Simulation({ blocks: 40, sessionKvShare: 0.5, hostBlocks: 100 });
    const sessions = [1, 2, 3, 4, 5, 6].map((family) => {
      const session = s.engine.createSession();
      turn(s, session, prompt(300, family), 21); // 5 blocks
      return session;
    });
    s.round();
    expect(s.stats()).toMatchObject({ sessions: 6, sessionBlocks: 20 });
    expect(s.pressure).toEqual(
      [sessions[0], sessions[1]].map((id) => ({ type: "pressure", action: "session-swapped", id, blocks: 5 })),
    );
    const prompts = s.stats().promptTokens;
    for (const session of sessions) expect(cached(next(s, session, 4, 1))).toBe(320);
    expect(s.stats().promptTokens - prompts).toBe(6 * 5);
    expect(s.stats().preemptions).toBe(0);
  });

  it("a session that is too large gives up its end where there is no host memory", () => {
    const s = new Simulation({ blocks: 40, sessionKvShare: 0.25 });
    const session = s.engine.createSession();
    turn(s, session, prompt(1000, 1), 100);
    s.round();
    expect(s.pressure).toEqual([{ type: "pressure", action: "session-dropped", id: session, blocks: 8 }]);
    expect(s.engine.sessionState(session).computed).toBe(640);
    expect(cached(next(s, session, 4))).toBeGreaterThanOrEqual(640);
  });

  it.each([0, 100])(
    "a request takes what it needs from them before it waits or is preempted, %i slots",
    (hostBlocks) => {
      const s = new Simulation({ blocks: 20, sessionKvShare: 0.9, hostBlocks });
      const sessions = [1, 2, 3].map((family) => {
        const session = s.engine.createSession();
        turn(s, session, prompt(250, family), 100); // 6 blocks
        return session;
      });
      const big = s.submit({ prompt: prompt(500, 9), maxNewTokens: 700 }); // 19 blocks in the end
      s.finish();
      finished(big);
      expect(big.tokens).toEqual(s.expected(big));
      expect(s.stats().preemptions).toBe(0);
      expect(new Set(actions(s))).toEqual(new Set([hostBlocks > 0 ? "session-swapped" : "session-dropped"]));
      for (const session of sessions) next(s, session, 30);
    },
  );

  it("takes over its own session in a pool that has room for nothing else", () => {
    const s = new Simulation({ blocks: 10, sessionKvShare: 0.9 });
    const session = s.engine.createSession();
    turn(s, session, prompt(400, 1), 150); // 9 blocks
    const fork = s.engine.forkSession(session);
    const run = next(s, session, 60, 30); // 10 blocks, the last of the 9 to be copied
    expect(cached(run)).toBeGreaterThanOrEqual(512);
    s.engine.dropSession(session);
    expect(next(s, fork, 61, 29).tokens).toHaveLength(29);
  });

  it("swapped requests go before sessions in host memory", () => {
    const s = new Simulation({ blocks: 12, hostBlocks: 12, sessionKvShare: 0.9 });
    const sessions = [1, 2].map((family) => {
      const session = s.engine.createSession();
      turn(s, session, prompt(280, family), 20);
      return session;
    });
    const runs = [3, 4, 5].map((family) => s.submit({ prompt: prompt(60, family), maxNewTokens: 400 }));
    s.finish();
    for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
    expect(actions(s)).toContain("session-swapped");
    expect(actions(s)).toContain("swapped");
    expect(actions(s)).not.toContain("recomputed");
    for (const session of sessions) next(s, session, 30);
  });

  it("computes anew what was lost, each token by its class, and so after a preemption", () => {
    const s = new Simulation({ blocks: 16, sessionKvShare: 0, record: true });
    const sessions = [1, 2, 3].map(() => s.engine.createSession());
    for (let i = 0; i < 3; i++) for (const session of sessions) next(s, session, 25 + i, 30);
    expect(actions(s)).toContain("session-dropped");
    expect(s.engine.sessionState(sessions[0]).decoded).toHaveLength(6);
    const runs = sessions.map((session, i) => {
      const held = s.engine.sessionState(session).tokens;
      return s.submit({ prompt: joined(held, prompt(30, 50 + i)), maxNewTokens: 350, session });
    });
    s.finish();
    for (const run of runs) {
      finished(run);
      expect(run.decoded).toHaveLength(6);
      expect(run.tokens).toEqual(s.expected(run));
    }
    expect(actions(s)).toContain("recomputed");
  });

  it("none is starved by sessions on a device that has less memory than the pool was made for", () => {
    const s = new Simulation({ blocks: 40, sessionKvShare: 0.9 });
    s.engine.setMemory(12);
    const session = s.engine.createSession();
    turn(s, session, prompt(500, 1), 100);
    const big = s.submit({ prompt: prompt(600, 2), maxNewTokens: 60 });
    s.finish();
    finished(big);
    expect(big.tokens).toEqual(s.expected(big));
    next(s, session, 10);
  });
});

describe("content", () => {
  const source = (s: Simulation) => {
    const session = s.engine.createSession();
    turn(s, session, prompt(150, 1), 60);
    next(s, session, 20, 40);
    return session;
  };
  const copy = (s: Simulation, from: number, to: number, pieces: number[]) => {
    const { tokens, decoded, computed } = s.engine.sessionState(from);
    s.engine.fillSession(to, tokens, decoded);
    let first = 0;
    for (let i = 0; first < computed; i++) {
      const count = Math.min(pieces[i % pieces.length], computed - first);
      s.engine.writeSession(to, 0, first, count, s.engine.readSession(from, 0, first, count));
      first += count;
    }
    s.engine.sealSession(to);
  };

  it.each([[[1000]], [[64]], [[1, 70, 63]]])(
    "read in pieces of %j and written to another one is the same",
    (pieces) => {
      const s = new Simulation({ blocks: 100 });
      const from = source(s);
      const to = s.engine.createSession();
      copy(s, from, to, pieces);
      expect(s.engine.sessionState(to)).toEqual(s.engine.sessionState(from));
      const [a, b] = [next(s, from, 33), next(s, to, 33)];
      expect(b.tokens).toEqual(a.tokens);
      expect(cached(b)).toBe(cached(a));
    },
  );

  it("is read from host memory", () => {
    const s = new Simulation({ blocks: 100, hostBlocks: 10, sessionKvShare: 0 });
    const from = source(s);
    s.round();
    expect(actions(s)).toContain("session-swapped");
    const to = s.engine.createSession();
    copy(s, from, to, [100]);
    s.round();
    expect(next(s, to, 33).tokens).toEqual(next(s, from, 33).tokens);
  });

  it("from outside is not given to others", () => {
    const s = new Simulation({ blocks: 100 });
    const other = new Simulation({ blocks: 100 });
    const from = source(s);
    const { tokens, decoded, computed } = s.engine.sessionState(from);
    const to = other.engine.createSession();
    other.engine.fillSession(to, tokens, decoded);
    other.engine.writeSession(to, 0, 0, computed, s.engine.readSession(from, 0, 0, computed));
    other.engine.sealSession(to);
    expect(cached(next(other, to, 5))).toBe(computed);
    const stranger = other.submit({ prompt: prompt(150, 1), maxNewTokens: 5 });
    other.finish();
    expect(cached(stranger)).toBe(0);
  });

  it("that requests take the room of is computed anew", () => {
    const s = new Simulation({ blocks: 20 });
    const from = source(s);
    const { tokens, decoded, computed } = s.engine.sessionState(from);
    const bytes = s.engine.readSession(from, 0, 0, computed);
    const to = s.engine.createSession();
    s.engine.fillSession(to, tokens, decoded);
    const big = s.submit({ prompt: prompt(1200, 4), maxNewTokens: 20 });
    s.finish();
    finished(big);
    s.engine.writeSession(to, 0, 0, computed, bytes);
    s.engine.sealSession(to);
    expect(s.engine.sessionState(to).computed).toBeLessThan(computed);
    next(s, to, 5);
  });

  it("is refused where it does not fit", () => {
    const s = new Simulation({ blocks: 20, contextLength: 2000 });
    const from = source(s);
    const to = s.engine.createSession();
    const { computed } = s.engine.sessionState(from);
    const { engine } = s;
    const none = new Int32Array();
    const code = (call: () => unknown) => {
      try {
        call();
      } catch (error) {
        return (error as { code?: string }).code ?? (error as Error).name;
      }
      return "";
    };
    expect(code(() => engine.readSession(from, 1, 0, 1))).toBe("E_INVALID_ARGUMENT");
    expect(code(() => engine.readSession(from, 0, 0, computed + 1))).toBe("E_INVALID_ARGUMENT");
    expect(code(() => engine.readSession(from, 0, 0, 0))).toBe("E_INVALID_ARGUMENT");
    expect(code(() => engine.readSession(from, 0, -1, 1))).toBe("RangeError");
    expect(code(() => engine.readSession(from, 0, 0.5, 1))).toBe("RangeError");
    expect(code(() => engine.readSession(99, 0, 0, 1))).toBe("E_BAD_INPUT");
    expect(code(() => engine.fillSession(from, prompt(5, 1), none))).toBe("E_BAD_INPUT");
    expect(code(() => engine.fillSession(to, Int32Array.of(997), none))).toBe("E_INVALID_ARGUMENT");
    expect(code(() => engine.fillSession(to, prompt(2001, 1), none))).toBe("E_CONTEXT_OVERFLOW");
    for (const ranges of [[1], [2, 2], [-1, 3], [5, 9, 8, 10], [90, 101]]) {
      const decoded = Int32Array.from(ranges);
      expect(
        code(() => engine.fillSession(to, prompt(100, 1), decoded)),
        `${ranges}`,
      ).toBe("E_INVALID_ARGUMENT");
    }
    const busy = s.submit({ prompt: prompt(700, 3), maxNewTokens: 50 });
    s.round();
    expect(() => engine.fillSession(to, prompt(1000, 1), none)).toThrow(
      /needs .* for 1000 tokens, and .* of .* are not/,
    );
    s.cancel(busy);
    engine.fillSession(to, prompt(100, 1), none);
    expect(s.submit({ prompt: prompt(100, 1), maxNewTokens: 1, session: to }).end).toMatchObject({
      error: { code: "E_BAD_INPUT", message: expect.stringMatching(/sealed/) },
    });
    const piece = engine.readSession(from, 0, 0, 10);
    expect(code(() => engine.writeSession(to, 0, 0, 11, piece))).toBe("E_INVALID_ARGUMENT");
    expect(code(() => engine.writeSession(to, 0, 1, 10, piece))).toBe("E_INVALID_ARGUMENT");
    expect(code(() => engine.writeSession(from, 0, 0, 10, piece))).toBe("E_BAD_INPUT");
    expect(code(() => engine.sealSession(from))).toBe("E_BAD_INPUT");
    engine.writeSession(to, 0, 0, 10, piece);
    engine.sealSession(to);
    expect(engine.sessionState(to)).toMatchObject({ computed: 10, tokens: prompt(100, 1) });
  });
});
