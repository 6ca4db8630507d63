// Runs in a network namespace of its own, whose loopback has a public address too, and where inside.test is 127.0.0.1.
import { Connections } from '../../src/transfer/connections.ts';
import { Network } from '../../src/transfer/network.ts';
import { getDocument, openStream } from '../../src/transfer/transfer.ts';
import { startHttpServer } from '../support/http-server.ts';
import { startRawServer } from '../support/raw-server.ts';
import { bytesOf } from './transfer.fixture.ts';

const PUBLIC = '93.184.216.34';
let location = '';
let connections = 0;
const inside = await startRawServer(() => undefined);
const counting = setInterval(() => (connections += inside.open.size), 1);
const { port } = new URL(inside.origin);
const publicServer = await startHttpServer((request, response) => {
  if (request.url === '/end') response.end('from a public host to itself');
  else response.writeHead(302, { location }).end();
}, PUBLIC);

const network = new Network({
  allowHttp: [
    publicServer.origin,
    `http://inside.test:${port}`,
    `http://10.0.0.1:${port}`,
    `http://169.254.169.254:${port}`,
  ],
});
const limits = { retries: 0, connectTimeoutMs: 1000, firstByteTimeoutMs: 300 };
const locations: Record<string, string> = {};
for (const target of [
  `http://127.0.0.1:${port}/`,
  `https://127.0.0.1:${port}/`,
  `https://localhost:${port}/`,
  `https://[::ffff:127.0.0.1]:${port}/`,
  `https://0x7f.1:${port}/`,
  `https://2130706433:${port}/`,
  `http://inside.test:${port}/`,
  `https://inside.test:${port}/`,
  `http://10.0.0.1:${port}/`,
  `http://169.254.169.254:${port}/`,
]) {
  location = target;
  connections = 0;
  const outcome = await openStream(`${publicServer.origin}/`, { network, limits }).then(
    () => 'followed',
    (error: unknown) =>
      error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : String(error),
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  locations[target] = `${outcome}, ${connections + inside.requests.length} connections`;
}
location = '/end';
const { body } = await openStream(`${publicServer.origin}/`, { network, limits });
const followed = (await bytesOf(body)).toString();
clearInterval(counting);
// A connection that was kept from an honest request is no way in either.
const pool = new Connections();
const inner = await startHttpServer((_, response) => response.end('inside'));
location = `http://inside.test:${inner.port}/`;
const honest = new Network({ allowHttp: [publicServer.origin, new URL(location).origin] });
await getDocument(location, { network: honest, connections: pool, limits });
const kept = await getDocument(`${publicServer.origin}/`, { network: honest, connections: pool, limits }).then(
  ({ body }) => body.toString(),
  (error: unknown) => String(error),
);
pool.close();
await inner.close();
await Promise.all([inside.close(), publicServer.close()]);
process.stdout.write(JSON.stringify({ locations, followed, kept }));
