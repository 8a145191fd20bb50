/** From a session to its file. */
import { basename } from "node:path";
import { checkString, outOfRange } from "../arguments";
import { modelHash } from "../checkpoint/fingerprint";
import type { EngineClient } from "../engine-client";
import type { NativeSessionState } from "../native";
import { pieceBytes, writeWhole } from "./file";
import { encodeHeader, type SessionHeader, type SessionIdentity, tokenBytes } from "./header";
import type { Conversation, SessionModel } from "./session";

/** Times that saving begins anew because keys and values had to make room meanwhile. */
const mostAttempts = 8;

/** What a session of this model has to be saved with. */
export async function identify({ checkpoint, client, info }: SessionModel): Promise<SessionIdentity> {
  const { layers, kvHeads, headDim } = checkpoint.config;
  const { kvType } = client.info;
  const model = { name: basename(info.modelPath), hash: await modelHash(checkpoint) };
  return { model, precision: info.precision, kvType, adapter: null, mask: null, layers, kvHeads, headDim };
}

export function checkPath(path: unknown): string {
  if (checkString("path", path) === "" || (path as string).includes("\0"))
    throw outOfRange("path", "the path of a file", path);
  return path as string;
}

/** @throws as `Session.save` */
export async function saveSession(
  model: SessionModel,
  id: number,
  conversation: Conversation,
  path: string,
): Promise<void> {
  checkPath(path);
  const { client } = model;
  // A fork stays as it is, whatever the session does meanwhile.
  const still = client.forkSession(id);
  try {
    const identity = await identify(model);
    for (let attempt = 1; ; attempt++) {
      const state = await client.sessionState(still);
      try {
        return await write(client, still, header(identity, state, conversation), path);
      } catch (error) {
        const shrunk = async () => (await client.sessionState(still)).computed < state.computed;
        if (client.closed || attempt === mostAttempts || !(await shrunk())) throw error;
      }
    }
  } finally {
    client.dropSession(still);
  }
}

/** What the engine has beyond the ids that the conversation goes on behind is of no use and left out. */
function header(identity: SessionIdentity, state: NativeSessionState, conversation: Conversation): SessionHeader {
  const { system = null, messages, keepReasoning, salt, held } = conversation;
  const tokens = held ?? state.tokens;
  let equal = 0;
  while (equal < tokens.length && tokens[equal] === state.tokens[equal]) equal++;
  const decoded = Array.from(state.decoded, (index) => Math.min(index, equal));
  return {
    ...identity,
    tokens: Array.from(tokens),
    decoded: decoded.filter((_, i) => decoded[i - (i % 2)] < decoded[i - (i % 2) + 1]),
    computed: Math.min(state.computed, equal),
    held: held ? held.length : null,
    messages,
    options: { system, keepReasoning, salt },
  };
}

async function write(client: EngineClient, id: number, header: SessionHeader, path: string): Promise<void> {
  const { computed, layers } = header;
  const most = Math.max(1, Math.floor(pieceBytes / tokenBytes(header)));
  await writeWhole(path, async (put) => {
    await put(encodeHeader(header));
    for (let layer = 0; layer < layers; layer++)
      for (let first = 0; first < computed; first += most) {
        const count = Math.min(most, computed - first);
        await put(new Uint8Array(await client.readSession(id, layer, first, count)));
      }
  });
}
