export interface Job {
  name: string;
  file: string;
  variants: string;
  alone: boolean;
  size: number;
}
export interface Family {
  family: string;
  precision: string;
}
export const alone: Record<string, string>;
export function parts(byPrecision: boolean, families: Family[]): string[];
export function familiesOf(capability: number, root: string): Family[];
export function testFiles(root: string, folder?: string): string[];
export function jobsOf(suite: { root: string; capability: number; seconds?: Record<string, number> }): Job[];
