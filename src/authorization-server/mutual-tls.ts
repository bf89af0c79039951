import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { tlsCertificate } from '../authentication/client-certificate.js';
import type { Settings } from '../config/settings.js';
import { subjectIs, verifiedBy } from './certificates.js';
import { incomingOf } from './exchange.js';
import { serverConfig } from './server.config.js';

/** Clients that show a certificate, and tokens that are bound to one (RFC 8705). */
export function mutualTls(settings: Settings): NonNullable<Configuration['features']>['mTLS'] {
  const { clientCas } = serverConfig(settings);
  const shown = (ctx: KoaContextWithOIDC): X509Certificate | undefined =>
    tlsCertificate(incomingOf(ctx.req), (address) => settings.trusts(address));
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: (ctx) => shown(ctx)!,
    /** Our own listener has verified it against our CA and its revocation list; what a proxy hands on is verified here. */
    certificateAuthorized: (ctx) => {
      const { socket } = incomingOf(ctx.req);
      if (socket instanceof TLSSocket && socket.authorized) return true;
      const certificate = shown(ctx);
      return certificate !== undefined && verifiedBy(clientCas, certificate, new Date());
    },
    certificateSubjectMatches: (ctx, property, expected) => {
      const certificate = shown(ctx);
      return certificate !== undefined && subjectIs(certificate, property, expected);
    },
  };
}
