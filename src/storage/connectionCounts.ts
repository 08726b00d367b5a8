/**
 * ConnectionCounts: connections to storage servers, as far as their clients tell: undici's pools, and
 * Node's agents, which SDKs take.
 */
import type { Agent } from 'node:http';

import type { Counter, MetricRegistry } from '../base/metrics.ts';

export class ConnectionCounts {
  readonly #opened: Counter;
  readonly #reused: Counter;
  readonly #handshakes: Counter;

  constructor(registry: MetricRegistry) {
    const counter = (name: string, help: string): Counter => registry.counter({ name: `cloud.${name}`, help });
    this.#opened = counter('conns_opened', 'Connections opened to servers of external storage');
    this.#reused = counter('conns_reused', 'Requests to external storage over a connection that was there already');
    this.#handshakes = counter('tls_handshakes', 'TLS connections opened to servers of external storage');
  }

  noteOpened(isTls: boolean): void {
    this.#opened.add();
    if (isTls) this.#handshakes.add();
  }

  /** A request went over a connection that had carried one before. */
  noteReused(): void {
    this.#reused.add();
  }

  /** The same agent, whose connections are counted. */
  watch<A extends Agent>(agent: A, isTls: boolean): A {
    const { createConnection, reuseSocket } = agent;
    agent.createConnection = (...args) => {
      this.noteOpened(isTls);
      return createConnection.apply(agent, args);
    };
    agent.reuseSocket = (...args) => {
      this.noteReused();
      reuseSocket.apply(agent, args);
    };
    return agent;
  }
}
