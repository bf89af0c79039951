const TIMEOUT_MS = 3_000;
/** Bytes: far more than anybody's key set. */
const LARGEST = 256 * 1024;

/** Another server could not be asked, or what it said is of no use. */
export class RemoteFailure extends Error {
  override name = 'RemoteFailure';
}

export interface RemoteJson {
  readonly status: number;
  /** Without its parameters, in small letters. */
  readonly mediaType: string;
  readonly body: unknown;
}

/**
 * Asks another server for JSON: no redirect is followed, which could lead into our own network; nothing is waited for longer
 * than three seconds, and nothing larger is read than 256 KiB.
 *
 * @throws RemoteFailure
 */
export async function fetchJson(url: string, init: RequestInit = {}): Promise<RemoteJson> {
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      // Leaving the loop cancels the rest.
      if (size > LARGEST) throw new RemoteFailure('it is larger than 256 KiB');
      chunks.push(chunk);
    }
    const [mediaType = ''] = (response.headers.get('content-type') ?? '').split(';', 1);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return { status: response.status, mediaType: mediaType.trim().toLowerCase(), body };
  } catch (cause) {
    throw new RemoteFailure(`${url} is of no use: ${String(cause)}`, { cause });
  }
}
