/** A fake engine that keeps sessions: what a request has said becomes its session's, keys and values are made up. */
import { join } from "node:path";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { EngineClient } from "../../lib/engine-client";
import type { ModelDetails } from "../../lib/loading";
import type { NativeBinding, NativeFailure, NativeLoadSpec, NativeSessionState } from "../../lib/native";
import { Requests } from "../../lib/requests";
import { Serving } from "../../lib/serving/serving";
import { checkSessionOptions, type SessionOptions } from "../../lib/session/options";
import { Session, type SessionModel } from "../../lib/session/session";
import { ChatTemplate } from "../../lib/text/chat-template";
import { Tokenizer } from "../../lib/text/tokenizer";
import { FakeEngine, fakeBinding, info } from "./fake-engine";

interface Held {
  tokens: number[];
  decoded: number[];
  computed: number;
  /** Written ones, by layer; made up where there are none. */
  written?: Map<number, Uint8Array>;
  /** Tokens written so far, by layer. */
  filled: Map<number, number>;
  sealed: boolean;
}

export const layers = 2;
export const perToken = 2 * 2 * 16 * 4;

/** Bytes of one token in one layer: a function of both and of its place. */
export function kv(layer: number, token: number, index: number): Uint8Array {
  return Uint8Array.from({ length: perToken }, (_, i) => (layer * 101 + token * 7 + index * 13 + i) & 255);
}

const failure = (code: NativeFailure["code"], message: string) => Object.assign(new Error(message), { code });

export class SessionEngine extends FakeEngine {
  readonly held = new Map<number, Held>();
  /** Calls, by name. */
  readonly calls: string[] = [];
  /** Runs before each readSession. */
  onRead: (first: number) => void = () => {};
  /** What each of the promises is to reject with, by name. */
  readonly refusals = new Map<string, NativeFailure>();
  readonly #sampled = new Map<number, number[]>();

  override tokens(id: number, ...tokens: number[]): void {
    this.#sampled.set(id, [...(this.#sampled.get(id) ?? []), ...tokens]);
    super.tokens(id, ...tokens);
  }

  override finish(id: number, reason: "stop" | "length" = "length"): void {
    this.#keep(id);
    super.finish(id, reason);
  }

  /** The engine's answer to a cancel. */
  retire(id: number): void {
    this.#keep(id);
    this.emit({ type: "cancelled", id, cachedTokens: 0, timings: { queue: 0, prefill: 0, decode: 0 } });
  }

  #keep(id: number): void {
    const { session, prompt } = this.requests.get(id)!;
    if (!this.held.has(session)) return;
    const tokens = [...prompt, ...(this.#sampled.get(id) ?? [])];
    const computed = tokens.length - 1;
    const decoded = computed > prompt.length ? [prompt.length, computed] : [];
    this.held.set(session, { tokens, computed, decoded, filled: new Map(), sealed: true });
  }

  override createSession(): number {
    const id = super.createSession();
    this.held.set(id, { tokens: [], decoded: [], computed: 0, filled: new Map(), sealed: true });
    return id;
  }

  override forkSession(from = 0): number {
    const id = super.createSession();
    this.calls.push(`fork ${from}`);
    const held = this.held.get(from);
    if (held) this.held.set(id, { ...held });
    return id;
  }

  override dropSession(id: number): void {
    super.dropSession(id);
    this.held.delete(id);
  }

  override async sessionState(id = 0): Promise<NativeSessionState> {
    const { tokens, decoded, computed } = this.#called("sessionState", id);
    return { tokens: Int32Array.from(tokens), decoded: Int32Array.from(decoded), computed, open: false };
  }

  override async readSession(id = 0, layer = 0, first = 0, count = 0): Promise<ArrayBuffer> {
    this.onRead(first);
    const { tokens, computed, written } = this.#called("readSession", id);
    if (first + count > computed) throw failure("E_INVALID_ARGUMENT", "beyond computed");
    const bytes = new Uint8Array(count * perToken);
    for (let i = 0; i < count; i++) {
      const at = (first + i) * perToken;
      const own = written?.get(layer)?.subarray(at, at + perToken);
      bytes.set(own ?? kv(layer, tokens[first + i], first + i), i * perToken);
    }
    return bytes.buffer as ArrayBuffer;
  }

  override async fillSession(id = 0, tokens?: Int32Array, decoded?: Int32Array): Promise<void> {
    const held = this.#called("fillSession", id);
    held.tokens = [...tokens!];
    held.decoded = [...decoded!];
    held.sealed = false;
    held.written = new Map(
      Array.from({ length: layers }, (_, layer) => [layer, new Uint8Array(held.tokens.length * perToken)]),
    );
  }

  override async writeSession(id = 0, layer = 0, first = 0, count = 0, data?: ArrayBuffer): Promise<void> {
    const held = this.#called("writeSession", id);
    if (data!.byteLength !== count * perToken) throw failure("E_INVALID_ARGUMENT", "wrong size");
    if (first !== (held.filled.get(layer) ?? 0)) throw failure("E_INVALID_ARGUMENT", "out of order");
    held.filled.set(layer, first + count);
    held.written!.get(layer)!.set(new Uint8Array(data!), first * perToken);
  }

  override async sealSession(id = 0): Promise<void> {
    const held = this.#called("sealSession", id);
    held.sealed = true;
    held.computed = Math.min(...Array.from({ length: layers }, (_, layer) => held.filled.get(layer) ?? 0));
  }

  #called(name: string, id: number): Held {
    this.calls.push(name);
    const refusal = this.refusals.get(name);
    if (refusal) throw failure(refusal.code, refusal.message);
    const held = this.held.get(id);
    if (!held) throw failure("E_BAD_INPUT", `no session ${id}`);
    return held;
  }
}

export const folder = join(__dirname, "../fixtures/qwen2-tiny");

/** A model on a fake engine: the tokenizer and template of a folder, and the sizes of {@link kv}. */
export async function fakeModel(changes: { precision?: ModelDetails["precision"]; contextLength?: number } = {}) {
  const engines: SessionEngine[] = [];
  const native: NativeBinding = {
    ...fakeBinding().native,
    createEngine(_spec, wake) {
      engines.push(new SessionEngine(wake));
      return engines.at(-1)!;
    },
  };
  const loading = EngineClient.load({} as NativeLoadSpec, { native });
  const [engine] = engines;
  engine.emit({ type: "ready", info });
  const client = await loading;
  const tokenizer = await Tokenizer.load(folder);
  const opened = await openCheckpoint(folder);
  const checkpoint = { ...opened, config: { ...opened.config, layers, kvHeads: 2, headDim: 16 } };
  const parts = {
    client,
    tokenizer,
    template: new ChatTemplate(tokenizer),
    checkpoint,
    info: { contextLength: 500, vocabulary: 512, precision: "f32", modelPath: folder, ...changes } as ModelDetails,
    serving: new Serving(client, {}, []),
  };
  const model: SessionModel = { ...parts, requests: new Requests(parts) };
  const create = (options?: SessionOptions) => new Session(model, client.createSession(), checkSessionOptions(options));
  const ids = (text: string) => tokenizer.encode(text, { parseSpecial: true, addSpecialTokens: false });
  return { model, engine, create, ids };
}
