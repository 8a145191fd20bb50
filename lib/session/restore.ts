/** From a session's file to a session. */
import { R1Error } from "../errors";
import { CheckedReader, pieceBytes } from "./file";
import {
  checksumBytes,
  damaged,
  decodeHeader,
  decodePrefix,
  mismatch,
  prefixBytes,
  type SessionHeader,
  tokenBytes,
  version,
} from "./header";
import { checkPath, identify } from "./save";
import { Session, type SessionModel } from "./session";

/** @throws as `DeepSeekR1.restoreSession` */
export async function restoreSession(model: SessionModel, path: string): Promise<Session> {
  checkPath(path);
  model.requests.throwIfClosed();
  const file = await CheckedReader.open(path);
  try {
    const header = await readHeader(file, model);
    const { tokens, held, messages, options } = header;
    const id = model.client.createSession();
    try {
      await fill(model, id, header, file);
    } catch (error) {
      model.client.dropSession(id);
      throw error;
    }
    const { system, keepReasoning, salt } = options;
    return new Session(model, id, {
      ...(system === null ? {} : { system }),
      messages,
      keepReasoning,
      salt,
      ...(held === null ? {} : { held: Int32Array.from(tokens.slice(0, held)) }),
    });
  } finally {
    await file.close();
  }
}

/** The header, once it has been found to be of this model, and the file to be as long as it says. */
async function readHeader(file: CheckedReader, model: SessionModel): Promise<SessionHeader> {
  const { path, bytes } = file;
  const prefix = decodePrefix(await file.next(Math.min(prefixBytes, bytes)), bytes, path);
  // What cannot be used may as well be what was damaged: the checksum tells.
  const refuse = async (error: R1Error) => {
    await file.verify();
    throw error;
  };
  if (prefix.version !== version)
    await refuse(
      new R1Error(
        "E_SESSION_MISMATCH",
        `${path} has version ${prefix.version} of the session format, and this r1-native reads version ${version}. ` +
          "Restore it with the r1-native that saved it.",
      ),
    );
  const header = decodeHeader(await file.next(prefix.header), path);
  const other = mismatch(header, await identify(model));
  if (other) await refuse(new R1Error("E_SESSION_MISMATCH", `${path} was saved with ${other}.`));
  const { tokens, computed, layers } = header;
  const expected = prefixBytes + prefix.header + layers * computed * tokenBytes(header) + checksumBytes;
  if (bytes !== expected) throw damaged(path, `it has ${bytes} bytes, and its header asks for ${expected}`);
  const { vocabulary, contextLength } = model.info;
  if (tokens.some((id) => id >= vocabulary)) throw damaged(path, `it has token ids that are not below ${vocabulary}`);
  if (tokens.length > contextLength)
    await refuse(
      new R1Error(
        "E_CONTEXT_OVERFLOW",
        `${path} holds a session of ${tokens.length} tokens, and the context holds ${contextLength}. ` +
          "Load the model with a larger contextLength or kvMemory.",
      ),
    );
  return header;
}

/**
 * The engine can use what it is given only once the checksum has been found right. Tokens from `computed` on had lost
 * their keys and values: they are computed again on the next turn.
 */
async function fill({ client }: SessionModel, id: number, header: SessionHeader, file: CheckedReader): Promise<void> {
  const { tokens, decoded, computed, layers } = header;
  if (tokens.length === 0) return file.verify();
  const perToken = tokenBytes(header);
  const most = Math.max(1, Math.floor(pieceBytes / perToken));
  await client.fillSession(id, Int32Array.from(tokens), Int32Array.from(decoded));
  for (let layer = 0; layer < layers; layer++)
    for (let first = 0; first < computed; first += most) {
      const count = Math.min(most, computed - first);
      const piece = await file.next(count * perToken);
      await client.writeSession(id, layer, first, count, piece.buffer as ArrayBuffer);
    }
  await file.verify();
  await client.sealSession(id);
}
