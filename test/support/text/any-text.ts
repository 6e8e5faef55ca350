import fc from 'fast-check';

const SURROGATES = 0x800;
const FIRST_SURROGATE = 0xd800;

/** Every code point that can be encoded, half of them of ASCII. */
const anyCharacter = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0x10_ffff - SURROGATES }))
  .map((point) => String.fromCodePoint(point < FIRST_SURROGATE ? point : point + SURROGATES));

/** Text of any characters. The `binary` unit of fast-check makes a table of them all first, for seconds. */
export function anyText(
  length: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.array(anyCharacter, length).map((characters) => characters.join(''));
}
