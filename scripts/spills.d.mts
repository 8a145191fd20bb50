export interface KernelReport {
  kernel: string;
  arch: string;
  registers: number;
  stores: number;
  loads: number;
  serialised: string | undefined;
}
export function parseReport(text: string): KernelReport[];
export function findings(kernels: readonly (KernelReport & { file: string })[]): string[];
export function table(kernels: readonly (KernelReport & { file: string })[]): string[];
