/**
 * The Rust library's patterns know Unicode 16 (Oniguruma 6.9.10); JavaScript's know what the running Node.js knows. What
 * later versions assigned must count as unassigned, or it would be cut into other tokens than the model was trained on.
 */

/** Assigned in Unicode 17, from DerivedAge. */
const assignedLater =
  "\\u088F\\u0C5C\\u0CDC\\u1ACF-\\u1ADD\\u1AE0-\\u1AEB\\u20C1\\u2B96\\uA7CE\\uA7CF\\uA7D2\\uA7D4\\uA7F1\\uFBC3-\\uFBD2" +
  "\\uFD90\\uFD91\\uFDC8-\\uFDCE\\u{10940}-\\u{10959}\\u{10EC5}-\\u{10EC7}\\u{10ED0}-\\u{10ED8}\\u{10EFA}\\u{10EFB}" +
  "\\u{11B60}-\\u{11B67}\\u{11DB0}-\\u{11DDB}\\u{11DE0}-\\u{11DE9}\\u{16EA0}-\\u{16EB8}\\u{16EBB}-\\u{16ED3}" +
  "\\u{16FF2}-\\u{16FF6}\\u{187F8}-\\u{187FF}\\u{18D09}-\\u{18D1E}\\u{18D80}-\\u{18DF2}\\u{1CCFA}-\\u{1CCFC}" +
  "\\u{1CEBA}-\\u{1CED0}\\u{1CEE0}-\\u{1CEF0}\\u{1E6C0}-\\u{1E6DE}\\u{1E6E0}-\\u{1E6F5}\\u{1E6FE}\\u{1E6FF}\\u{1F6D8}" +
  "\\u{1F777}-\\u{1F77A}\\u{1F8D0}-\\u{1F8D8}\\u{1FA54}-\\u{1FA57}\\u{1FA8A}\\u{1FA8E}\\u{1FAC8}\\u{1FACD}\\u{1FAEA}" +
  "\\u{1FAEF}\\u{1FBFA}\\u{2B73A}-\\u{2B73F}\\u{2CEA2}-\\u{2CEAD}\\u{323B0}-\\u{33479}";

/** A noncharacter: unassigned for good. It may itself occur in the text, and is then restored as itself. */
const standIn = "\u{10fffe}";
const later = new RegExp(`[${assignedLater}]`, "u");
const hidden = new RegExp(`[${assignedLater}${standIn}]`, "gu");

/** Text in which later characters are replaced, and a way to put them back into pieces that join to that text. */
export function hideNewCharacters(text: string): { text: string; restore: (pieces: string[]) => string[] } {
  if (!later.test(text)) return { text, restore: (pieces) => pieces };
  const characters: string[] = [];
  const replaced = text.replace(hidden, (character) => {
    characters.push(character);
    return standIn;
  });
  const restore = (pieces: string[]) => {
    let next = 0;
    return pieces.map((piece) => piece.replaceAll(standIn, () => characters[next++]));
  };
  return { text: replaced, restore };
}
