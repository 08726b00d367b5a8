/**
 * TLS for connections that begin in plain text: a tls.Server that listens to nothing, to which sockets
 * are handed when their clients have asked for TLS, so that handshakes are Node's own.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import type { ServerCerts } from '../certs.ts';
import { nodeTls } from '../lazyModules.ts';
import type { ClientCertificate } from './login.ts';

const HANDSHAKE_TIMEOUT_MS = 20_000;

const keyOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

/** Gives the function that turns a socket into a TLS one. It rejects when the handshake fails or the client goes. */
export function tlsStarter({ cert, key, clientCa }: ServerCerts): (socket: Socket) => Promise<TLSSocket> {
  const waiting = new Map<string, { resolve: (socket: TLSSocket) => void; reject: (error: Error) => void }>();
  const settle = (socket: Socket) => {
    const entry = waiting.get(keyOf(socket));
    waiting.delete(keyOf(socket));
    return entry;
  };
  const server = nodeTls().createServer({
    cert,
    key,
    ca: clientCa,
    minVersion: 'TLSv1.2',
    requestCert: true,
    // Clients without a certificate log in by password; login.ts judges those that have one.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  server.on('secureConnection', (socket) => settle(socket)?.resolve(socket));
  return (socket) =>
    new Promise((resolve, reject) => {
      const entry = { resolve, reject };
      waiting.set(keyOf(socket), entry);
      const fail = (error?: Error): void => {
        for (const [name, one] of waiting) if (one === entry) waiting.delete(name);
        reject(error ?? new Error('the client went away'));
      };
      socket.once('close', () => fail());
      socket.once('error', fail);
      server.emit('connection', socket);
    });
}

/** What the client showed in the handshake. */
export function clientCertificate(socket: TLSSocket): ClientCertificate | undefined {
  const { subject } = socket.getPeerCertificate();
  if (!subject) return undefined;
  const names: unknown = subject.CN;
  const user = typeof names === 'string' ? names : '';
  const problem = socket.authorized ? undefined : `the client certificate is not accepted: ${String(socket.authorizationError)}`;
  return { user, problem };
}
