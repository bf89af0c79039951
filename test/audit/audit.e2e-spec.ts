import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { NoticesService } from '../../src/accounts/notices.service.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { FailedAttempts } from '../../src/rate-limits/failed-attempts.service.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { as, boot, client, testMethod, type TestResponse, type Booted } from '../support/app.js';
import { allContracts, ceremonyOf, startsSignIn } from '../support/contracts.js';

const contracts = await allContracts();
const issuers = INSTALLED_METHODS.filter(({ issuer }) => issuer).map(({ name }) => name);
const ceremonies = INSTALLED_METHODS.filter(startsSignIn).map(({ name }) => name);
/** Every installed sign-in. */
const signIns = ceremonies.flatMap((name) => issuers.map((issuer) => ({ name, issuer })));

const headersOf = {
  alice: as({ id: 'alice', roles: ['admin'] }),
  bob: as({ id: 'bob', roles: ['editor'] }),
  carol: as({ id: 'carol', roles: ['viewer'] }),
  dave: as({ id: 'dave', roles: ['auditor'] }),
  mallory: as({ id: 'mallory', roles: ['admin'], tenantId: 'globex' }),
};

describe('the audit log', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { TRUST_PROXY: '127.0.0.1' } })));
  afterAll(() => booted.close());

  const of = (who: keyof typeof headersOf, at = booted) => client(at.origin, headersOf[who]);
  /** The events of a request. Rejections are stored in batches, so flush first. */
  const eventsOf = async ({ headers }: TestResponse, at = booted) => {
    await at.app.get(AuditLog).flush();
    const requestId = headers.get('x-request-id')!;
    return at.db.manager.find(AuditEvent, { where: { requestId }, order: { seq: 'ASC' } });
  };
  const draft = async () => (await of('bob').post('/documents', { title: 'a draft' })).body as { id: string };

  describe('has one event per rejected request, with method, reason, actor, address and request id', () => {
    const expectEvent = async (response: TestResponse, status: number, event: object, at = booted) => {
      expect(response.status).toBe(status);
      const requestId = response.headers.get('x-request-id');
      expect(await eventsOf(response, at)).toMatchObject([
        { userId: null, method: null, target: null, ip: '127.0.0.1', requestId, ...event },
      ]);
    };
    const carol = { userId: 'carol', tenantId: 'acme', method: 'test' };

    it('401 without a credential', async () => {
      const details = { code: 'unauthenticated', route: '/me' };
      await expectEvent(await client(booted.origin).get('/me'), 401, { event: 'authn_login_fail', details });
    });

    it.each(contracts)('401 for a wrong credential of $name', async ({ name, unknown, code }) => {
      const response = await client(booted.origin, unknown).get('/me');
      const details = { code, reason: expect.any(String), route: '/me' };
      await expectEvent(response, 401, { event: 'authn_login_fail', method: name, details });
    });

    it('403, with the account', async () => {
      const response = await of('carol').post('/documents', { title: 'no' });
      const details = { code: 'forbidden', route: '/documents' };
      await expectEvent(response, 403, { ...carol, event: 'authz_fail', details });
    });

    it('400 for an invalid query', async () => {
      const response = await of('carol').get('/documents?isAdmin=true');
      const details = { code: 'invalid_query', route: '/documents' };
      await expectEvent(response, 400, { ...carol, event: 'input_validation_fail', details });
    });

    it('422 for an invalid body', async () => {
      const response = await of('bob').post('/documents', { title: 'x', isAdmin: true });
      const details = { code: 'invalid_body', route: '/documents' };
      await expectEvent(response, 422, {
        userId: 'bob',
        method: 'test',
        event: 'input_validation_fail',
        details,
      });
    });

    it.each<[number, string, string, Record<string, string>]>([
      [400, 'invalid_json', '{', { 'Content-Type': 'application/json' }],
      [415, 'unsupported_media_type', '<a/>', { 'Content-Type': 'text/xml' }],
      [413, 'payload_too_large', ' '.repeat(300_000), { 'Content-Type': 'application/json' }],
    ])('%i for %s, before the caller is authenticated', async (status, code, body, headers) => {
      const response = await client(booted.origin).send('POST', '/documents', { body, headers });
      await expectEvent(response, status, { event: 'input_validation_fail', details: { code } });
    });

    it('400 for bytes that are not HTTP', async () => {
      const response = await client(booted.origin).raw('what is this', '', '');
      const headers = new Headers({ 'X-Request-Id': /X-Request-Id: (\S+)/.exec(response)![1]! });
      const details = { code: 'bad_request' };
      await expectEvent({ status: 400, headers, body: '' }, 400, { event: 'input_validation_fail', details });
    });

    it('429', async () => {
      const busy = await boot({ env: { RATE_LIMIT_PER_ADDRESS: '1' } });
      try {
        await of('carol', busy).get('/me');
        const response = await of('carol', busy).get('/me');
        const details = { code: 'too_many_requests', route: '/me' };
        await expectEvent(response, 429, { event: 'excess_rate_limit_exceeded', details }, busy);
      } finally {
        await busy.close();
      }
    });

    it('records the address that a trusted proxy states, and that of the connection if it states none', async () => {
      const from = async (address: string) =>
        (await eventsOf(await client(booted.origin, { 'X-Forwarded-For': address }).get('/me'))).map(
          ({ ip }) => ip,
        );
      expect(await from('2001:db8::1')).toEqual(['2001:db8::1']);
      expect(await from('fe80::1%eth0')).toEqual(['fe80::1']);
      expect(await from('203.0.113.9:20001')).toEqual(['203.0.113.9']);
      expect(await from(`my-secret-${'x'.repeat(100)}`)).toEqual(['127.0.0.1']);
    });
  });

  describe('has one event per change, committed together with it', () => {
    it('for creating, changing, sharing and deleting a document', async () => {
      const bob = of('bob');
      const made = await bob.post('/documents', { title: 'a draft' });
      const path = `/documents/${made.body.id}`;
      const next = (response: TestResponse) => ({ 'If-Match': response.headers.get('etag')! });
      const changed = await bob.send('PATCH', path, {
        body: { title: 'b', notes: 'c' },
        headers: next(made),
      });
      const share = (method: string, before: TestResponse, body?: object) =>
        bob.send(method, `${path}/shares/carol`, { ...(body && { body }), headers: next(before) });
      const shared = await share('PUT', changed, { level: 'update' });
      const unshared = await share('DELETE', shared);
      const deleted = await bob.send('DELETE', path, { headers: next(unshared) });
      const events = await Promise.all(
        [made, changed, shared, unshared, deleted].map((each) => eventsOf(each)),
      );
      const common = {
        userId: 'bob',
        tenantId: 'acme',
        method: 'test',
        ip: '127.0.0.1',
        target: `document:${made.body.id}`,
      };
      expect(events).toMatchObject([
        [{ ...common, event: 'sensitive_create', details: {} }],
        [{ ...common, event: 'sensitive_update', details: { fields: ['title', 'notes'] } }],
        [{ ...common, event: 'authz_change', details: { userId: 'carol', level: 'update' } }],
        [{ ...common, event: 'authz_change', details: { userId: 'carol', level: null } }],
        [{ ...common, event: 'sensitive_delete', details: {} }],
      ]);
    });

    it.each(signIns)('for signing in with $name as $issuer', async ({ name, issuer }) => {
      const response = await (await ceremonyOf(name))(booted, 'bob', issuer);
      expect(response.status).toBe(200);
      const events = await eventsOf({ status: 200, headers: response.headers, body: '' });
      expect(events[0]).toMatchObject({
        event: 'authn_login_success',
        userId: 'bob',
        method: name,
        details: { as: issuer },
        ip: '127.0.0.1',
      });
      expect(events.slice(1).map(({ event }) => event)).toEqual([
        expect.stringMatching(/^(session|authn_token)_created$/),
      ]);
    });
  });

  describe('rolls back if the event cannot be stored', () => {
    let tables: string[];
    beforeAll(() => {
      tables = booted.db.entityMetadatas
        .map(({ tableName }) => tableName)
        // A value for one use is used up even if the request fails.
        .filter((name) => !name.startsWith('audit') && name !== 'used_once');
    });
    /** Runs `work` without an audit table, and compares all rows of all other tables. */
    const withoutAuditTable = async (
      work: () => Promise<{ status: number }>,
      but: readonly string[] = [],
    ) => {
      const rows = () =>
        Promise.all(
          tables
            .filter((table) => !but.includes(table))
            .map((table) => booted.db.query(`SELECT * FROM ${table} ORDER BY 1`)),
        );
      // Counts, times and networks of earlier requests are stored in the background.
      for (const service of [FailedAttempts, LastUsed, NoticesService]) await booted.app.get(service).flush();
      const before = await rows();
      await booted.db.query('ALTER TABLE audit_events RENAME TO audit_events_away');
      const { status } = await work();
      await booted.db.query('ALTER TABLE audit_events_away RENAME TO audit_events');
      return { status, unchanged: JSON.stringify(await rows()) === JSON.stringify(before) };
    };
    const rolledBack = { status: 500, unchanged: true };

    it('creating, changing, sharing and deleting a document', async () => {
      const { id } = await draft();
      const headers = { 'If-Match': '"1"' };
      const send = (method: string, path: string, body?: object) => () =>
        of('bob').send(method, path, { ...(body && { body }), headers });
      expect(await withoutAuditTable(send('POST', '/documents', { title: 'x' }))).toEqual(rolledBack);
      expect(await withoutAuditTable(send('PATCH', `/documents/${id}`, { title: 'x' }))).toEqual(rolledBack);
      const share = `/documents/${id}/shares/carol`;
      expect(await withoutAuditTable(send('PUT', share, { level: 'read' }))).toEqual(rolledBack);
      expect(await withoutAuditTable(send('DELETE', `/documents/${id}`))).toEqual(rolledBack);
    });

    it.each(signIns)('signing in with $name as $issuer', async ({ name, issuer }) => {
      const signIn = await ceremonyOf(name);
      // So that the address of the sign-in is already known.
      expect((await signIn(booted, 'alice', issuer)).status).toBe(200);
      // A ceremony stores the identity that it signs in with.
      const own = INSTALLED_METHODS.find((method) => method.name === name)?.entities ?? [];
      const brought = own.map((entity) => booted.db.getMetadata(entity).tableName);
      expect(await withoutAuditTable(() => signIn(booted, 'alice', issuer), brought)).toEqual(rolledBack);
    });

    it('reading the log', async () => {
      expect((await withoutAuditTable(() => of('alice').get('/audit/events'))).status).toBe(500);
    });

    it('not a rejected request, whose event is stored later', async () => {
      let response!: TestResponse;
      await withoutAuditTable(async () => {
        response = await client(booted.origin).get('/me');
        await booted.app.get(AuditLog).flush();
        return response;
      });
      expect(response.status).toBe(401);
      expect(await eventsOf(response)).toHaveLength(1);
    });
  });

  describe('contains no secret and no text of the caller', () => {
    const CANARY = 'canary-7f3c9a51e0';
    const scan = async (...secrets: string[]) => {
      await booted.app.get(AuditLog).flush();
      const log = JSON.stringify(await booted.db.query('SELECT * FROM audit_events'));
      return secrets.filter((secret) => log.includes(secret));
    };

    it('from any part of a request', async () => {
      const basic = Buffer.from(`${CANARY}:${CANARY}`).toString('base64');
      const headers: Record<string, string>[] = [
        { Authorization: `Basic ${basic}` },
        { Authorization: `Bearer ${CANARY}` },
        { Authorization: `Bearer ${CANARY}.${CANARY}.${CANARY}` },
        { Authorization: `ApiKey ${CANARY}` },
        { Authorization: `${CANARY} ${CANARY}` },
        { 'X-API-Key': CANARY },
        { Authorization: `Digest username="${CANARY}", realm="auth-atlas", nonce="${CANARY}"` },
        { Authorization: `HMAC-SHA256 id="${CANARY}", signature="${CANARY}"` },
        { Authorization: `AWS4-HMAC-SHA256 Credential=${CANARY}, SignedHeaders=host, Signature=${CANARY}` },
        { Signature: `${CANARY}=:AAAA:`, 'Signature-Input': `${CANARY}=();keyid="${CANARY}"` },
        { 'Webhook-Id': CANARY, 'Webhook-Signature': CANARY, 'Webhook-Source': CANARY },
        { 'Client-Cert': CANARY },
        { Cookie: `session-dev=${CANARY}; ${CANARY}=${CANARY}` },
        { 'X-Forwarded-For': CANARY },
        { 'User-Agent': CANARY, 'X-Request-Id': CANARY, Origin: `https://${CANARY}.test` },
      ];
      const send = client(booted.origin).send;
      // Each from an address of its own, because many rejected requests of one address are only counted.
      for (const each of headers.map((one, i) => ({ 'X-Forwarded-For': `203.0.113.${i}`, ...one }))) {
        await send('GET', `/me?${CANARY}=${CANARY}`, { headers: each });
        await send('POST', `/documents/${CANARY}`, { headers: each, body: { [CANARY]: CANARY } });
        for (const path of ['/auth/login', '/auth/refresh'])
          await send('POST', path, {
            headers: each,
            body: { username: CANARY, password: CANARY, refresh_token: CANARY, as: CANARY },
          });
        for (const as of issuers)
          await send('POST', '/auth/login', {
            headers: each,
            body: { username: CANARY, password: CANARY, as },
          });
      }
      await of('bob').post('/documents', { title: CANARY, body: CANARY, notes: CANARY });
      await of('bob').get(`/documents/${CANARY}?cursor=${CANARY}`);
      await of('alice').get(`/audit/events?userId=${CANARY}`);
      await of('alice').get(`/audit/events?cursor=${CANARY}`);
      await client(booted.origin).raw(`${CANARY} /${CANARY} HTTP/1.1`, `${CANARY}: ${CANARY}`, '', '');
      expect(await scan(CANARY, basic)).toEqual([]);
    });

    it.each(contracts)('from a valid credential of $name', async ({ issue }) => {
      const { sign, fetch: own = fetch } = await issue(booted, 'bob');
      const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' };
      const request = await sign(new Request(`${booted.origin}/documents`, init));
      const sent = [...request.headers.values()].flatMap((value) => value.split(/[ ;=.,"/]/));
      await own(request);
      const found = await scan(...sent.filter((part) => part.length > 20));
      // The id of the credential is no secret and is in the log.
      const ids = (await booted.db.manager.find(AuditEvent)).map(({ credentialId }) => credentialId);
      expect(found.filter((part) => !ids.includes(part))).toEqual([]);
    });

    it.each(signIns)('from the response of $name as $issuer', async ({ name, issuer }) => {
      const response = await (await ceremonyOf(name))(booted, 'bob', issuer);
      const returned = [await response.text(), ...response.headers.getSetCookie()].flatMap((text) =>
        text.split(/[^\w-]/),
      );
      expect(await scan(...returned.filter((part) => part.length > 20))).toEqual([]);
    });
  });

  describe('reading the log', () => {
    it('is permitted to auditors and admins only', async () => {
      const status = async (headers: Record<string, string>) =>
        (await client(booted.origin, headers).get('/audit/events')).status;
      expect([await status(headersOf.dave), await status(headersOf.alice)]).toEqual([200, 200]);
      expect([await status(headersOf.carol), await status(headersOf.bob), await status({})]).toEqual([
        403, 403, 401,
      ]);
    });

    it('requires the scope audit:read of a limited credential', async () => {
      const read = async (...scopes: string[]) =>
        (await client(booted.origin, as({ id: 'alice', roles: ['admin'], scopes })).get('/audit/events'))
          .status;
      expect([await read('audit:read'), await read('documents:read'), await read()]).toEqual([200, 403, 403]);
    });

    it('returns events of the own tenant only', async () => {
      await of('mallory').post('/documents', { title: 'of globex' });
      await of('bob').post('/documents', { title: 'of acme' });
      await client(booted.origin).get('/me');
      await booted.app.get(AuditLog).flush();
      const tenants = async (who: keyof typeof headersOf) => {
        const { body } = await of(who).get('/audit/events?limit=100');
        return new Set(body.items.map(({ tenantId }: AuditEvent) => tenantId));
      };
      expect(await tenants('mallory')).toEqual(new Set(['globex']));
      expect(await tenants('dave')).toEqual(new Set(['acme']));
      expect((await of('mallory').get('/audit/events?userId=bob')).body.items).toEqual([]);
    });

    it('is an event as well', async () => {
      const response = await of('dave').get('/audit/events?event=sensitive_create&limit=2');
      expect(await eventsOf(response)).toMatchObject([
        {
          event: 'sensitive_read',
          userId: 'dave',
          target: 'audit',
          details: { event: 'sensitive_create', events: 2 },
        },
      ]);
    });

    it('returns the newest events first, page by page, while others are written', async () => {
      const created = [];
      for (let i = 0; i < 5; i++) created.unshift(`document:${(await draft()).id}`);
      const seen: AuditEvent[] = [];
      let cursor: string | null = null;
      do {
        const more: string = cursor ? `&cursor=${encodeURIComponent(cursor)}` : '';
        const { body }: TestResponse = await of('alice').get(`/audit/events?limit=7${more}`);
        seen.push(...(body.items as AuditEvent[]));
        cursor = body.nextCursor as string | null;
        await draft();
      } while (cursor);
      const numbers = seen.map(({ seq }) => seq);
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => b - a));
      const ours = await booted.db.manager.findBy(AuditEvent, { tenantId: 'acme' });
      expect(numbers).toEqual(
        ours
          .map(({ seq }) => seq)
          .filter((seq) => seq <= numbers[0]!)
          .toSorted((a, b) => b - a),
      );
      const targets = seen.filter(({ event }) => event === 'sensitive_create').map(({ target }) => target);
      expect(targets.slice(0, 5)).toEqual(created);
    });

    it('filters by event and by account', async () => {
      const only = async (query: string) => (await of('alice').get(`/audit/events?${query}`)).body.items;
      for (const item of await only('event=authz_change&userId=bob'))
        expect(item).toMatchObject({ event: 'authz_change', userId: 'bob' });
      expect(await only('event=authz_change&userId=bob')).not.toHaveLength(0);
      expect(await only('event=authz_change&userId=carol')).toHaveLength(0);
      for (const query of ['event=nonsense', 'userId=', 'limit=0', 'limit=101', 'tenantId=globex'])
        expect((await of('alice').get(`/audit/events?${query}`)).body.code).toBe('invalid_query');
    });

    it('rejects the cursor of another list', async () => {
      const { nextCursor } = (await of('alice').get('/audit/events?limit=1')).body;
      const use = async (who: keyof typeof headersOf, more = '') =>
        (await of(who).get(`/audit/events?limit=1&cursor=${nextCursor}${more}`)).body.code;
      expect(await use('alice')).toBeUndefined();
      for (const who of ['dave', 'mallory'] as const) expect(await use(who)).toBe('invalid_cursor');
      expect(await use('alice', '&userId=bob')).toBe('invalid_cursor');
    });

    it('returns times in UTC and no hashes', async () => {
      const { body, headers } = await of('alice').get('/audit/events?limit=1');
      expect(Object.keys(body.items[0]).toSorted()).toEqual(
        [
          'at',
          'credentialId',
          'details',
          'event',
          'ip',
          'method',
          'requestId',
          'seq',
          'target',
          'tenantId',
          'userId',
        ].toSorted(),
      );
      expect(body.items[0].at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      expect(headers.get('cache-control')).toBe('no-store');
    });
  });

  describe('a flood of rejected requests', () => {
    it('fills neither memory nor disk, and dropped events are counted', async () => {
      const own = await boot({ methods: [testMethod] });
      const log = own.app.get(AuditLog);
      const [connections, requests] = [5, 1_000];
      const many = connections * requests;
      const flood = Array.from({ length: requests }, (_, i) => [
        'GET /me HTTP/1.1',
        'Host: a',
        ...(i === requests - 1 ? ['Connection: close'] : []),
        '',
      ]);
      const send = () => client(own.origin).raw(...flood.flat(), '');
      try {
        // No batch is stored while another transaction locks the head of the chain.
        await own.db.transaction(async (manager) => {
          await own.app.get(AuditLog).append(manager, { event: 'sensitive_update' });
          const responses = await Promise.all(Array.from({ length: connections }, send));
          expect(responses.join('').match(/HTTP\/1\.1 401 /g)).toHaveLength(many);
          const { waiting } = (log as unknown as { queue: { waiting: unknown[] } }).queue;
          expect(waiting.length).toBeLessThanOrEqual(500);
        });
        await log.flush();
        const events = await own.db.manager.find(AuditEvent);
        const written = events.filter(({ event }) => event === 'authn_login_fail').length;
        const unrecorded = events.reduce((sum, { details }) => sum + Number(details['unrecorded'] ?? 0), 0);
        expect(written).toBeLessThanOrEqual(1_000);
        expect(written + unrecorded).toBe(many);
      } finally {
        await own.close();
      }
    });

    it('does not drop the event of a change', async () => {
      const making = of('bob').post('/documents', { title: 'in between' });
      for (let i = 0; i < 700; i++) booted.app.get(AuditLog).recordInBackground({ event: 'authz_fail' });
      expect(await eventsOf(await making)).toHaveLength(1);
    });
  });

  it('stores the waiting events at shutdown', async () => {
    const own = await boot();
    const write = jest.spyOn(own.app.get(AuditLog), 'write');
    await client(own.origin).get('/me');
    await own.close();
    expect(write.mock.calls.flatMap(([, occurrences]) => occurrences)).toMatchObject([
      { event: 'authn_login_fail' },
    ]);
    await expect(write.mock.results[0]!.value).resolves.toBeUndefined();
  });
});
