import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../harness/lab.ts';
import { makeCertificate } from './certificate.ts';
import { freePort, untilOpen } from './ports.ts';

/** One folder, served in three ways. */
export interface Site {
  readonly folder: string;
  readonly plain: string;
  /** Every connection is held to 50 MiB a second. */
  readonly limited: string;
  readonly tls: string;
  /** What a client of `tls` has to trust. */
  readonly certPath: string;
}

/** Starts nginx with a configuration of its own; it ends with the lab, and with this process. */
export async function startNginx(lab: Lab): Promise<Site> {
  const [home, folder] = [await lab.folder('nginx'), await lab.folder('www')];
  const { certPath, keyPath } = await makeCertificate(home);
  const [plain, limited, tls] = [await freePort(), await freePort(), await freePort()];
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${home}/${name};`,
  );
  const config = `
daemon off;
master_process off;
pid ${home}/pid;
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  root ${folder};
  types { application/json json; }
  default_type application/octet-stream;
  ${scratch.join(' ')}
  server { listen 127.0.0.1:${plain}; }
  server { listen 127.0.0.1:${limited}; limit_rate 50m; }
  server { listen 127.0.0.1:${tls} ssl; ssl_certificate ${certPath}; ssl_certificate_key ${keyPath}; }
}`;
  await writeFile(join(home, 'nginx.conf'), config);
  const nginx = ['nginx', '-p', home, '-e', join(home, 'error.log'), '-c', join(home, 'nginx.conf')];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...nginx], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  lab.atEnd(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await Promise.race([
    Promise.all([plain, limited, tls].map(untilOpen)),
    ended.then((status) => Promise.reject(new Error(`nginx ended with ${String(status)}`))),
  ]);
  const at = (port: number): string => `127.0.0.1:${port}`;
  return {
    folder,
    plain: `http://${at(plain)}`,
    limited: `http://${at(limited)}`,
    tls: `https://${at(tls)}`,
    certPath,
  };
}
