import { errors, type Client, type KoaContextWithOIDC } from 'oidc-provider';

interface Token {
  readonly kind: string;
  readonly clientId?: string | undefined;
  readonly aud?: string | string[] | undefined;
}

/** A client asks about its own tokens; that of a resource server about those that are meant for it (RFC 7662). */
export function mayAskAbout(_ctx: KoaContextWithOIDC, client: Client, token: Token): boolean {
  if (token.clientId === client.clientId) return true;
  const audiences = (client['audiences'] ?? []) as readonly unknown[];
  return token.kind !== 'RefreshToken' && token.aud !== undefined && audiences.includes(token.aud);
}

/** A client ends its own tokens (RFC 7009). */
export function mayEnd(_ctx: KoaContextWithOIDC, client: Client, token: Token): boolean {
  if (token.clientId === client.clientId) return true;
  throw new errors.UnauthorizedClient('the token was issued to another client');
}
