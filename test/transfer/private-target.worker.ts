// Runs in a network namespace of its own, whose loopback has a public address too.
import { Network } from '../../src/transfer/network.ts';
import { openStream } from '../../src/transfer/transfer.ts';
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
  allowHttp: [publicServer.origin, `http://10.0.0.1:${port}`, `http://169.254.169.254:${port}`],
});
const limits = { retries: 0, connectTimeoutMs: 1000, firstByteTimeoutMs: 300 };
const locations: Record<string, string> = {};
for (const target of [
  `http://127.0.0.1:${port}/`,
  `https://127.0.0.1:${port}/`,
  `https://localhost:${port}/`,
  `https://[::ffff:127.0.0.1]:${port}/`,
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
await Promise.all([inside.close(), publicServer.close()]);
process.stdout.write(JSON.stringify({ locations, followed }));
