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

/** A request to send. */
export interface Message {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The faults of a forged request. Everything else is correct. */
export interface Forgery extends Message {
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
 * Signs without the checks of a client.
 * @param target the default target
 */
export function forge(origin: string, target: string) {
  const signForgery = (
    forgery: Forgery,
    query: readonly QueryParameter[],
    headers: Readonly<Record<string, string>>,
  ) => {
    const time = formatTime(forgery.at ?? new Date());
    const { region = 'atlas-1', service = 'auth-atlas', key = DEMO_KEY } = forgery;
    const scope = { day: forgery.day ?? time.slice(0, 8), region, service };
    const names = forgery.signedHeaders ?? Object.keys(headers).sort();
    const canonical = canonicalRequest({
      method: forgery.method ?? 'GET',
      path: splitTarget(forgery.target ?? target).path,
      query,
      headers: names.map((name) => [name, Object.hasOwn(headers, name) ? [headers[name]!] : []]),
      payloadHash: forgery.payloadHash ?? sha256(forgery.body ?? ''),
    });
    return {
      time,
      credential: `${key.id}/${scope.day}/${region}/${service}/aws4_request`,
      signedHeaders: names.join(';'),
      signature: sign(key.secret, scope, stringToSign(time, scope, canonical)),
    };
  };
  const host = ({ host = new URL(origin).host }: Forgery) => ({ host });
  const queryOf = (forgery: Forgery) => parseQuery(splitTarget(forgery.target ?? target).query)!;

  return {
    /** Signed in the header. */
    signed: (forgery: Forgery = {}): Message => {
      const sent = { 'x-amz-date': formatTime(forgery.at ?? new Date()), ...forgery.headers };
      const of = signForgery(forgery, queryOf(forgery), { ...host(forgery), ...sent });
      const authorization = `AWS4-HMAC-SHA256 Credential=${of.credential}, SignedHeaders=${of.signedHeaders}, Signature=${of.signature}`;
      return { ...forgery, headers: { ...sent, authorization } };
    },

    /** Signed in the URL. */
    presigned: (forgery: Forgery = {}): Message & { readonly target: string } => {
      const headers = { ...host(forgery), ...forgery.headers };
      const { credential, time, signedHeaders } = signForgery(forgery, [], headers);
      const query: QueryParameter[] = [
        ...queryOf(forgery),
        ['X-Amz-Algorithm', forgery.algorithm ?? 'AWS4-HMAC-SHA256'],
        ['X-Amz-Credential', credential],
        ['X-Amz-Date', time],
        ['X-Amz-Expires', forgery.expires ?? '60'],
        ['X-Amz-SignedHeaders', signedHeaders],
        ...(forgery.more ?? []),
      ];
      const { path } = splitTarget(forgery.target ?? target);
      const { signature } = signForgery(forgery, query, headers);
      return { ...forgery, target: `${path}?${canonicalQuery(query)}&X-Amz-Signature=${signature}` };
    },
  };
}
