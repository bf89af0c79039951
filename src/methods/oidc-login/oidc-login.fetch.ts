/** Far above any provider's metadata and keys. */
const MOST_BYTES = 256 * 1024;

/**
 * How this server asks a provider: it goes where the provider's own metadata says and nowhere else, for a redirect is an
 * answer like any other and no good one; and it reads so much and no more. The time is limited by the libraries that ask.
 */
export async function boundedFetch(url: string, options: object): Promise<Response> {
  const { body, status, headers } = await fetch(url, { ...options, redirect: 'manual' });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(size ? Buffer.concat(chunks) : null, { status, headers });
}
