import { describe, expect, it } from "vitest";
import { testAddon } from "../support/test-addon";

const { chooseFamily } = testAddon();

/** The code of the error that choosing throws. */
function refusal(computeCapability: number, precision: "f32" | "bf16" | "fp16", forced: string): string {
  try {
    return `chose ${chooseFamily(computeCapability, precision, forced)}`;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("the kernel family of a card", () => {
  it.each([
    [75, "fp16", "sm75"],
    [80, "bf16", "sm80"],
    [86, "bf16", "sm80"],
    [87, "fp16", "sm80"],
    [89, "bf16", "sm80"],
    [90, "bf16", "sm90"],
    // Cards to come run the generic paths by JIT: wgmma exists on sm_90a alone.
    [100, "bf16", "sm80"],
    [120, "bf16", "sm80"],
    [75, "f32", "simt"],
    [90, "f32", "simt"],
  ] as const)("compute capability %i at %s: %s", (computeCapability, precision, family) => {
    expect(chooseFamily(computeCapability, precision, "")).toBe(family);
  });

  it("can be forced to an older one", () => {
    expect(chooseFamily(90, "bf16", "sm80")).toBe("sm80");
    expect(chooseFamily(90, "fp16", "sm75")).toBe("sm75");
    expect(chooseFamily(80, "bf16", "simt")).toBe("simt");
  });

  it("refuses what a card cannot run", () => {
    expect(refusal(70, "fp16", "")).toBe("E_DEVICE_UNAVAILABLE");
    expect(refusal(75, "bf16", "")).toBe("E_UNSUPPORTED");
    expect(refusal(80, "bf16", "sm90")).toBe("E_UNSUPPORTED");
    expect(refusal(75, "fp16", "sm80")).toBe("E_UNSUPPORTED");
    expect(refusal(90, "bf16", "sm100")).toBe("E_UNSUPPORTED");
  });
});
