import type { Client, ClientMetadata, KoaContextWithOIDC } from 'oidc-provider';

/** What the engine makes of a client's metadata. Its types do not tell of this. */
export interface ClientModel {
  /** @throws InvalidClientMetadata */
  new (metadata: object, ctx?: KoaContextWithOIDC): Client & { metadata(): ClientMetadata };
  needsSecret(metadata: object): boolean;
}
