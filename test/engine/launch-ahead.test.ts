/** When steps are handed to a device that works on its own, and what becomes of a step that has to be thrown away. */
import { describe, expect, it } from "vitest";
import type { RecordedStep, TestEngineOptions } from "../support/test-addon";
import { prompt, Simulation } from "../support/test-engine";

const device: TestEngineOptions = { blocks: 100, asynchronous: true, record: true };
const ahead: TestEngineOptions = { ...device, launchAhead: true };

const rows = (steps: RecordedStep[], id: number) =>
  steps.flatMap(({ parts }) => parts.filter((part) => part.id === id)).reduce((sum, part) => sum + part.rows, 0);

describe("a device that works on its own", () => {
  it("has its next step before JavaScript is told of the one before", () => {
    const s = new Simulation(device);
    s.submit({ prompt: prompt(10, 0), maxNewTokens: 4 });
    s.finish();
    const [first, ...between] = s.engine.takeTrace().join(" ").split("launch");
    expect(first).toBe("");
    expect(between.map((text) => text.trim())).toEqual([
      "wait",
      "deliver wait",
      "deliver wait",
      "deliver wait deliver", // the last tokens do not wait for a step that never comes
    ]);
  });

  it("JavaScript is told at once where a step occupies the engine's thread", () => {
    const s = new Simulation({ ...device, asynchronous: false });
    s.submit({ prompt: prompt(10, 0), maxNewTokens: 3 });
    s.finish();
    expect(s.engine.takeTrace().join(" ")).not.toMatch(/wait launch/);
  });

  it("tells of a refused request, though nothing is to be computed", () => {
    const s = new Simulation({ ...ahead, contextLength: 8 });
    const run = s.submit({ prompt: prompt(10, 0), maxNewTokens: 4 });
    expect(run.end).toMatchObject({ type: "error", error: { code: "E_CONTEXT_OVERFLOW" } });
  });
});

describe("steps launched ahead", () => {
  it("keep the device at work: the next is there before the results are read", () => {
    const s = new Simulation(ahead);
    const run = s.submit({ prompt: prompt(10, 0), maxNewTokens: 20 });
    s.finish();
    expect(run.tokens).toEqual(s.expected(run));
    expect(s.steps.map((step) => step.inFlight)).toEqual([0, ...Array(19).fill(1)]);
    // What was drawn reaches JavaScript while the next step runs.
    expect(s.engine.takeTrace().join(" ")).toMatch(/^launch (launch wait deliver )+wait deliver/);
    expect(s.stats().hostMsPerStep).toBe(0);
  });

  it("never compute a token behind the longest", () => {
    const s = new Simulation(ahead);
    const runs = [1, 2, 5, 60].map((maxNewTokens, i) => s.submit({ prompt: prompt(63 + i, i), maxNewTokens }));
    s.finish();
    for (const run of runs) {
      expect(run.tokens).toEqual(s.expected(run));
      expect(rows(s.steps, run.id)).toBe(run.asked.prompt.length + run.tokens.length - 1);
    }
  });

  it("throw one row away for a sequence that meets a stop id, and no token is lost or told twice", () => {
    const s = new Simulation(ahead);
    const asked = { prompt: prompt(62, 3), maxNewTokens: 50 };
    const other = s.submit({ prompt: prompt(20, 4), maxNewTokens: 50 });
    const stop = Array.from(s.engine.expected(asked.prompt, 50, new Int32Array(), new Int32Array()))[7];
    const run = s.submit({ ...asked, stopTokens: Int32Array.of(stop) });
    s.finish();
    expect(run.end).toMatchObject({ type: "finish", reason: "stop" });
    expect(run.tokens).toEqual(s.expected(run));
    expect(rows(s.steps, run.id)).toBe(62 + run.tokens.length);
    expect(other.tokens).toEqual(s.expected(other));
  });

  it("wait for who needs the token on the host: penalties, and choices of JavaScript", () => {
    for (const asked of [
      { sample: { repetitionPenalty: 1.5 } },
      { sample: { presencePenalty: 1 } },
      { sample: { frequencyPenalty: 1 } },
      { gated: true },
    ]) {
      const s = new Simulation(ahead);
      const runs = [asked, {}].map((more, i) => s.submit({ prompt: prompt(9, i), maxNewTokens: 5, ...more }));
      s.finish();
      for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
      expect(s.steps.filter((step) => step.inFlight > 0)).toEqual([]);
    }
  });

  it("wait until stop ids are allowed", () => {
    const s = new Simulation(ahead);
    const stops = Int32Array.of(1, 2, 3);
    s.submit({ prompt: prompt(9, 1), maxNewTokens: 9, stopTokens: stops, sample: { minNewTokens: 4 } });
    s.finish();
    expect(s.steps.map((step) => step.inFlight)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1]);
  });

  it("prompts are computed between them", () => {
    const s = new Simulation({ ...ahead, stepTokens: 16 });
    const first = s.submit({ prompt: prompt(30, 0), maxNewTokens: 40 });
    for (let i = 0; i < 5; i++) s.round();
    const second = s.submit({ prompt: prompt(100, 1), maxNewTokens: 40 });
    s.finish();
    for (const run of [first, second]) expect(run.tokens).toEqual(s.expected(run));
    expect(s.steps.slice(1).every((step) => step.inFlight === 1)).toBe(true);
  });

  it("a newcomer's prompt is next behind the step in flight", () => {
    const s = new Simulation(ahead);
    const first = s.submit({ prompt: prompt(30, 0), maxNewTokens: 60 });
    for (let i = 0; i < 9; i++) s.round();
    const before = s.steps.length;
    const second = s.submit({ prompt: prompt(10, 1), maxNewTokens: 60 });
    s.finish();
    expect(s.steps[before]).toMatchObject({ numericClass: "prefill", inFlight: 1 });
    expect(s.steps[before + 1].parts.map((part) => part.id)).toEqual([first.id, second.id]);
    for (const run of [first, second]) expect(run.tokens).toEqual(s.expected(run));
  });

  it("more sequences than a step has rows take turns", () => {
    const s = new Simulation({ ...ahead, blocks: 400, maxSequences: 150 });
    const runs = Array.from({ length: 150 }, (_, i) =>
      s.submit({ prompt: prompt(5, i), maxNewTokens: 30 + (i % 7), stopTokens: Int32Array.of(i, i + 1, i + 2) }),
    );
    s.finish();
    for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
    expect(s.steps.filter((step) => step.inFlight > 0).length).toBeGreaterThan(80);
  });

  it("memory is short: nobody is preempted while a step that names him runs", () => {
    const s = new Simulation({ ...ahead, blocks: 12, hostBlocks: 30 });
    const runs = Array.from({ length: 6 }, (_, i) => s.submit({ prompt: prompt(60, i), maxNewTokens: 200 }));
    s.finish();
    for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
    expect(s.stats().preemptions).toBeGreaterThan(0);
    expect(s.steps.filter((step) => step.inFlight > 0).length).toBeGreaterThan(100);
  });
});

