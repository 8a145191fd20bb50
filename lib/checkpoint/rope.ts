/**
 * RoPE frequencies and the factor on cos and sin, from either config layout. The arithmetic follows transformers step by
 * step: float32 tensors (every `f` below is one rounding), Python floats for scalars.
 */
import { R1Error } from "../errors";
import { Fields } from "./fields";
import { isObject } from "./json";

const f = Math.fround;

export interface Rope {
  /** "default", "linear", "llama3" or "yarn". */
  type: string;
  theta: number;
  /** Context extension, 1 for none. */
  factor: number;
  /** [headDim / 2] */
  invFreq: Float32Array;
  /** Multiplies cos and sin. */
  scale: number;
  /** Tokens the scaling was made for: factor × the original length. 0 when the type does not say. */
  scaledContext: number;
}

interface Context {
  parameters: Fields;
  theta: number;
  headDim: number;
  maxPositions: number;
  /** Length of the pretraining; a key beside the parameters wins over one among them. */
  originalPositions: number;
}

type Scaling = Pick<Rope, "factor" | "invFreq" | "scale" | "scaledContext">;

const scalings: Readonly<Record<string, (context: Context) => Scaling>> = {
  default: (c) => ({ factor: 1, invFreq: baseFrequencies(c), scale: 1, scaledContext: 0 }),
  linear,
  llama3,
  yarn,
};

/**
 * Reads `rope_parameters` or `rope_scaling` + `rope_theta`.
 *
 * @param override replaces the file's scaling; theta stays the file's unless it has one
 * @throws R1Error E_BAD_CHECKPOINT, E_UNSUPPORTED; RangeError for a bad override
 */
export function readRope(config: Fields, headDim: number, maxPositions: number, override?: Fields): Rope {
  // An old-layout key wins when a file carries both, as in transformers.
  const stored =
    config.nested("rope_scaling") ??
    config.nested("rope_parameters") ??
    new Fields({}, `${config.where}: rope_parameters`);
  const parameters = override ?? stored;
  if (Object.values(parameters.object).some(isObject))
    unsupported(`${parameters.where} has a set of parameters per layer type; one set for all layers is supported.`);
  const type = parameters.string("rope_type", parameters.string("type", "default"));
  const scaling = Object.hasOwn(scalings, type) ? scalings[type] : undefined;
  if (!scaling)
    unsupported(
      `${parameters.where}: rope_type "${type}" is not supported; supported: ${Object.keys(scalings).join(", ")}.`,
    );
  for (const fields of [parameters, stored, config])
    if (fields.number("partial_rotary_factor", 1) !== 1)
      unsupported(`${fields.where}: partial_rotary_factor other than 1 is not supported.`);
  const theta = parameters.number(
    "rope_theta",
    stored.number("rope_theta", config.number("rope_theta", 10000, 1), 1),
    1,
  );
  const key = "original_max_position_embeddings";
  const originalPositions = config.has(key) && !override ? config.integer(key) : parameters.integer(key, maxPositions);
  const scaled = scaling({ parameters, theta, headDim, maxPositions, originalPositions });
  if (!scaled.invFreq.every((v) => Number.isFinite(v) && v >= 0))
    throw new R1Error(
      "E_BAD_CHECKPOINT",
      `${parameters.where}: these parameters give frequencies that are not finite.`,
    );
  return { type, theta, ...scaled };
}

function unsupported(message: string): never {
  throw new R1Error("E_UNSUPPORTED", message);
}

/** theta^(2i / headDim) */
function wavelengths({ theta, headDim }: Context): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => f(f(theta) ** f((2 * i) / headDim)));
}

function baseFrequencies(context: Context): Float32Array {
  return wavelengths(context).map((w) => 1 / w);
}

/** Positions divided by a factor (kaiokendev's position interpolation). */
function linear(context: Context): Scaling {
  const factor = context.parameters.number("factor", undefined, 1);
  const invFreq = baseFrequencies(context).map((v) => v / f(factor));
  return { factor, invFreq, scale: 1, scaledContext: 0 };
}

/** Llama 3.1: long waves are slowed down by the factor, short ones kept, those between interpolated. */
function llama3(context: Context): Scaling {
  const { parameters, originalPositions: original } = context;
  const factor = parameters.number("factor", undefined, 1);
  const low = parameters.number("low_freq_factor", undefined, 1e-6);
  const high = parameters.number("high_freq_factor", undefined, 1e-6);
  if (high <= low) parameters.fail("high_freq_factor", `larger than low_freq_factor (${low})`);
  const invFreq = baseFrequencies(context).map((v) => {
    const wavelength = f(f(1 / v) * f(2 * Math.PI));
    if (wavelength > f(original / low)) return v / f(factor);
    if (wavelength < f(original / high)) return v;
    const smooth = f(f(f(f(1 / wavelength) * original) - f(low)) / f(high - low));
    return f(f(f(1 - smooth) * v) / f(factor)) + f(smooth * v);
  });
  return { factor, invFreq, scale: 1, scaledContext: 0 };
}

/** YaRN (Peng et al. 2023, §3.2 and §3.4): dimensions that turn often keep their speed, slow ones are interpolated. */
function yarn(context: Context): Scaling {
  const { parameters, theta, headDim, maxPositions, originalPositions: original } = context;
  const factor = parameters.number("factor", maxPositions / original, 1);
  const orDefault = (key: string, value: number) => parameters.number(key, value) || value; // 0 means the default too
  const rotationDim = (rotations: number) =>
    (headDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const truncate = parameters.boolean("truncate", true);
  const fast = rotationDim(orDefault("beta_fast", 32));
  const slow = rotationDim(orDefault("beta_slow", 1));
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  let high = Math.min(truncate ? Math.ceil(slow) : slow, headDim - 1);
  if (high === low) high += 0.001; // as transformers does, against a division by zero
  const invFreq = wavelengths(context).map((w, i) => {
    const ramp = Math.min(Math.max(f(f(i - f(low)) / f(high - low)), 0), 1);
    const kept = f(1 - ramp);
    const interpolated = f(1 / f(f(factor) * w));
    return f(interpolated * f(1 - kept)) + f(f(1 / w) * kept);
  });
  return { factor, invFreq, scale: yarnScale(parameters, factor), scaledContext: factor * original };
}

/**
 * `attention_factor` replaces the computed factor. `attn_factor`, which transformers does not read, multiplies it:
 * R1-0528-Qwen3-8B carries 0.87825 to undo the 1.13863 that its factor of 4 would give.
 */
function yarnScale(parameters: Fields, factor: number): number {
  const multiplier = parameters.number("attn_factor", 1);
  if (parameters.has("attention_factor")) return parameters.number("attention_factor");
  const magnitude = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  const m = parameters.number("mscale", 0);
  const mAll = parameters.number("mscale_all_dim", 0);
  return (m && mAll ? magnitude(m) / magnitude(mAll) : magnitude(1)) * multiplier;
}
