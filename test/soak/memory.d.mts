export interface Sample {
  requests: number;
  heap: number;
  resident: number;
}
export interface Growth {
  from: number;
  bytes: number;
  requests: number;
  allowed: number;
  flat: boolean;
}
export function growth(
  samples: readonly Sample[],
  measure: "heap" | "resident",
  bounds: { perRequest: number; slack: number },
): Growth;
