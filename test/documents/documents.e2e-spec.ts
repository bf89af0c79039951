import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Document, DocumentShare } from '../../src/documents/document.entity.js';
import { DocumentsService } from '../../src/documents/documents.service.js';
import { ListQuery } from '../../src/documents/documents.controller.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';

describe('documents', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  const alice = () => client(booted.origin, as({ id: 'alice', roles: ['admin'] }));
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const carol = () => client(booted.origin, as({ id: 'carol', roles: ['viewer'] }));
  const mallory = () => client(booted.origin, as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }));
  const row = (id: string) => booted.db.manager.findOneByOrFail(Document, { id });
  const draft = async (body: object = {}, who = bob()) => {
    const response = await who.post('/documents', { title: 'a draft', ...body });
    expect(response.status).toBe(201);
    return response.body.id as string;
  };
  const rejectionOf = ({ status, body }: TestResponse) => [status, body.code];
  const fieldsOf = ({ body }: TestResponse) => body.errors.map(({ field }: { field: string }) => field);

  describe('one document', () => {
    it('is created as a draft of the caller, with Location and ETag', async () => {
      const { status, headers, body } = await bob().post('/documents', {
        title: ' Plan ',
        body: 'text',
        notes: 'mine',
      });
      expect(status).toBe(201);
      expect(body).toMatchObject({
        title: 'Plan',
        body: 'text',
        notes: 'mine',
        status: 'draft',
        classification: 'internal',
        ownerId: 'bob',
        tenantId: 'acme',
        version: 1,
        shares: [],
      });
      expect(headers.get('location')).toBe(`/documents/${body.id}`);
      expect(headers.get('etag')).toBe('"1"');
      expect((await bob().get(headers.get('location')!)).body).toEqual(body);
    });

    it('contains only the fields that the caller may read', async () => {
      const keys = async (who: ReturnType<typeof client>, id: string) =>
        Object.keys((await who.get(`/documents/${id}`)).body);
      const id = 'alice-published-internal';
      expect(await keys(alice(), id)).toEqual(expect.arrayContaining(['body', 'notes', 'shares']));
      const carols = await keys(carol(), id);
      expect(carols).toContain('body');
      expect(carols).not.toContain('notes');
      expect(carols).not.toContain('shares');
      const dave = client(booted.origin, as({ id: 'dave', roles: ['auditor'] }));
      expect(await keys(dave, id)).not.toContain('body');
      const { body } = await dave.get('/documents?limit=100');
      for (const item of body.items) expect(Object.keys(item)).not.toContain('body');
    });

    it('is shared with one user at a time, at the level read or update', async () => {
      const id = await draft();
      expect((await carol().get(`/documents/${id}`)).status).toBe(404);
      const share = (etag: string, level: string) =>
        bob().send('PUT', `/documents/${id}/shares/carol`, {
          body: { level },
          headers: { 'If-Match': etag },
        });
      const shared = await share('"1"', 'read');
      expect([shared.status, shared.headers.get('etag')]).toEqual([200, '"2"']);
      expect(shared.body.shares).toEqual([{ userId: 'carol', level: 'read' }]);
      expect((await carol().get(`/documents/${id}`)).status).toBe(200);
      const update = () =>
        carol().send('PATCH', `/documents/${id}`, {
          body: { title: 'by carol' },
          headers: { 'If-Match': '*' },
        });
      expect(rejectionOf(await update())).toEqual([403, 'forbidden']);
      expect((await share('"2"', 'update')).body.shares).toEqual([{ userId: 'carol', level: 'update' }]);
      expect((await update()).body.title).toBe('by carol');
      const ended = await bob().send('DELETE', `/documents/${id}/shares/carol`, {
        headers: { 'If-Match': '"4"' },
      });
      expect([ended.status, ended.body.shares]).toEqual([200, []]);
      expect((await carol().get(`/documents/${id}`)).status).toBe(404);
    });

    it('loses one share as a new version; deleting a missing share changes nothing', async () => {
      const [id, another] = [await draft(), await draft()];
      const shares = [id, another].flatMap((documentId) =>
        ['carol', 'dave'].map((userId) => ({ documentId, userId, level: 'update' as const })),
      );
      await booted.db.manager.insert(DocumentShare, shares);
      const end = (who: ReturnType<typeof client>, userId: string) =>
        who.send('DELETE', `/documents/${id}/shares/${userId}`, { headers: { 'If-Match': '*' } });
      const put = await carol().send('PUT', `/documents/${id}/shares/alice`, {
        body: { level: 'read' },
        headers: { 'If-Match': '*' },
      });
      for (const response of [put, await end(carol(), 'dave')]) {
        expect(rejectionOf(response)).toEqual([422, 'field_not_permitted']);
        expect(fieldsOf(response)).toEqual(['shares']);
      }
      for (const userId of ['carol', 'carol', 'nobody'])
        expect((await end(bob(), userId)).headers.get('etag')).toBe('"2"');
      expect(await row(id)).toMatchObject({ version: 2 });
      expect(await booted.db.manager.countBy(DocumentShare, { documentId: id, userId: 'dave' })).toBe(1);
      expect(await booted.db.manager.countBy(DocumentShare, { documentId: another })).toBe(2);
    });

    it('rejects fields that are too long and changes that are empty', async () => {
      for (const [field, most] of [
        ['title', 200],
        ['body', 16_000],
        ['notes', 4_000],
      ] as const) {
        await draft({ [field]: 'x'.repeat(most) });
        const response = await bob().post('/documents', { title: 'x', [field]: 'x'.repeat(most + 1) });
        expect([...rejectionOf(response), ...fieldsOf(response)]).toEqual([422, 'invalid_body', field]);
      }
      expect(rejectionOf(await bob().post('/documents', { title: ' ' }))).toEqual([422, 'invalid_body']);
      const nothing = await bob().send('PATCH', '/documents/bob-draft-internal', {
        body: {},
        headers: { 'If-Match': '*' },
      });
      expect(rejectionOf(nothing)).toEqual([422, 'invalid_body']);
      for (const [name, good, bad] of [
        ['limit', '100', '101'],
        ['cursor', 'x'.repeat(1000), 'x'.repeat(1001)],
        ['ownerId', 'x'.repeat(36), 'x'.repeat(37)],
      ] as const)
        expect([good, bad].map((value) => ListQuery.safeParse({ [name]: value }).success)).toEqual([
          true,
          false,
        ]);
    });

    it('is not shared with a user of another tenant', async () => {
      const id = await draft();
      for (const userId of ['mallory', 'nobody'])
        expect(
          rejectionOf(
            await bob().send('PUT', `/documents/${id}/shares/${userId}`, {
              body: { level: 'read' },
              headers: { 'If-Match': '"1"' },
            }),
          ),
        ).toEqual([422, 'unknown_user']);
      expect(await booted.db.manager.countBy(DocumentShare, { documentId: id })).toBe(0);
      expect((await row(id)).version).toBe(1);
    });

    it('is not shared with more than 100 users', async () => {
      const id = await draft();
      const many = Array.from({ length: 100 }, (_, i) => ({
        id: `u${i}`,
        username: `u${i}`,
        tenantId: 'acme',
        kind: 'user',
        roles: [],
        epoch: 0,
      }));
      await booted.db.manager.insert('users', many);
      await booted.db.manager.insert(
        DocumentShare,
        many.map((user) => ({ documentId: id, userId: user.id, level: 'read' as const })),
      );
      const put = (userId: string) =>
        bob().send('PUT', `/documents/${id}/shares/${userId}`, {
          body: { level: 'update' },
          headers: { 'If-Match': '*' },
        });
      expect(rejectionOf(await put('carol'))).toEqual([409, 'too_many_shares']);
      expect((await put('u7')).status).toBe(200);
    });

    it('has its shares in the order of the users, in every response', async () => {
      const id = await draft();
      const share = (userId: string) =>
        bob().send('PUT', `/documents/${id}/shares/${userId}`, {
          body: { level: 'read' },
          headers: { 'If-Match': '*' },
        });
      await share('dave');
      const put = await share('alice');
      const read = await bob().get(`/documents/${id}`);
      for (const { body } of [put, read])
        expect(body.shares.map(({ userId }: { userId: string }) => userId)).toEqual(['alice', 'dave']);
    });

    it('rejects with the reason of the rule', async () => {
      const { body } = await alice().send('DELETE', '/documents/alice-draft-confidential', {
        headers: { 'If-Match': '"1"' },
      });
      expect(body.detail).toBe(
        'Deleting a confidential or secret document requires a second factor from the last 5 minutes.',
      );
      // Lowering the classification first would make the deletion possible.
      const lowered = await alice().send('PATCH', '/documents/alice-draft-confidential', {
        body: { classification: 'public' },
        headers: { 'If-Match': '"1"' },
      });
      expect([lowered.status, lowered.body.code, lowered.body.detail]).toEqual([
        403,
        body.code,
        'Reclassifying a confidential or secret document requires a second factor from the last 5 minutes.',
      ]);
      expect((await alice().get('/documents/alice-draft-confidential')).body).toMatchObject({
        classification: 'confidential',
        version: 1,
      });
      const id = await draft();
      const classify = await bob().send('PATCH', `/documents/${id}`, {
        body: { classification: 'confidential' },
        headers: { 'If-Match': '"1"' },
      });
      expect([classify.status, classify.body.detail]).toEqual([
        403,
        'Only an admin may classify a document above internal.',
      ]);
    });

    it('is deleted together with its shares', async () => {
      const id = await draft();
      await booted.db.manager.insert(DocumentShare, { documentId: id, userId: 'carol', level: 'read' });
      expect(
        (await bob().send('DELETE', `/documents/${id}`, { headers: { 'If-Match': '"1"' } })).status,
      ).toBe(204);
      expect((await bob().get(`/documents/${id}`)).status).toBe(404);
      expect(await booted.db.manager.countBy(DocumentShare, { documentId: id })).toBe(0);
    });
  });

  describe('conditional writes', () => {
    it('are rejected with 428 without If-Match and with 412 for another version', async () => {
      const id = await draft();
      const patch = (headers?: Record<string, string>) =>
        bob().send('PATCH', `/documents/${id}`, { body: { title: 'new' }, ...(headers && { headers }) });
      expect(rejectionOf(await patch())).toEqual([428, 'precondition_required']);
      for (const stale of ['"0"', '"2"', 'W/"1"', '1', 'x', ''])
        expect(rejectionOf(await patch({ 'If-Match': stale }))).toEqual([412, 'precondition_failed']);
      expect(await row(id)).toMatchObject({ title: 'a draft', version: 1 });
      expect((await patch({ 'If-Match': '"0", "1"' })).headers.get('etag')).toBe('"2"');
      for (const [method, path] of [
        ['DELETE', ''],
        ['PUT', '/shares/carol'],
        ['DELETE', '/shares/carol'],
      ] as const) {
        const send = (headers?: Record<string, string>) =>
          bob().send(method, `/documents/${id}${path}`, {
            ...(method === 'PUT' && { body: { level: 'read' } }),
            ...(headers && { headers }),
          });
        expect(rejectionOf(await send())).toEqual([428, 'precondition_required']);
        expect(rejectionOf(await send({ 'If-Match': '"1"' }))).toEqual([412, 'precondition_failed']);
      }
      expect(await row(id)).toMatchObject({ title: 'new', version: 2 });
    });

    it('write exactly one of twenty concurrent requests on one version', async () => {
      const id = await draft();
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          bob().send('PATCH', `/documents/${id}`, {
            body: { title: `by ${i}` },
            headers: { 'If-Match': '"1"' },
          }),
        ),
      );
      const won = responses.filter(({ status }) => status === 200);
      expect(won).toHaveLength(1);
      for (const lost of responses.filter((each) => each !== won[0])) expect(lost.status).toBe(412);
      expect(await row(id)).toMatchObject({ title: won[0]!.body.title, version: 2 });
    });
  });

  describe('lists', () => {
    const walk = async (who: ReturnType<typeof client>, query: string) => {
      const pages: { id: string; title: string; createdAt: string }[][] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const { status, body }: TestResponse = await who.get(
          `/documents?${query}${cursor && `&cursor=${cursor}`}`,
        );
        expect(status).toBe(200);
        pages.push(body.items);
        cursor = body.nextCursor;
      }
      return pages;
    };

    it('contain every readable document once, in both orders', async () => {
      for (const sort of ['createdAt', 'title'] as const) {
        const whole = (await walk(bob(), `limit=100&sort=${sort}`)).flat();
        const pages = await walk(bob(), `limit=3&sort=${sort}`);
        expect(pages.slice(0, -1).every((page) => page.length === 3)).toBe(true);
        expect(pages.flat()).toEqual(whole);
        expect((await walk(bob(), `limit=4&sort=-${sort}`)).flat()).toEqual(whole.toReversed());
        const values = whole.map((item) => item[sort]);
        expect(values).toEqual([...values].sort());
      }
    });

    it('neither repeat nor skip a row when another is inserted between pages', async () => {
      const first = (await bob().get('/documents?limit=5&sort=createdAt')).body;
      await draft();
      const second = (await bob().get(`/documents?limit=5&sort=createdAt&cursor=${first.nextCursor}`)).body;
      const ids = [...first.items, ...second.items].map((item: { id: string }) => item.id);
      expect(new Set(ids).size).toBe(10);
    });

    it('are filtered by status, classification and owner', async () => {
      const { body } = await bob().get('/documents?ownerId=bob&status=published&classification=confidential');
      expect(body.items.map((item: { id: string }) => item.id)).toEqual(['bob-published-confidential']);
      expect((await bob().get('/documents?ownerId=mallory')).body).toEqual({ items: [], nextCursor: null });
    });
  });

  describe('attacks', () => {
    it("another tenant's document gets the response of a missing one", async () => {
      const body = { title: 'x' };
      const headers = { 'If-Match': '"1"' };
      for (const [method, path, init] of [
        ['GET', '', {}],
        ['PATCH', '', { body, headers }],
        ['PATCH', '', { body }],
        ['DELETE', '', { headers }],
        ['PUT', '/shares/carol', { body: { level: 'read' }, headers }],
        ['DELETE', '/shares/carol', { headers }],
      ] as const) {
        const [foreign, absent] = await Promise.all(
          ['mallory-published-public', randomUUID()].map((id) =>
            alice().send(method, `/documents/${id}${path}`, init),
          ),
        );
        expect(rejectionOf(foreign!)).toEqual([404, 'not_found']);
        expect({ ...foreign!.body, requestId: '' }).toEqual({ ...absent!.body, requestId: '' });
      }
      for (const id of ["' OR 1=1 --", '%00', 'x'.repeat(90), '..%2f..', '%F0%9F%92%A9'])
        expect((await alice().get(`/documents/${encodeURIComponent(id)}`)).status).toBe(404);
    });

    it('a share or an owner of another tenant gives no access', async () => {
      const id = await draft();
      await booted.db.manager.insert(DocumentShare, { documentId: id, userId: 'mallory', level: 'update' });
      await booted.db.manager.update(Document, { id: 'mallory-draft-public' }, { ownerId: 'bob' });
      expect(rejectionOf(await mallory().get(`/documents/${id}`))).toEqual([404, 'not_found']);
      expect(rejectionOf(await bob().get('/documents/mallory-draft-public'))).toEqual([404, 'not_found']);
      await booted.db.manager.update(Document, { id: 'mallory-draft-public' }, { ownerId: 'mallory' });
    });

    it('rejects a body with other fields and names each of them', async () => {
      const id = await draft();
      const before = await row(id);
      const extra = {
        id: 'x',
        tenantId: 'globex',
        ownerId: 'alice',
        version: 9,
        createdAt: '2000-01-01',
        updatedAt: '2000-01-01',
        isAdmin: true,
        role: 'admin',
        owner: { id: 'alice' },
        tenant: { id: 'globex' },
        shares: [{ userId: 'mallory', level: 'update' }],
        __caslSubjectType__: 'Document',
        constructor: 1,
      };
      for (const [method, path, headers] of [
        ['POST', '/documents', {}],
        ['PATCH', `/documents/${id}`, { 'If-Match': '"1"' }],
      ] as const) {
        const response = await bob().send(method, path, { body: { title: 'x', ...extra }, headers });
        expect(rejectionOf(response)).toEqual([422, 'invalid_body']);
        expect(fieldsOf(response).sort()).toEqual(Object.keys(extra).sort());
      }
      const nested = await bob().send('PUT', `/documents/${id}/shares/carol`, {
        body: { level: 'read', userId: 'mallory', document: { ownerId: 'carol' } },
        headers: { 'If-Match': '"1"' },
      });
      expect(fieldsOf(nested).sort()).toEqual(['document', 'userId']);
      expect(await row(id)).toEqual(before);
    });

    it('rejects a change of fields that the caller may not write and names each of them', async () => {
      const id = await draft();
      await booted.db.manager.insert(DocumentShare, { documentId: id, userId: 'carol', level: 'update' });
      const response = await carol().send('PATCH', `/documents/${id}`, {
        body: { title: 'fine', notes: 'not hers', status: 'published' },
        headers: { 'If-Match': '"1"' },
      });
      expect(rejectionOf(response)).toEqual([422, 'field_not_permitted']);
      expect(fieldsOf(response)).toEqual(['notes', 'status']);
      expect(await row(id)).toMatchObject({ title: 'a draft', notes: '', status: 'draft', version: 1 });
    });

    it('rejects filters and sorts on other fields', async () => {
      for (const query of [
        'tenantId=globex',
        'filter[tenantId]=globex',
        'notes=x',
        'body=x',
        'sort=notes',
        'sort=owner.username',
        'shares.userId=carol',
        'ownerId[$ne]=x',
        'where=1',
        'status=draft%27%20OR%201=1--',
        'limit=1e1',
        'limit=-1',
        'limit=0',
        'limit=1000',
        'limit=',
        'sort=',
      ]) {
        const response = await bob().get(`/documents?${query}`);
        expect([query, ...rejectionOf(response)]).toEqual([query, 400, 'invalid_query']);
      }
      const { body } = await bob().get(`/documents?ownerId=${encodeURIComponent("' OR 1=1 --")}`);
      expect(body.items).toEqual([]);
    });

    it('a list contains no trace of the rows that the caller may not read', async () => {
      const { body } = await carol().get('/documents?limit=100');
      expect(Object.keys(body).sort()).toEqual(['items', 'nextCursor']);
      expect(body.nextCursor).toBeNull();
      const text = JSON.stringify(body);
      expect(text).not.toContain('mallory');
      expect(text).not.toContain('alice-draft-secret');
    });

    it('rejects a cursor that was altered or belongs to another caller or list', async () => {
      const query = 'limit=2&sort=createdAt';
      const { nextCursor } = (await bob().get(`/documents?${query}`)).body;
      const [text, signature] = nextCursor.split('.');
      const forged = Buffer.from(JSON.stringify(['2000-01-01', ''])).toString('base64url');
      const rejected = (who: ReturnType<typeof client>, cursor: string, list = query) =>
        who.get(`/documents?${list}&cursor=${encodeURIComponent(cursor)}`).then(rejectionOf);
      for (const cursor of [
        '',
        'x',
        '.',
        `${forged}.${signature}`,
        `${text}.`,
        `${nextCursor}=`,
        `${nextCursor}.`,
        ` ${nextCursor}`,
        `${text}.${signature.slice(0, -1)}`,
      ])
        expect(await rejected(bob(), cursor)).toEqual([400, 'invalid_cursor']);
      expect(await rejected(carol(), nextCursor)).toEqual([400, 'invalid_cursor']);
      expect(await rejected(mallory(), nextCursor)).toEqual([400, 'invalid_cursor']);
      const namesake = client(booted.origin, as({ id: 'bob', tenantId: 'globex', roles: ['editor'] }));
      expect(await rejected(namesake, nextCursor)).toEqual([400, 'invalid_cursor']);
      expect(await rejected(bob(), nextCursor, 'limit=2&sort=-createdAt')).toEqual([400, 'invalid_cursor']);
      expect(await rejected(bob(), nextCursor, `${query}&status=draft`)).toEqual([400, 'invalid_cursor']);
      expect((await bob().get(`/documents?limit=9&sort=createdAt&cursor=${nextCursor}`)).status).toBe(200);
    });

    it('scopes and roles both limit', async () => {
      const limited = client(
        booted.origin,
        as({ id: 'alice', roles: ['admin'], scopes: ['documents:read'] }),
      );
      const wide = client(
        booted.origin,
        as({
          id: 'carol',
          roles: ['viewer'],
          scopes: ['documents:read', 'documents:write', 'documents:delete'],
        }),
      );
      const none = client(booted.origin, as({ id: 'alice', roles: ['admin'], scopes: [] }));
      expect((await limited.get('/documents/alice-draft-internal')).status).toBe(200);
      for (const who of [limited, wide]) {
        expect(rejectionOf(await who.post('/documents', { title: 'x' }))).toEqual([403, 'forbidden']);
        expect(
          rejectionOf(
            await who.send('DELETE', '/documents/alice-published-public', { headers: { 'If-Match': '"1"' } }),
          ),
        ).toEqual([403, 'forbidden']);
      }
      expect(rejectionOf(await none.get('/documents'))).toEqual([403, 'forbidden']);
      const details = async (...responses: Promise<TestResponse>[]) =>
        (await Promise.all(responses)).map(({ body }) => body.detail);
      expect(
        await details(limited.post('/documents', { title: 'x' }), wide.post('/documents', { title: 'x' })),
      ).toEqual(["The credential's scopes do not allow this.", 'You are not allowed to do this.']);
    });

    it('a scope permits its own actions only', async () => {
      const scopes = ['documents:read', 'documents:write'];
      const writer = client(booted.origin, as({ id: 'bob', roles: ['editor'], scopes }));
      const id = await draft({}, writer);
      expect(
        rejectionOf(await writer.send('DELETE', `/documents/${id}`, { headers: { 'If-Match': '"1"' } })),
      ).toEqual([403, 'forbidden']);
      expect((await row(id)).version).toBe(1);
    });

    it('rejects a new status that the editor may not set', async () => {
      const id = await draft();
      const patch = { body: { status: 'archived' }, headers: { 'If-Match': '"1"' } };
      expect(rejectionOf(await bob().send('PATCH', `/documents/${id}`, patch))).toEqual([403, 'forbidden']);
      expect(await row(id)).toMatchObject({ status: 'draft', version: 1 });
    });

    it('rejects a write if the permission is lost between the read and the write', async () => {
      const documents = booted.app.get(DocumentsService);
      const find = documents.find.bind(documents);
      const meanwhile = (changes: Partial<Document>) =>
        jest.spyOn(documents, 'find').mockImplementationOnce(async (ability, id, manager) => {
          const found = await find(ability, id, manager);
          await manager!.update(Document, { id }, changes);
          return found;
        });
      const headers = { 'If-Match': '"1"' };
      for (const changes of [
        { ownerId: 'alice' },
        { status: 'published' },
        { version: 2 },
        { tenantId: 'globex', ownerId: 'mallory' },
      ] as const)
        for (const [method, path, body] of [
          ['PATCH', '', { title: 'stolen' }],
          ['DELETE', '', undefined],
          ['PUT', '/shares/carol', { level: 'read' }],
        ] as const) {
          const id = await draft();
          const spy = meanwhile(changes);
          const response = await bob().send(method, `/documents/${id}${path}`, { body, headers });
          spy.mockRestore();
          expect([method, response.status]).toEqual([method, 412]);
          expect(await row(id)).toMatchObject({ title: 'a draft', version: 1 });
          expect(await booted.db.manager.countBy(DocumentShare, { documentId: id })).toBe(0);
        }
    });

    it('rejects a write if the remaining permission does not cover the written field', async () => {
      const documents = booted.app.get(DocumentsService);
      const find = documents.find.bind(documents);
      const id = await draft();
      await booted.db.manager.insert(DocumentShare, { documentId: id, userId: 'bob', level: 'update' });
      const spy = jest.spyOn(documents, 'find').mockImplementationOnce(async (ability, id, manager) => {
        const found = await find(ability, id, manager);
        await manager!.update(Document, { id }, { ownerId: 'alice' });
        return found;
      });
      const body = { notes: 'no longer his to write' };
      const response = await bob().send('PATCH', `/documents/${id}`, {
        body,
        headers: { 'If-Match': '"1"' },
      });
      spy.mockRestore();
      expect(response.status).toBe(412);
      expect(await row(id)).toMatchObject({ notes: '', version: 1 });
    });

    it('concurrent callers never get each other’s responses', async () => {
      const callers = [alice(), bob(), carol(), mallory()];
      const lists = await Promise.all(callers.map((who) => who.get('/documents?limit=100&sort=createdAt')));
      const turns = Array.from({ length: 400 }, (_, i) => i % callers.length);
      const responses = await Promise.all(
        turns.map((turn) => callers[turn]!.get('/documents?limit=100&sort=createdAt')),
      );
      responses.forEach(({ body }, i) => expect(body).toEqual(lists[turns[i]!]!.body));
    });

    it('neither another method nor another spelling of the path bypasses the guard', async () => {
      const anonymous = client(booted.origin);
      const id = 'bob-draft-internal';
      const before = await row(id);
      expect((await anonymous.send('HEAD', `/documents/${id}`)).status).toBe(401);
      for (const method of ['X-HTTP-Method-Override', 'X-Method-Override', 'X-HTTP-Method'])
        expect(
          (
            await carol().send('GET', `/documents/${id}`, {
              headers: { [method]: 'DELETE', 'If-Match': '"1"' },
            })
          ).status,
        ).toBe(200);
      for (const path of [
        `/documents/${id}/`,
        `//documents/${id}`,
        `/Documents/${id}`,
        `/documents/${id};a`,
        `/documents/${id}%00`,
        `/documents%2f${id}`,
        `/./documents/${id}`,
        `/x/../documents/${id}`,
        `/documents/%62ob-draft-internal`,
      ])
        for (const method of ['GET', 'DELETE'])
          expect([path, [400, 401, 404].includes((await anonymous.send(method, path)).status)]).toEqual([
            path,
            true,
          ]);
      expect(await row(id)).toEqual(before);
    });
  });
});
