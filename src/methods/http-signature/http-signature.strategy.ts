import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LRUCache } from 'lru-cache';
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { nullableDateFromRow, parsedJson } from '../../database/columns.js';
import type { RowFinder } from '../../database/row-finder.js';
import {
  accountOfActive,
  credentialFinder,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { importPublicJwk, verifySignature, type SignatureAlgorithm } from './http-signature.algorithms.js';
import { signatureBase, type RequestMessage } from './http-signature.base.js';
import { verifyContentDigest } from './http-signature.content-digest.js';
import { SignatureKey } from './http-signature.entity.js';
import {
  REQUIRED_COMPONENTS,
  BODY_COMPONENT,
  MAX_CLOCK_SKEW_SECONDS,
  InvalidSignature,
  TAG,
  selectSignature,
  parseSignatures,
  assertCovered,
  assertRequestCovered,
  type SelectedSignature,
} from './http-signature.js';
import { principalOf } from '../../users/user.entity.js';

const COLUMNS = ['algorithm', 'publicJwk', 'provedAt'] as const;

interface Row extends CredentialRow {
  readonly algorithm: SignatureAlgorithm;
  readonly publicJwk: string;
  readonly provedAt: Date | string | null;
}

/** One code for every invalid signature. The log has the reason. */
export const INVALID_HTTP_SIGNATURE = 'invalid_http_signature';
const MAX_CACHED_KEYS = 10_000;

/**
 * The challenge of a 401. `Accept-Signature` (RFC 9421 section 5.1) lists the components to cover. The `Signature` scheme
 * is the project's own: every 401 needs a challenge (RFC 9110 section 15.5.2), and no registered scheme fits.
 */
export function signatureChallenge(components: readonly string[]): Challenge {
  const list = components.map((name) => `"${name}"`).join(' ');
  return new Challenge(
    'Signature',
    { realm: 'auth-atlas' },
    { headers: { 'Accept-Signature': `sig=(${list});created;tag="${TAG}"` } },
  );
}

@Injectable()
export class HttpSignatureStrategy
  extends PassportStrategy(Strategy, 'http-signature')
  implements AuthStrategy
{
  readonly challenge = signatureChallenge([...REQUIRED_COMPONENTS, BODY_COMPONENT]);
  private readonly find: RowFinder<Row>;
  /** By id: the key of an id never changes. Revocation and expiry are in the row, which every request reads. */
  private readonly keys = new LRUCache<string, KeyObject>({ max: MAX_CACHED_KEYS });
  /** Verifies signatures with an unknown keyid, so that their response takes as long as any other. */
  private readonly dummyKey = generateKeyPairSync('ed25519').publicKey;

  constructor(
    dataSource: DataSource,
    private readonly settings: Settings,
    private readonly replayStore: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialFinder<Row>(dataSource, 'signature_keys', COLUMNS);
  }

  /** True for any signature, unless all of them carry the tag of another application, such as a proxy's. */
  claims(request: AuthRequest): boolean {
    const inputs = request.lines('Signature-Input');
    const tags = inputs.join().match(/; *tag="[^"]*"/g);
    if (tags) return tags.some((tag) => tag.endsWith(`"${TAG}"`));
    return inputs.length + request.lines('Signature').length > 0;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const now = new Date();
    const { signed, base } = this.parse(request, now);
    const row = await this.find(signed.keyid);
    const verified = await verifySignature(
      row?.algorithm ?? 'ed25519',
      this.keyOf(row),
      base,
      signed.signature,
    );
    if (!row || !verified) throw invalidCredential('unknown key or wrong signature');
    const account = accountOfActive(row, invalidCredential);
    if (!nullableDateFromRow(row.provedAt))
      throw invalidCredential(`the key ${row.id} has not been proved`).ofAccount(account);
    if (signed.alg !== undefined && signed.alg !== row.algorithm)
      throw invalidCredential(`the key ${row.id} is for another algorithm`).ofAccount(account);
    this.verifyBody(request);
    const proof = {
      method: 'http-signature',
      credentialId: row.id,
      at: now,
      amr: ['pop'],
      bound: true,
    } as const;
    const principal = principalOf(account, proof, invalidCredential, scopesFromRow(row));
    // Last, so that only the owner of the key can use up a nonce.
    const expiresAt = new Date((signed.created + MAX_CLOCK_SKEW_SECONDS) * 1000);
    if (!(await this.replayStore.use(`http-signature nonce of ${row.id}`, signed.nonce!, expiresAt)))
      throw invalidCredential(`a nonce of the key ${row.id} was used before`).ofAccount(account);
    this.lastUsed.touch(SignatureKey, 'lastUsedAt', row.id, nullableDateFromRow(row.lastUsedAt));
    return principal;
  }

  /** Parses the headers and checks everything that does not need the key. */
  private parse(request: AuthRequest, now: Date): { signed: SelectedSignature; base: string } {
    return withHttpErrors(() => {
      const all = parseSignatures(request.lines('Signature-Input'), request.lines('Signature'));
      const signed = selectSignature(all, Math.floor(now.getTime() / 1000));
      if (signed.nonce === undefined) throw new InvalidSignature('the nonce is missing');
      assertRequestCovered(signed);
      if (hasBody(request)) assertCovered(signed, [BODY_COMPONENT]);
      if (!this.settings.answersTo(request.authority))
        throw new InvalidSignature('the signature is for another host');
      return { signed, base: signatureBase(signed.input, this.messageOf(request)) };
    });
  }

  /**
   * The request as its client sent it. If the host is that of `PUBLIC_URL`, so is the scheme, because a proxy may not forward
   * it. A peer that is no trusted proxy cannot choose it.
   */
  private messageOf(request: AuthRequest): RequestMessage {
    const { method, target, authority, secure } = request;
    const { protocol, host } = new URL(this.settings.publicUrl);
    const isPublic = protocol === 'https:' && authority.toLowerCase().replace(/:443$/, '') === host;
    return { method, target, authority, lines: (name) => request.lines(name), secure: secure || isPublic };
  }

  private keyOf(row: Row | undefined): KeyObject {
    if (!row) return this.dummyKey;
    let key = this.keys.get(row.id);
    if (!key) {
      key = importPublicJwk(parsedJson(row.publicJwk) as JsonWebKey)!.key;
      this.keys.set(row.id, key);
    }
    return key;
  }

  /** If there is a body, `Content-Digest` is covered, so it is present. Without a body the header is optional. */
  private verifyBody(request: AuthRequest): void {
    const digests = request.lines('Content-Digest');
    if (digests.length)
      withHttpErrors(() => verifyContentDigest(digests, request.rawBody ?? Buffer.alloc(0)));
  }
}

/**
 * Reads the framing (RFC 9112 section 6.3), not `rawBody`. An application without raw bytes then rejects every body
 * instead of accepting any.
 */
const hasBody = ({ headers }: AuthRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Maps an {@link InvalidSignature} to 401, or to 400 if a name is duplicate. */
function withHttpErrors<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof InvalidSignature)) throw error;
    if (!error.duplicate) throw invalidCredential(error.message);
    throw new BadRequestException({
      code: 'duplicate_header',
      detail: 'A signature header contains two members with the same name.',
    });
  }
}

const invalidCredential = (reason: string) =>
  new BadCredential(INVALID_HTTP_SIGNATURE, reason, { error: INVALID_HTTP_SIGNATURE });