describe("with a step in flight", () => {
  /** Two requests, one of them about to be disturbed. */
  function running() {
    const s = new Simulation(ahead);
    const session = s.engine.createSession();
    const run = s.submit({ prompt: prompt(60, 1), maxNewTokens: 100, session });
    const other = s.submit({ prompt: prompt(20, 2), maxNewTokens: 30 });
    for (let i = 0; i < 8; i++) s.round();
    expect(s.steps.at(-1)!.inFlight).toBe(1);
    return { s, session, run, other };
  }

  it("a cancelled request gets nothing more, and its session what it was told", () => {
    const { s, session, run, other } = running();
    s.cancel(run);
    const told = run.tokens.length;
    const state = s.engine.sessionState(session);
    expect(Array.from(state.tokens)).toEqual([...run.asked.prompt, ...run.tokens]);
    expect(state.computed).toBe(60 + told - 1);
    // The session goes on at once, in blocks that the step in flight still writes to.
    const next = s.submit({ prompt: Int32Array.from([...state.tokens, 5, 6, 7]), maxNewTokens: 20, session });
    s.finish();
    expect(run.tokens.length).toBe(told);
    expect(run.end?.type).toBe("cancelled");
    expect(run.tokens).toEqual(s.expected(run).slice(0, told));
    for (const whole of [next, other]) expect(whole.tokens).toEqual(s.expected(whole));
  });

  it("freed blocks are another request's at once", () => {
    const s = new Simulation({ ...ahead, blocks: 3, prefixCache: false });
    const run = s.submit({ prompt: prompt(60, 1), maxNewTokens: 100 });
    for (let i = 0; i < 6; i++) s.round();
    s.cancel(run);
    const next = s.submit({ prompt: prompt(150, 2), maxNewTokens: 30 });
    s.finish();
    expect(next.tokens).toEqual(s.expected(next));
  });

  it("a session is forked, read and dropped", () => {
    const { s, session, run } = running();
    const fork = s.engine.forkSession(session);
    s.finish();
    const state = s.engine.sessionState(session);
    expect(Array.from(state.tokens)).toEqual([...run.asked.prompt, ...run.tokens]);
    expect(s.engine.sessionState(fork).tokens.length).toBe(0);
    expect(s.engine.readSession(session, 0, 0, state.computed).byteLength).toBeGreaterThan(0);
    s.engine.dropSession(session);
    s.engine.dropSession(fork);
    expect(s.stats().kvBlocksUsed).toBe(0);
  });

  it.each([1, 2, 3, 9])(
    "a device lost in step %i: each request ends once, with the tokens of the steps before",
    (failAt) => {
      const s = new Simulation({ ...ahead, failAt });
      const runs = [1, 2].map((i) => s.submit({ prompt: prompt(20, i), maxNewTokens: 30 }));
      expect(() => s.finish()).toThrow(/device was lost/);
      s.engine.failAll();
      s.answerGates(); // takes the events
      for (const run of runs) {
        expect(run.end).toMatchObject({ type: "error", error: { code: "E_DEVICE_LOST" } });
        expect(run.tokens).toEqual(s.expected(run).slice(0, failAt - 1));
      }
    },
  );
});
