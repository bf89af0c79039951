const TIMEOUT_MS = 3_000;
const MAX_RESPONSE_BYTES = 256 * 1024;

/** Another server could not be reached, or its response is unusable. */
export class RemoteError extends Error {
  override name = 'RemoteError';
}

export interface JsonResponse {
  readonly status: number;
  /** In lower case, without parameters. */
  readonly mediaType: string;
  readonly body: unknown;
}

/**
 * Requests JSON from another server. Does not follow redirects, which could lead into the internal network.
 * Gives up after three seconds or 256 KiB.
 *
 * @throws RemoteError
 */
export async function fetchJson(url: string, init: RequestInit = {}): Promise<JsonResponse> {
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
      // Leaving the loop cancels the rest of the response.
      if (size > MAX_RESPONSE_BYTES)
        throw new RemoteError(`the response exceeds ${MAX_RESPONSE_BYTES} bytes`);
      chunks.push(chunk);
    }
    const [mediaType = ''] = (response.headers.get('content-type') ?? '').split(';', 1);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return { status: response.status, mediaType: mediaType.trim().toLowerCase(), body };
  } catch (cause) {
    throw new RemoteError(`${url}: ${String(cause)}`, { cause });
  }
}
