/**
 * Node's modules for TLS and HTTP, loaded when they are first called for.
 *
 * Loading `node:tls` parses the root certificates that Node carries, 15 ms, and importing `node:http`
 * reads every export, among them a WebSocket that brings a whole HTTP client, 30 ms. Both are more than Node's
 * own start, and a database without certificates needs neither the first nor the WebSocket: so nothing
 * imports them but for types. Asking twice costs a look-up.
 */
export const nodeTls = (): typeof import('node:tls') => process.getBuiltinModule('node:tls');
export const nodeHttp = (): typeof import('node:http') => process.getBuiltinModule('node:http');
export const nodeHttps = (): typeof import('node:https') => process.getBuiltinModule('node:https');
