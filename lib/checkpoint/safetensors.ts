/**
 * Headers of safetensors files (https://github.com/huggingface/safetensors#format): 8 bytes of little-endian header
 * length, a JSON object { name: { dtype, shape, data_offsets } }, then the data, which the tensors fill without a gap.
 * Everything is validated here, so that the engine can trust every offset it is given.
 */
import { R1Error } from "../errors";
import { openFile, readAt } from "./files";
import { isObject, type Json, type JsonObject, kindOf, parseJsonObject } from "./json";

export const maxHeaderBytes = 100_000_000;

/** Bits per value of every type of the format. */
const typeBits: Readonly<Record<string, number>> = {
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6, BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8 },
  ...{ F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8, I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32 },
  ...{ C64: 64, F64: 64, I64: 64, U64: 64 },
};

/** A tensor as its file's header describes it. */
export interface StoredTensor {
  name: string;
  dtype: string;
  shape: number[];
  /** Byte offset in the file. */
  offset: number;
  bytes: number;
}

function bad(file: string, message: string): R1Error {
  return new R1Error("E_BAD_CHECKPOINT", `${file}: ${message}`);
}

/** Reads and validates the header of the file at `path`. @throws R1Error E_NOT_FOUND, E_BAD_CHECKPOINT */
export async function readSafetensorsHeader(path: string): Promise<Map<string, StoredTensor>> {
  const { handle, bytes } = await openFile(path, "Download the missing weight file.");
  try {
    const start = await readAt(handle, 0, Math.min(bytes, 8));
    const length = headerLength(start, bytes, path);
    return parseHeader(await readAt(handle, 8, length), bytes, path);
  } finally {
    await handle.close();
  }
}

/** Bytes of the JSON, from the file's first 8 bytes. */
export function headerLength(start: Uint8Array, fileBytes: number, file: string): number {
  if (start.length < 8)
    throw bad(file, `truncated: expected at least 8 bytes, found ${fileBytes}. Download the file again.`);
  if (Buffer.from(start).toString("latin1") === "version ")
    throw bad(file, "this is a Git LFS pointer and not the weights. Run: git lfs pull");
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > maxHeaderBytes)
    throw bad(file, `header too long: ${length} bytes, at most ${maxHeaderBytes} are allowed. Not a safetensors file?`);
  if (Number(length) > fileBytes - 8)
    throw bad(
      file,
      `truncated: the header needs ${length} bytes and the file has ${fileBytes - 8} after its first 8. ` +
        "Download the file again.",
    );
  return Number(length);
}

/** Validates the JSON of a header in a file of `fileBytes` bytes and returns its tensors by name. */
export function parseHeader(json: Uint8Array, fileBytes: number, file: string): Map<string, StoredTensor> {
  const header = parseJsonObject(json, `${file} (header)`);
  const dataStart = 8 + json.length;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header))
    if (name !== "__metadata__") tensors.set(name, parseTensor(name, entry, dataStart, file));
  checkCoverage([...tensors.values()], dataStart, fileBytes, file);
  return tensors;
}

function parseTensor(name: string, entry: Json, dataStart: number, file: string): StoredTensor {
  if (!isObject(entry)) throw bad(file, `tensor ${name}: expected an object, found ${kindOf(entry)}.`);
  const { dtype } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(typeBits, dtype))
    throw bad(
      file,
      `tensor ${name}: unknown dtype ${kindOf(dtype)}; safetensors has ${Object.keys(typeBits).join(", ")}.`,
    );
  const shape = sizes(entry, "shape", name, file);
  const offsets = sizes(entry, "data_offsets", name, file);
  if (offsets.length !== 2 || offsets[0] > offsets[1])
    throw bad(file, `tensor ${name}: data_offsets must be [begin, end] with begin <= end, found [${offsets}].`);
  const bits = shape.reduce((product, size) => product * size, typeBits[dtype]);
  if (!Number.isSafeInteger(shape.reduce((product, size) => product * (size || 1), typeBits[dtype])))
    throw bad(file, `tensor ${name}: shape [${shape}] overflows: more than 2^53 bits of ${dtype}.`);
  const bytes = offsets[1] - offsets[0];
  if (bits !== bytes * 8)
    throw bad(
      file,
      `tensor ${name}: shape [${shape}] of ${dtype} takes ${bits / 8} bytes, but its data_offsets span ${bytes}.`,
    );
  return { name, dtype, shape, offset: dataStart + offsets[0], bytes };
}

/** A list of sizes: integers from 0 to 2^53 - 1. */
function sizes(entry: JsonObject, key: string, name: string, file: string): number[] {
  const list = entry[key];
  if (!Array.isArray(list) || list.length > 16 || !list.every((n) => Number.isSafeInteger(n) && (n as number) >= 0))
    throw bad(file, `tensor ${name}: ${key} must be a list of non-negative integers, found ${JSON.stringify(list)}.`);
  return list as number[];
}

/** The tensors must fill the data section exactly: in range, no overlap, no hole. */
function checkCoverage(tensors: StoredTensor[], dataStart: number, fileBytes: number, file: string): void {
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  let last = "the start of the data";
  const outside = tensors.find(({ offset, bytes }) => offset + bytes > fileBytes);
  if (outside)
    throw bad(
      file,
      `tensor ${outside.name}: offsets out of range: it ends at data byte ${outside.offset + outside.bytes - dataStart}, ` +
        `and the file has ${fileBytes - dataStart} data bytes. The file is truncated: download it again.`,
    );
  for (const { name, offset, bytes } of tensors) {
    const at = offset - dataStart;
    if (offset < end) throw bad(file, `tensor ${name}: its data at byte ${at} overlap those of ${last}.`);
    if (offset > end) throw bad(file, `tensor ${name}: a hole of ${offset - end} bytes before it, after ${last}.`);
    end = offset + bytes;
    last = name;
  }
  if (end < fileBytes) throw bad(file, `${fileBytes - end} bytes after ${last} belong to no tensor.`);
}
