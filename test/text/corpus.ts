/** Strings to encode: hand-picked ones and seeded random ones, the same in every run. */

const english = [
  "",
  " ",
  "a",
  "Hello, world!",
  "It's what they've said; I'm sure he'll agree, she'd too, we're done, don't.",
  "IT'S WHAT THEY'VE SAID",
  "The quick brown fox jumps over the lazy dog.",
  "  leading",
  "trailing  ",
  "two  spaces",
  "1234567890",
  "3.14159 2.71828e-10 0x1F600",
  "a1b2c3 99bottles 2nd 3rd 1,000,000",
  "CamelCase snake_case kebab-case SCREAMING_CASE",
  "e-mail: someone@example.org, https://example.org/?q=1&r=2#x",
  "naïve café résumé Zürich Ærøskøbing Łódź",
  "cafe\u0301 nai\u0308ve A\u030a \u0041\u030a\u0301",
  "“quoted” ‘single’ — dash – en … ellipsis",
  "½ ¼ ² ³ ₁ Ⅷ ① ㊿ ٣ ௧",
  "'ſ 'ſt ſ's 'S 'T 'RE 'LL 'K k K K",
  "<think>reasoning</think>",
  "<｜User｜>hi<｜Assistant｜>",
  "<|im_start|>user",
  "[INST] <<SYS>>",
];
const chinese = [
  "解释量子计算的基本原理",
  "今天天气很好，我们去公园散步吧！",
  "人工智能（AI）正在改变世界。",
  "「引用」『双引』《书名》——破折号……省略号",
  "一二三四五六七八九十百千万亿",
  "中文 English 混排 mixed 123 数字",
  "繁體中文：臺灣、香港、澳門",
  "ひらがなとカタカナと漢字",
  "日本語のテキスト、句読点。",
  "한국어 텍스트입니다. 띄어쓰기도 있습니다.",
  "𠀀𠮷𪚥 㐀㐁 龥龦 豈更",
  "Ｆｕｌｌｗｉｄｔｈ　ＡＢＣ１２３",
  "你好\n\n世界\r\n再见\t。",
];
const otherScripts = [
  "Привет, мир! Съешь ещё этих мягких французских булок.",
  "مرحبا بالعالم ١٢٣ العربية",
  "שלום עולם נִקּוּד",
  "नमस्ते दुनिया क्षत्रिय",
  "สวัสดีชาวโลก ภาษาไทย",
  "Γειά σου Κόσμε",
  "გამარჯობა",
  "ሰላም ልዑል",
  "தமிழ் மொழி",
];
const code = [
  "def f(x: int) -> int:\n    return x ** 2\n\n\nclass A:\n\tpass\n",
  "for (let i = 0; i < n; ++i) {\n  sum += a[i];\n}\n",
  '#include <stdio.h>\nint main(void){printf("%d\\n",42);return 0;}',
  "SELECT * FROM t WHERE a >= 10 AND b != 'x' -- comment",
  '{"key": [1, 2.5e3, null, true], "nested": {"a": "\\u00e9"}}',
  '<div class="a"><p>text &amp; more</p></div>',
  "x=1;y=2;;z===3!==4<=5>=6&&7||8??9",
  "/* ---- */ // ==== ## ~~~ ``` ***",
  "        deep indent\n\t\t\ttabs\n \t mixed",
  "λx.x ∀x∈ℝ: x²≥0 ⇒ √x²=|x| ∑∫∂∇",
  "a\\b\\\\c\"d'e`f",
  "!@#$%^&*()_+-=[]{};:,.<>/?|~",
  ".hidden _under $var @at #hash !bang",
];
const emoji = [
  "🙂",
  "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇨🇳",
  "text🙂text 🎉🎉🎉",
  "1️⃣2️⃣3️⃣ #️⃣ *️⃣",
  "❤️‍🔥 ☺︎ ☺️ ©️ ™",
  "👨🏿‍🚀 says 你好 🪐",
  "\u200d\u200d \ufe0f\ufe0f",
  "🧑‍🤝‍🧑🫠🫡🪿",
];
const whitespace = [
  "\n",
  "\n\n",
  "\r\n",
  "\r",
  "\t",
  " \n",
  "\n ",
  "  \n  \n  ",
  "a\n\n\nb",
  "a \n \n b",
  "a\r\n\r\nb\rc",
  "   \t\t  \t x",
  `a${" ".repeat(40)}b`,
  "\n".repeat(30),
  " ".repeat(100),
  `${"\t".repeat(17)}x`,
  "a\u00a0b\u00a0\u00a0c",
  "a\u2003b\u3000c\u1680d\u202fe\u205ff",
  "a\u2028b\u2029c",
  "a\u0085b \u0085 c",
  "\ufeffBOM in front",
  "mid\ufeffdle \ufeff x",
  "\u000b\u000c x\u000b\u000cy",
  " \u200b zero \u200b width",
];
const control = [
  "\u0000",
  "a\u0000b",
  "\u0001\u0002\u0003\u001b[31mred\u001b[0m",
  "\u007f\u0080\u009f",
  "\u0007\u0008",
  "a\u0000 \u0000b\n\u0000",
  "\u200e\u200f\u202a\u202e rtl",
  "\u{e0001}\u{e0041}",
  "\ue000\uf8ff\u{f0000}\u{10ffff}",
  "\uffff\ufffe\ufffd\ufffc",
];
const surrogates = [
  "\ud800",
  "\udc00",
  "a\ud83db",
  "\ude42\ud83d",
  "x\ud800 y\udfff\udfff!",
  "\ud83d\ud83d\ude42",
  "中\ud800文",
];
const newInUnicode17 = [
  "\u088f x",
  "a\ua7ceb \ua7cf",
  "\u{16ea0}\u{16ea1} \u{323b0}中",
  "\u{1fa8a} \u20c1 5\u{11de0}",
  "\u{10fffe}\u{323b0}\u{10fffe}a",
  "e\u1acf\u1ad0 q",
];
const long = [
  "a".repeat(3000),
  "ab".repeat(1500),
  "1".repeat(1000),
  "中".repeat(1000),
  "🙂".repeat(300),
  "=".repeat(500),
  "The cat sat. ".repeat(200),
  "x\n".repeat(500),
  " a".repeat(1000),
  `${"aaab".repeat(700)}!`,
  "\u0301".repeat(200),
];

