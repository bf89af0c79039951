import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LRUCache } from 'lru-cache';
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { nullableDateFromRow } from '../../database/raw-dates.js';
import {
  accountOfActive,
  credentialQuery,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { principalOf } from '../../users/principal-of.js';
import { importPublicJwk, verifySignature, type SignatureAlgorithm } from './http-signature.algorithms.js';
import { signatureBase } from './http-signature.base.js';
import { CODE, challengeFor, remember } from './http-signature.coverage.js';
import { verifyContentDigest } from './http-signature.content-digest.js';
import { SignatureKey } from './http-signature.entity.js';
import {
  REQUIRED_COMPONENTS,
  BODY_COMPONENT,
  MAX_CLOCK_SKEW_SECONDS,
  InvalidSignature,
  TAG,
  selectSignature,
  readSignatures,
  assertCovered,
  type SelectedSignature,
} from './http-signature.js';

const COLUMNS = ['algorithm', 'publicJwk', 'provedAt'] as const;

interface Row extends CredentialRow {
  readonly algorithm: SignatureAlgorithm;
  readonly publicJwk: string;
  readonly provedAt: Date | string | null;
}

const REMEMBERED = 10_000;

@Injectable()
export class HttpSignatureStrategy
  extends PassportStrategy(Strategy, 'http-signature')
  implements AuthStrategy
{
  readonly challenge = challengeFor([...REQUIRED_COMPONENTS, BODY_COMPONENT]);
  private readonly find: (id: string) => Promise<Row | undefined>;
  /** A key never changes under its id. Whether it may be used is in its row, which every request reads. */
  private readonly keys = new LRUCache<string, KeyObject>({ max: REMEMBERED });
  /** Verifies in place of a key that nobody has, so that asking for one takes as long. */
  private readonly decoyKey = generateKeyPairSync('ed25519').publicKey;

  constructor(
    dataSource: DataSource,
    private readonly settings: Settings,
    private readonly oneTime: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialQuery<Row>(dataSource, 'signature_keys', COLUMNS);
  }

  /** Signatures, unless all are marked as another application's: a proxy's are none of ours. */
  claims(request: AuthRequest): boolean {
    const inputs = request.lines('Signature-Input');
    const tags = inputs.join().match(/; *tag="[^"]*"/g);
    if (tags) return tags.some((tag) => tag.endsWith(`"${TAG}"`));
    return inputs.length + request.lines('Signature').length > 0;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const now = new Date();
    const { signed, base } = this.read(request, now);
    const row = await this.find(signed.keyid);
    const verified = await verifySignature(
      row?.algorithm ?? 'ed25519',
      this.keyOf(row),
      base,
      signed.signature,
    );
    if (!row || !verified) throw refused('unknown key or wrong signature');
    const account = accountOfActive(row, refused);
    if (!row.provedAt) throw refused(`the key ${row.id} was never proved`).ofAccount(account);
    if (signed.alg !== undefined && signed.alg !== row.algorithm)
      throw refused(`the key ${row.id} is for another algorithm`).ofAccount(account);
    this.refuseOtherBody(request);
    const proof = {
      method: 'http-signature',
      credentialId: row.id,
      at: now,
      amr: ['pop'],
      bound: true,
      ...(row.expiresAt && ({ restricted: true } as const)),
    } as const;
    const principal = principalOf(account, proof, refused, scopesFromRow(row));
    // Last of all: nobody but the key's owner can use a nonce up.
    const until = new Date((signed.created + MAX_CLOCK_SKEW_SECONDS + 1) * 1000);
    if (!(await this.oneTime.use(`http-signature nonce of ${row.id}`, signed.nonce!, until)))
      throw refused(`a nonce of the key ${row.id} came twice`).ofAccount(account);
    remember(request, signed);
    this.lastUsed.touch(SignatureKey, 'lastUsedAt', row.id, nullableDateFromRow(row.lastUsedAt));
    return principal;
  }

  /** All that can be said without the key. */
  private read(request: AuthRequest, now: Date): { signed: SelectedSignature; base: string } {
    return refusing(() => {
      const all = readSignatures(request.lines('Signature-Input'), request.lines('Signature'));
      const signed = selectSignature(all, Math.floor(now.getTime() / 1000));
      if (signed.nonce === undefined) throw new InvalidSignature('the nonce is missing');
      assertCovered(
        signed,
        hasBody(request) ? [...REQUIRED_COMPONENTS, BODY_COMPONENT] : REQUIRED_COMPONENTS,
      );
      if (!this.settings.answersTo(request.authority)) throw new InvalidSignature('it is for another host');
      return { signed, base: signatureBase(signed.input, request) };
    });
  }

  private keyOf(row: Row | undefined): KeyObject {
    if (!row) return this.decoyKey;
    let key = this.keys.get(row.id);
    if (!key) {
      key = importPublicJwk(JSON.parse(row.publicJwk) as JsonWebKey)!.key;
      this.keys.set(row.id, key);
    }
    return key;
  }

  /** Where there is a body there is a digest: it is covered, and nothing is that is absent. */
  private refuseOtherBody(request: AuthRequest): void {
    const digests = request.lines('Content-Digest');
    if (digests.length) refusing(() => verifyContentDigest(digests, request.rawBody ?? Buffer.alloc(0)));
  }
}

/**
 * By the framing (RFC 9112, section 6.3), not by `rawBody`: where an application does not keep the bytes, no body is let
 * in, rather than any.
 */
const hasBody = ({ headers }: AuthRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InvalidSignature)) throw error;
    if (!error.duplicate) throw refused(error.message);
    throw new BadRequestException({
      code: 'duplicate_header',
      detail: 'A signature, or another member of a field, came twice under the same name.',
    });
  }
}

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
