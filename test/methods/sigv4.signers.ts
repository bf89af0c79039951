import { SignatureV4 } from '@smithy/signature-v4';
import aws4 from 'aws4';
import { execFile } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { parse } from 'node:querystring';
import { promisify } from 'node:util';
import type { SigV4Credentials } from '../../src/methods/sigv4/sigv4.client.js';

/** Third-party signers: the AWS SDK for JavaScript, the package aws4, and curl. */

export interface ToSign {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const SIGNING = { region: 'atlas-1', service: 'auth-atlas' };

type Init = ConstructorParameters<typeof SignatureV4>[0];
type Data = string | ArrayBuffer | ArrayBufferView;

/** The hash interface of the SDK, implemented with Node. */
class Sha256 {
  private readonly hash;

  constructor(key?: Data) {
    this.hash = key === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(key));
  }

  update(data: Data): void {
    this.hash.update(bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest());
  }
}

const bytesOf = (data: Data): Buffer =>
  typeof data === 'string'
    ? Buffer.from(data)
    : ArrayBuffer.isView(data)
      ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      : Buffer.from(data);

const smithy = ({ id, secret }: SigV4Credentials, more: Partial<Init> = {}) =>
  new SignatureV4({
    ...SIGNING,
    credentials: { accessKeyId: id, secretAccessKey: secret },
    sha256: Sha256,
    ...more,
  });

function forSmithy(address: string, { method, headers, body }: ToSign) {
  const { hostname, host, pathname, search, protocol } = new URL(address);
  return {
    method,
    protocol,
    hostname,
    path: pathname,
    query: Object.fromEntries(
      Object.entries(parse(search.slice(1))).map(([name, value]) => [name, value ?? '']),
    ),
    headers: { ...headers, host },
    ...(body !== undefined && { body }),
  };
}

/** @returns the headers to send */
export async function signWithSmithy(
  key: SigV4Credentials,
  address: string,
  toSign: ToSign,
  more?: Partial<Init>,
): Promise<Record<string, string>> {
  return (await smithy(key, more).sign(forSmithy(address, toSign))).headers;
}

export async function presignWithSmithy(
  key: SigV4Credentials,
  address: string,
  toSign: ToSign,
  expiresIn: number,
): Promise<string> {
  const { query = {} } = await smithy(key).presign(forSmithy(address, toSign), { expiresIn });
  const url = new URL(address);
  url.search = new URLSearchParams(query as Record<string, string>).toString();
  return url.href;
}

/** @returns the headers to send and, of a presigned one, the URL */
export function signWithAws4(
  { id, secret }: SigV4Credentials,
  address: string,
  { method, headers, body }: ToSign,
  signQuery = false,
): { url: string; headers: Record<string, string> } {
  const { host, pathname, search, origin } = new URL(address);
  const signed = aws4.sign(
    {
      ...SIGNING,
      method,
      host,
      path: pathname + search,
      headers: { ...headers },
      signQuery,
      ...(body !== undefined && { body }),
    },
    { accessKeyId: id, secretAccessKey: secret },
  );
  return { url: origin + signed.path, headers: signed.headers as Record<string, string> };
}

/** @returns what curl prints: the body, and the status after it */
export async function curl(key: SigV4Credentials, ...args: readonly string[]): Promise<string> {
  const provider = `aws:amz:${SIGNING.region}:${SIGNING.service}`;
  const { stdout } = await promisify(execFile)('curl', [
    ...['-s', '-w', ' %{http_code}', '--aws-sigv4', provider, '--user', `${key.id}:${key.secret}`],
    ...args,
  ]);
  return stdout;
}
