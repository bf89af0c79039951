import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import { execFileSync } from 'node:child_process';
import { X509Certificate, createHash, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { subjectMatches } from '../../src/authorization-server/clients/client-authentication.js';
import { boot, client, type Booted } from '../support/app.js';
import { CHALLENGE, WEB_CALLBACK, basicOf, claimsOf, formOf, oauthAt } from './flows.js';
import { CIBA, DEVICE_CODE } from './wire.js';

const folder = mkdtempSync(join(tmpdir(), 'atlas-oauth-mtls-'));
const at = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' }).toString();

interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** A self-signed certificate, or one issued by a CA in the test folder. */
function newIdentity(subject: string, ca?: string, extensions: readonly string[] = []): Identity {
  const key = at('new.key');
  const out = at('new.crt');
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
  const by = ca
    ? ['-CA', at(`${ca}.crt`), '-CAkey', at(`${ca}.key`), '-addext', 'basicConstraints=CA:FALSE']
    : [];
  const more = extensions.flatMap((extension) => ['-addext', extension]);
  openssl('req', '-x509', '-days', '1', ...made, '-subj', subject, '-out', out, ...by, ...more);
  return { cert: readFileSync(out, 'utf8'), key: readFileSync(key, 'utf8') };
}

const thumbprintOf = ({ cert }: Identity) =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
/** The JWK by which a client registers a self-signed certificate (RFC 8705 section 2.2.2). */
const jwkOf = ({ cert }: Identity) => {
  const certificate = new X509Certificate(cert);
  return { ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] };
};
const fieldOf = ({ cert }: Identity) => ({
  'Client-Cert': `:${new X509Certificate(cert).raw.toString('base64')}:`,
});

