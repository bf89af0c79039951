import type { SigV4Credentials } from '../../src/methods/sigv4/sigv4.client.js';
import { DEMO_KEY } from '../../src/methods/sigv4/sigv4.demo.js';
import { parseQuery, splitTarget } from '../../src/methods/sigv4/sigv4.parser.js';
import {
  canonicalQuery,
  canonicalRequest,
  sha256,
  sign,
  stringToSign,
  formatTime,
  type QueryParameter,
} from '../../src/methods/sigv4/sigv4.js';

/** A request as it is sent. */
export interface Message {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What a signer may get wrong, or a thief may try. What is not said is as it should be. */
export interface Odd extends Message {
  readonly key?: SigV4Credentials;
  readonly at?: Date;
  readonly day?: string;
  readonly region?: string;
  readonly service?: string;
  readonly host?: string;
  readonly signedHeaders?: readonly string[];
  readonly payloadHash?: string;
  /** Of a presigned URL. */
  readonly expires?: string;
  readonly algorithm?: string;
  readonly more?: readonly QueryParameter[];
}

/**
 * Signs by the arithmetic alone, without any of the care that a client takes.
 * @param target the one that is signed where none is named
 */
export function forge(origin: string, target: string) {
  const sign = (odd: Odd, query: readonly QueryParameter[], headers: Readonly<Record<string, string>>) => {
    const time = formatTime(odd.at ?? new Date());
    const { region = 'atlas-1', service = 'auth-atlas', key = DEMO_KEY } = odd;
    const scope = { day: odd.day ?? time.slice(0, 8), region, service };
    const names = odd.signedHeaders ?? Object.keys(headers).sort();
    const canonical = canonicalRequest({
      method: odd.method ?? 'GET',
      path: splitTarget(odd.target ?? target).path,
      query,
      headers: names.map((name) => [name, Object.hasOwn(headers, name) ? [headers[name]!] : []]),
      payloadHash: odd.payloadHash ?? sha256(odd.body ?? ''),
    });
    return {
      time,
      credential: `${key.id}/${scope.day}/${region}/${service}/aws4_request`,
      signedHeaders: names.join(';'),
      signature: sign(key.secret, scope, stringToSign(time, scope, canonical)),
    };
  };
  const host = ({ host = new URL(origin).host }: Odd) => ({ host });
  const queryOf = (odd: Odd) => parseQuery(splitTarget(odd.target ?? target).query)!;

  return {
    /** Signed in the header. */
    signed: (odd: Odd = {}): Message => {
      const sent = { 'x-amz-date': formatTime(odd.at ?? new Date()), ...odd.headers };
      const of = sign(odd, queryOf(odd), { ...host(odd), ...sent });
      const authorization = `AWS4-HMAC-SHA256 Credential=${of.credential}, SignedHeaders=${of.signedHeaders}, Signature=${of.signature}`;
      return { ...odd, headers: { ...sent, authorization } };
    },

    /** Signed in the URL. */
    presigned: (odd: Odd = {}): Message & { readonly target: string } => {
      const headers = { ...host(odd), ...odd.headers };
      const { credential, time, signedHeaders } = sign(odd, [], headers);
      const query: QueryParameter[] = [
        ...queryOf(odd),
        ['X-Amz-Algorithm', odd.algorithm ?? 'AWS4-HMAC-SHA256'],
        ['X-Amz-Credential', credential],
        ['X-Amz-Date', time],
        ['X-Amz-Expires', odd.expires ?? '60'],
        ['X-Amz-SignedHeaders', signedHeaders],
        ...(odd.more ?? []),
      ];
      const { path } = splitTarget(odd.target ?? target);
      const { signature } = sign(odd, query, headers);
      return { ...odd, target: `${path}?${canonicalQuery(query)}&X-Amz-Signature=${signature}` };
    },
  };
}