/** xorshift32 */
export function random(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const below = (next: () => number, n: number) => Math.floor(next() * n);

function randomUnicode(next: () => number): string {
  let text = "";
  for (let n = 1 + below(next, 40); n > 0; n--) {
    let code = below(next, [0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000][below(next, 6)]);
    if (code >= 0xd800 && code < 0xe000) code = 0x20;
    text += String.fromCodePoint(code);
  }
  return text;
}

function randomMix(next: () => number, pieces: readonly string[]): string {
  let text = "";
  for (let n = 2 + below(next, 8); n > 0; n--) {
    const piece = pieces[below(next, pieces.length)];
    const start = below(next, piece.length);
    text += piece.slice(start, start + 1 + below(next, 24));
  }
  return text;
}

const picked = [
  english,
  chinese,
  otherScripts,
  code,
  emoji,
  whitespace,
  control,
  surrogates,
  newInUnicode17,
  long,
].flat();

function build(): string[] {
  const next = random(0x5eed);
  const out = [...picked];
  for (let i = 0; i < 500; i++) out.push(randomMix(next, picked.slice(1)));
  for (let i = 0; i < 500; i++) out.push(randomUnicode(next));
  for (const space of [" ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u0085", "\ufeff"])
    for (const side of ["x", "中", "1", "!", "\u0301", "🙂"])
      out.push(side + space + side, side + space + space + side + space);
  return out;
}

/** More than 1200 strings. */
export const corpus: readonly string[] = build();