describe('mutual TLS at the authorization server', () => {
  let booted: Booted;
  let tls: { readonly token: string; readonly ca: string };
  let metadata: Readonly<Record<string, string>>;
  let aliases: Readonly<Record<string, string>>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    const { get } = client(booted.origin);
    const { mtls_endpoint_aliases, ...rest } = (await get('/oidc/.well-known/openid-configuration')).body;
    [metadata, aliases] = [rest, mtls_endpoint_aliases];
    const { token_endpoint: token = '' } = aliases;
    tls = { token, ca: (await get('/mtls/ca.pem')).body };
  });
  afterAll(async () => {
    await booted.close();
    rmSync(folder, { recursive: true });
  });

  const signedIn = (username: string, { origin }: Booted) =>
    client(origin, basicOf(username, 'correct-horse-battery-staple'));
  const alice = (where = booted) => signedIn('alice', where);
  const dave = () => signedIn('dave', booted);
  const SERVICE = {
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    resource_scopes: 'documents:read',
    account: 'acme-machine',
  };
  const added = async (metadata: object, where = booted) => {
    const { status, body } = await alice(where).post('/oauth/clients', { ...SERVICE, ...metadata });
    expect(status).toBe(201);
    return body as { client_id: string; client_secret: string };
  };
  /** Requests a token at the mTLS endpoint. */
  const requestToken = async (
    client_id: string,
    identity: Partial<Identity> = {},
    headers: Record<string, string> = {},
    agent: Agent | false = false,
  ) => {
    const form = { grant_type: 'client_credentials', ...(!headers['Authorization'] && { client_id }) };
    return send(tls.token, form, { ...identity, headers, agent });
  };
  /** Posts a form on a TLS connection, with a client certificate if `options` holds one. */
  const send = async (url: string, form: Record<string, string>, options: RequestOptions) => {
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded', ...options.headers };
    const sent = request(url, { method: 'POST', ca: tls.ca, agent: false, ...options, headers });
    sent.end(formOf(form));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const body = JSON.parse((await text(response)) || '{}') as Record<string, string>;
    return { status: response.statusCode, body };
  };
  /** A certificate of the built-in CA for dave. */
  const issued = async (key = at('issued.key')) => {
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
    const csr = openssl('req', '-new', ...made, '-subj', '/CN=x');
    const { status, body } = await dave().post('/certificates', { name: 'service', csr });
    expect(status).toBe(201);
    const identity = { cert: body.certificate as string, key: readFileSync(key, 'utf8') };
    const name = new X509Certificate(identity.cert).subjectAltName!.replace('URI:', '');
    return { id: body.id as string, identity, name };
  };
  const REJECTED = { status: 401, body: expect.objectContaining({ error: 'invalid_client' }) as unknown };

  it('authenticates a client by its registered certificate, and binds its tokens to it', async () => {
    const mine = newIdentity('/CN=whoever');
    const { client_id } = await added({
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [jwkOf(mine)] },
      tls_client_certificate_bound_access_tokens: true,
    });
    const { status, body } = await requestToken(client_id, mine);
    expect(status).toBe(200);
    expect(claimsOf(body['access_token'])).toMatchObject({
      client_id,
      cnf: { 'x5t#S256': thumbprintOf(mine) },
    });
    expect(await requestToken(client_id, newIdentity('/CN=whoever'))).toEqual(REJECTED);
    expect(await requestToken(client_id)).toEqual(REJECTED);
  });

  it('publishes an alias of each endpoint that a client calls, and accepts certificates there', async () => {
    const called = Object.entries(metadata).filter(([name]) => name.endsWith('_endpoint'));
    const ofBrowsers = ['authorization_endpoint', 'end_session_endpoint'];
    const { origin } = new URL(tls.token);
    expect(aliases).toEqual(
      Object.fromEntries(
        called
          .filter(([name]) => !ofBrowsers.includes(name))
          .map(([name, url]) => [name, url.replace(booted.origin, origin)]),
      ),
    );
    const redirect_uri = 'https://localhost:4443/callback';
    const mine = newIdentity('/CN=client');
    const { client_id } = await added({
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [jwkOf(mine)] },
      redirect_uris: [redirect_uri],
      response_types: ['code'],
      grant_types: ['authorization_code', DEVICE_CODE, CIBA],
      backchannel_token_delivery_mode: 'poll',
      account: undefined,
    });
    const pkce = { code_challenge: CHALLENGE, code_challenge_method: 'S256' };
    const authorization = { scope: 'openid', response_type: 'code', redirect_uri, ...pkce };
    const named = { scope: 'openid', login_hint: 'bob', binding_message: 'Call 4711' };
    for (const [name, success, form] of [
      ['introspection_endpoint', 200, { token: 'unknown' }],
      ['revocation_endpoint', 200, { token: 'unknown' }],
      ['pushed_authorization_request_endpoint', 201, authorization],
      ['device_authorization_endpoint', 200, { scope: 'openid' }],
      ['backchannel_authentication_endpoint', 200, named],
    ] as const) {
      const url = aliases[name]!;
      const statusWith = async (identity: Identity) =>
        (await send(url, { client_id, ...form }, identity)).status;
      expect([name, await statusWith(mine)]).toEqual([name, success]);
      expect([name, await statusWith(newIdentity('/CN=client'))]).toEqual([name, 401]);
    }
  });

  it.each([
    [
      'with the key usage of a client only',
      ['basicConstraints=critical,CA:FALSE', 'keyUsage=digitalSignature'],
    ],
    ['for client authentication only', ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=clientAuth']],
  ])('accepts a registered self-signed certificate %s', async (_, extensions) => {
    const mine = newIdentity('/CN=client', undefined, extensions);
    const { client_id } = await added({
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [jwkOf(mine)] },
    });
    expect(await requestToken(client_id, mine)).toMatchObject({ status: 200 });
    expect(await requestToken(client_id, newIdentity('/CN=client', undefined, extensions))).toEqual(REJECTED);
  });

  it('authenticates a client by the name in a certificate of the built-in CA', async () => {
    const key = at('alice.key');
    const { identity, name } = await issued(key);
    const auth = { token_endpoint_auth_method: 'tls_client_auth' };
    const { client_id } = await added({ ...auth, tls_client_auth_san_uri: name });
    expect(await requestToken(client_id, identity)).toMatchObject({ status: 200 });
    const other = await added({ ...auth, tls_client_auth_san_uri: `${name}2` });
    expect(await requestToken(other.client_id, identity)).toEqual(REJECTED);
    const forged = at('forged.crt');
    openssl(
      'req',
      '-x509',
      '-days',
      '1',
      '-key',
      key,
      '-subj',
      '/CN=x',
      '-addext',
      `subjectAltName=URI:${name}`,
      '-out',
      forged,
    );
    expect(await requestToken(client_id, { ...identity, cert: readFileSync(forged, 'utf8') })).toEqual(
      REJECTED,
    );
    expect(await requestToken(client_id)).toEqual(REJECTED);
  });

  it.each([
    [
      'after its revocation',
      async (id: string) => {
        const { status } = await dave().send('DELETE', `/certificates/${id}`);
        expect(status).toBe(204);
      },
    ],
    [
      'at once after another process revoked it',
      (id: string) => booted.db.manager.update('ClientCertificate', { id }, { revokedAt: new Date() }),
    ],
    [
      'after it was replaced by another with its serial number',
      (id: string) => booted.db.manager.update('ClientCertificate', { id }, { fingerprint: '0'.repeat(64) }),
    ],
    ['after its row was removed', (id: string) => booted.db.manager.delete('ClientCertificate', { id })],
    [
      'after its account was disabled',
      () => booted.db.manager.update('User', { id: 'dave' }, { disabledAt: new Date() }),
    ],
  ])('rejects a certificate of the built-in CA on an open connection %s', async (_, revoke) => {
    const { id, identity, name } = await issued();
    const { client_id } = await added({
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_san_uri: name,
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let connections = 0;
    agent.on(
      'keylog',
      (line: Buffer) => (connections += Number(line.includes('CLIENT_HANDSHAKE_TRAFFIC_SECRET'))),
    );
    expect(await requestToken(client_id, identity, {}, agent)).toMatchObject({ status: 200 });
    await revoke(id);
    expect(await requestToken(client_id, identity, {}, agent)).toEqual(REJECTED);
    expect(connections).toBe(1);
    agent.destroy();
  });

  it('requires a certificate for certificate-bound tokens, even with a client secret', async () => {
    const { client_id, client_secret } = await added({ tls_client_certificate_bound_access_tokens: true });
    const secret = basicOf(client_id, client_secret);
    expect(await requestToken(client_id, {}, secret)).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant' },
    });
    const mine = newIdentity('/CN=whoever');
    const { body } = await requestToken(client_id, mine, secret);
    expect(claimsOf(body['access_token'])).toMatchObject({ cnf: { 'x5t#S256': thumbprintOf(mine) } });
  });

  describe('behind a proxy that forwards certificates', () => {
    let proxied: Booted;
    const good = () => newIdentity('/C=CH/O=Bank/CN=service', 'ca');
    beforeAll(async () => {
      const { cert, key } = newIdentity('/CN=Bank CA');
      writeFileSync(at('ca.crt'), cert);
      writeFileSync(at('ca.key'), key);
      const env = { TRUST_PROXY: '127.0.0.1', OAUTH_CLIENT_CA_FILE: at('ca.crt') };
      proxied = await boot({ publicUrlIsOrigin: true, env });
    });
    afterAll(() => proxied.close());

    const token = (where: Booted, client_id: string, identity: Identity) =>
      oauthAt(where.origin).post(
        '/token',
        { grant_type: 'client_credentials', client_id },
        fieldOf(identity),
      );
    const auth = {
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=service,O=Bank,C=CH',
      tls_client_certificate_bound_access_tokens: true,
    };

    it('authenticates a client by the subject of a certificate of a configured CA', async () => {
      const { client_id } = await added(auth, proxied);
      const mine = good();
      const { status, body } = await token(proxied, client_id, mine);
      expect(status).toBe(200);
      expect(claimsOf(body.access_token)).toMatchObject({ cnf: { 'x5t#S256': thumbprintOf(mine) } });
    });

    it('requires the certificate of a bound token at the userinfo endpoint', async () => {
      const { client_id, client_secret } = await added(
        {
          tls_client_certificate_bound_access_tokens: true,
          grant_types: ['authorization_code'],
          response_types: ['code'],
          redirect_uris: [WEB_CALLBACK],
          account: undefined,
        },
        proxied,
      );
      const oauth = oauthAt(proxied.origin);
      const mine = good();
      const code = await oauth.code({ client_id, scope: 'openid documents:read' });
      const headers = { ...basicOf(client_id, client_secret), ...fieldOf(mine) };
      const { access_token } = (await oauth.redeem(code, {}, headers)).body;
      const { get } = client(proxied.origin, { Authorization: `Bearer ${access_token}` });
      expect((await get('/oidc/me')).status).toBe(401);
      expect((await get('/oidc/me', fieldOf(newIdentity('/CN=other', 'ca')))).status).toBe(401);
      expect((await get('/oidc/me', fieldOf(mine))).body).toMatchObject({ sub: 'bob' });
    });

    it('rejects certificates that the proxy has not verified', async () => {
      const { client_id } = await added(auth, proxied);
      for (const identity of [
        newIdentity('/C=CH/O=Bank/CN=service'),
        newIdentity('/C=CH/O=Bank/CN=other', 'ca'),
      ])
        expect((await token(proxied, client_id, identity)).body.error).toBe('invalid_client');
    });

    it('ignores the Client-Cert header of an untrusted address', async () => {
      const mine = newIdentity('/CN=whoever');
      const { client_id } = await added({
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        jwks: { keys: [jwkOf(mine)] },
      });
      expect((await token(booted, client_id, mine)).body.error).toBe('invalid_client');
    });
  });

  it.each([
    ['a missing file', () => at('none.crt'), 'ENOENT'],
    ['a file without a certificate', () => at('ca.key'), 'OAUTH_CLIENT_CA_FILE holds no certificate'],
  ])('does not start if OAUTH_CLIENT_CA_FILE is %s', async (_, file, reason) => {
    await expect(boot({ env: { OAUTH_CLIENT_CA_FILE: file() } })).rejects.toThrow(reason);
  });

  it('rejects ambiguous certificate names', async () => {
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const made = async (names: x509.JsonGeneralNames, name = 'CN=x') =>
      new X509Certificate(
        Buffer.from(
          (
            await x509.X509CertificateGenerator.createSelfSigned({
              name,
              keys,
              signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
              extensions: [new x509.SubjectAlternativeNameExtension(names)],
            })
          ).rawData,
        ),
      );
    const uri = 'https://good.example/';
    const plain = await made([{ type: 'url', value: uri }]);
    expect(subjectMatches(plain, 'tls_client_auth_san_uri', uri)).toBe(true);
    expect(subjectMatches(plain, 'tls_client_auth_san_dns', uri)).toBe(false);
    expect(subjectMatches(plain, 'tls_client_auth_subject_dn', 'CN=x')).toBe(true);
    expect(subjectMatches(plain, 'tls_client_auth_issuer', 'CN=x')).toBe(false);
    const odd = await made([{ type: 'dns', value: `a, URI:${uri}, b` }], 'CN=x\\, O\\=Bank');
    expect(subjectMatches(odd, 'tls_client_auth_san_uri', uri)).toBe(false);
    expect(subjectMatches(odd, 'tls_client_auth_subject_dn', 'CN=x, O=Bank')).toBe(false);
  });
});
