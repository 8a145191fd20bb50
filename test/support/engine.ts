/** Requests on an engine without text: what a request generates, log-probabilities included, bit for bit. */

import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { EngineClient } from "../../lib/engine-client";
import { type LoadSpecOptions, loadSpec } from "../../lib/load-spec";
import type { NativeRequest, NativeSamplePlan } from "../../lib/native";

export async function loadEngine(folder: string, options: LoadSpecOptions): Promise<EngineClient> {
  return EngineClient.load(loadSpec(await openCheckpoint(folder), options));
}

const greedy: NativeSamplePlan = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 0,
  choice: 0,
  logprobs: 2,
  biasTokens: new Int32Array(),
  biasValues: new Float32Array(),
  allow: null,
  minNewTokens: 0,
};

type Asked = Partial<Omit<NativeRequest, "sample">> & { prompt: Int32Array; sample?: Partial<NativeSamplePlan> };

/** Greedy, with the two best log-probabilities, unless said otherwise; nothing stops it but its length. */
export function request({ sample, ...rest }: Asked): NativeRequest {
  return {
    maxNewTokens: 16,
    stopTokens: new Int32Array(),
    priority: 5,
    gated: false,
    score: false,
    queueTimeoutMs: 0,
    salt: "",
    cache: true,
    session: 0,
    ...rest,
    sample: { ...greedy, ...sample },
  };
}

/** Everything a request reports but its timings. */
export interface Outcome {
  tokens: number[];
  logprobs: number[];
  topTokens: number[];
  topLogprobs: number[];
  /** Logits that the gate handed out, of gated requests. */
  gates: Float32Array[];
  /** Of the prompt, found in the prefix cache. */
  cachedTokens: number;
}

/** Runs a request to its end. Gates are answered with `choose`. @throws what the engine reports */
export function run(
  client: EngineClient,
  asked: NativeRequest,
  choose: (logits: Float32Array, index: number) => number = () => 0,
): Promise<Outcome> {
  const outcome: Outcome = { tokens: [], logprobs: [], topTokens: [], topLogprobs: [], gates: [], cachedTokens: 0 };
  const add = (logprobs: { values: Float32Array; topTokens: Int32Array; topValues: Float32Array } | undefined) => {
    if (!logprobs) return;
    outcome.logprobs.push(...logprobs.values);
    outcome.topTokens.push(...logprobs.topTokens);
    outcome.topLogprobs.push(...logprobs.topValues);
  };
  return new Promise((resolve, reject) => {
    const id = client.submit(asked, {
      tokens(tokens, logprobs) {
        outcome.tokens.push(...tokens);
        add(logprobs);
      },
      scores: (_, logprobs) => add(logprobs),
      gate(logits, index) {
        outcome.gates.push(logits.slice());
        client.verdict(id, choose(logits, index));
      },
      end(end) {
        if (end.type === "error") return reject(end.error);
        outcome.cachedTokens = end.cachedTokens;
        resolve(outcome);
      },
    });
  });
}
