interface Points {
  ours: { x: number; y: number }[];
  limit: { x: number; y: number }[];
}
interface Report {
  kind: string;
  model: string;
  precision: string;
  rows: Record<string, unknown>[];
}
export function batchPoints(reports: readonly Report[], model: string): Points;
export function contextPoints(reports: readonly Report[], model: string): Points;
/** The charts by file name. */
export function charts(results?: string): Record<string, string>;
