/** All that stands around a loaded model's engine while it serves: result cache, measurements, events. */
import type { EngineClient, RequestPort } from "../engine-client";
import type { Warning } from "../load-options";
import { binding, type NativeGpuStatus, type NativeRequest } from "../native";
import { EventHub, tell } from "./events";
import { LatencyWatch } from "./latency";
import { type Look, Monitor } from "./monitor";
import { checkMonitor, type Limits, type ResultCacheOptions } from "./options";
import type { StopContext } from "./request-key";
import { ResultCache } from "./result-cache";
import { type ModelStats, measurements, modelStats, type StatsSources } from "./stats";

export interface ServingOptions {
  /** The index of the GPU that the model is on; absent on the CPU. */
  gpu?: number;
  resultCache?: Required<ResultCacheOptions>;
  monitor?: Limits;
  onWarning?: (warning: Warning) => void;
  /** Reads the state of a GPU; the driver's management library unless a test has its own. */
  gpuStatus?: (index: number) => NativeGpuStatus | null;
}

export class Serving {
  readonly events: EventHub;
  /** Where requests go that are answered by the engine whatever was asked before. */
  readonly engine: RequestPort;
  readonly #client: EngineClient;
  readonly #options: ServingOptions;
  readonly #latency: LatencyWatch;
  readonly #cache: ResultCache | undefined;
  readonly #limits: Limits;
  readonly #loadedAt = performance.now();

  /** @param warnings those raised while loading */
  constructor(client: EngineClient, options: ServingOptions, warnings: Warning[]) {
    this.#client = client;
    this.#options = options;
    this.#latency = new LatencyWatch(client);
    this.engine = this.#latency;
    this.#cache = options.resultCache && new ResultCache(this.#latency, options.resultCache);
    this.#limits = options.monitor ?? checkMonitor({}, "monitor");
    const monitor = new Monitor(
      () => this.#look(),
      this.#limits,
      (change) => this.events.emit("threshold", change),
    );
    this.events = new EventHub(warnings, (wanted) => (wanted ? monitor.start() : monitor.stop()));
    client.onPressure = ({ action, blocks, id }) => {
      const bytes = blocks * (client.stats().blockBytes ?? 0);
      const session = action === "session-swapped" || action === "session-dropped" ? { session: id } : {};
      this.events.emit("pressure", { action, blocks, bytes, ...session });
    };
  }

  /**
   * Where a request goes: to the result cache if there is one, and the same request would yield the same again.
   *
   * @param seeded the caller has chosen the seed
   */
  port(request: Omit<NativeRequest, "prompt" | "maxNewTokens">, seeded: boolean, context: StopContext): RequestPort {
    const repeatable = request.sample.temperature === 0 || seeded;
    const plain = !request.gated && !request.score && request.session === 0;
    return this.#cache && request.cache && repeatable && plain ? this.#cache.port(context) : this.engine;
  }

  /** Tells listeners, and the caller of `load`. */
  warn(warning: Warning): void {
    this.events.emit("warning", warning);
    if (this.#options.onWarning) tell(this.#options.onWarning, warning);
  }

  stats(): ModelStats {
    return modelStats(this.#client.closed?.code === "E_DISPOSED" ? undefined : this.#sources());
  }

  /** Once the engine is gone. */
  dispose(): void {
    this.#cache?.clear();
    this.events.dispose();
  }

  #sources(): StatsSources {
    const { gpu: index, gpuStatus = readGpu } = this.#options;
    return {
      native: this.#client.stats(),
      gpu: index === undefined ? null : gpuStatus(index),
      firstTokens: this.#latency.recent(),
      resultCache: this.#cache?.stats() ?? null,
      loadedAt: this.#loadedAt,
      cuda: index !== undefined,
      limits: this.#limits,
    };
  }

  #look(): Look {
    const sources = this.#sources();
    const { running, waiting } = sources.native;
    return { values: measurements(sources), open: running + waiting > 0 };
  }
}

const readGpu = (index: number): NativeGpuStatus | null => binding().gpuStatus(index);
