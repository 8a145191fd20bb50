/** A tokenizer.json as large as a real model's, so that reading it takes as long. */

/** As R1-Distill-Qwen has: 256 bytes and 151 387 merges. */
const realTokens = 151_643;

/** A byte-level BPE of as many tokens as a Qwen vocabulary has, fewer where `vocab` is smaller; the text means nothing. */
export function syntheticTokenizer(vocab: number): object {
  const bytes = byteCharacters();
  const tokens = [...bytes];
  const merges: string[] = [];
  const most = Math.max(bytes.length, Math.min(realTokens, vocab));
  // Pairs of characters, then triples: no two are the same text.
  for (let left = 0; tokens.length < most; left++)
    for (let right = 0; right < bytes.length && tokens.length < most; right++) {
      merges.push(`${tokens[left]} ${bytes[right]}`);
      tokens.push(tokens[left] + bytes[right]);
    }
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  };
}

/** The characters that stand for bytes: printable ones for themselves, the others from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
