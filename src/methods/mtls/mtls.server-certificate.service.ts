import { Injectable, Logger } from '@nestjs/common';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Settings } from '../../config/settings.js';
import { Authority } from './mtls.certificate-authority.service.js';
import { mtlsConfig, type MtlsConfig } from './mtls.config.js';
import { newKeyPair, pemOf } from './mtls.x509.js';

const LIFETIME = 7 * 24 * 60 * 60_000;

/** A certificate and its key: PEM. */
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
  /** What is shown now, from the first {@link load} on. */
  pair!: Pair;
  private parsed: X509Certificate | undefined;

  constructor(
    private readonly authority: Authority,
    settings: Settings,
  ) {
    this.files = mtlsConfig(settings).files;
    const host = new URL(settings.publicUrl).hostname.replace(/^\[|\]$/g, '');
    this.names = [...new Set(['localhost', '127.0.0.1', '::1', host])];
  }

  /** Whether it speaks for this host name or address. */
  isFor(host: string): boolean {
    const found = isIP(host) ? this.parsed?.checkIP(host) : this.parsed?.checkHost(host);
    return found !== undefined;
  }

  /**
   * Renews what is due, or reads the files again. A pair that does not work is logged, and the one before stays.
   * @throws Error where there is none before
   */
  async load(now: number): Promise<void> {
    if (!this.files) return this.renew(now);
    try {
      const [cert, key] = await Promise.all([
        readFile(this.files.cert, 'utf8'),
        readFile(this.files.key, 'utf8'),
      ]);
      if (cert !== this.pair?.cert || key !== this.pair.key) this.take({ cert, key });
    } catch (error) {
      const reason = `TLS_CERT_FILE and TLS_KEY_FILE hold no certificate with its key: ${(error as Error).message}`;
      if (!this.parsed) throw new Error(reason, { cause: error });
      this.logger.error(reason);
    }
  }

  private async renew(now: number): Promise<void> {
    if (this.parsed && Date.parse(this.parsed.validTo) - now > LIFETIME / 2) return;
    const { publicKey, privateKey } = newKeyPair();
    const [from, until] = [new Date(now), new Date(now + LIFETIME)];
    const cert = await this.authority.issueToServer(this.names, publicKey, from, until);
    this.take({ cert, key: pemOf(privateKey) });
  }

  /** @throws Error where the two do not belong together */
  private take(pair: Pair): void {
    createSecureContext(pair);
    this.parsed = new X509Certificate(pair.cert);
    this.pair = pair;
  }
}
