import { Injectable, Logger } from '@nestjs/common';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Settings } from '../../config/index.js';
import { Authority } from './mtls.authority.js';
import { mtlsConfig, type MtlsConfig } from './mtls.config.js';
import { newKeyPair, pemOf } from './mtls.x509.js';

const LIFETIME = 7 * 24 * 60 * 60_000;

/** The certificate that the server shows, and its key: PEM. */
interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** What the server shows: a certificate of the CA's, renewed at half its time, or the one that lies in the files. */
@Injectable()
export class ServerCertificate {
  private readonly logger = new Logger(ServerCertificate.name);
  private readonly files: MtlsConfig['files'];
  private readonly names: readonly string[];
  private shown: Pair | undefined;
  private parsed: X509Certificate | undefined;

  constructor(
    private readonly authority: Authority,
    settings: Settings,
  ) {
    this.files = mtlsConfig(settings).files;
    const host = new URL(settings.publicUrl).hostname.replace(/^\[|\]$/g, '');
    this.names = [...new Set(['localhost', '127.0.0.1', '::1', host])];
  }

  get pair(): Pair {
    if (!this.shown) throw new Error('The server certificate is not loaded yet.');
    return this.shown;
  }

  /** Whether it speaks for this host name or address. */
  isFor(host: string): boolean {
    const found = isIP(host) ? this.parsed?.checkIP(host) : this.parsed?.checkHost(host);
    return found !== undefined;
  }

  /**
   * Renews what is due, or reads the files again. A pair that does not work is logged, and the one before stays.
   * @returns whether there is another one now
   * @throws Error where there is none at all
   */
  async load(now: number): Promise<boolean> {
    try {
      const pair = this.files ? await read(this.files) : await this.current(now);
      if (pair.cert === this.shown?.cert && pair.key === this.shown.key) return false;
      createSecureContext(pair);
      [this.shown, this.parsed] = [pair, new X509Certificate(pair.cert)];
      return true;
    } catch (error) {
      const reason = `TLS_CERT_FILE and TLS_KEY_FILE hold no certificate with its key: ${(error as Error).message}`;
      if (!this.shown) throw new Error(reason, { cause: error });
      this.logger.error(reason);
      return false;
    }
  }

  private async current(now: number): Promise<Pair> {
    if (this.shown && Date.parse(this.parsed!.validTo) - now > LIFETIME / 2) return this.shown;
    const { publicKey, privateKey } = newKeyPair();
    const [from, until] = [new Date(now), new Date(now + LIFETIME)];
    const cert = await this.authority.issueToServer(this.names, publicKey, from, until);
    return { cert, key: pemOf(privateKey) };
  }
}

async function read(files: Pair): Promise<Pair> {
  const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')]);
  return { cert, key };
}
