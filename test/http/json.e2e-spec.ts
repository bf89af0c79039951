import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Post, RawBody } from '@nestjs/common';
import { Public } from '../../src/authentication/plan.js';
import { boot, client, type Booted } from '../support/app.js';

@Controller('echo')
@Public()
class Routes {
  @Post() echo(@Body() body: unknown, @RawBody() raw: Buffer | undefined) {
    return { body, missing: body === undefined, raw: raw?.toString('base64') };
  }
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('JSON bodies', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [Routes] })));
  afterAll(() => booted.close());

  const post = async (body: string | Buffer, headers: Record<string, string> = JSON_TYPE) => {
    const response = await fetch(`${booted.origin}/echo`, {
      method: 'POST',
      body: body as BodyInit,
      headers,
    });
    return { status: response.status, body: await response.json() };
  };
  const expectInvalid = async (body: string | Buffer) =>
    expect([String(body).slice(0, 60), await post(body)]).toMatchObject([
      expect.anything(),
      { status: 400, body: { code: 'invalid_json' } },
    ]);

  it('reach the handler both parsed and as raw bytes', async () => {
    const text = '{ "a": [1, true, null, "\\u00e4\u{1f600}"] }';
    const response = await post(text);
    expect(response.body.body).toEqual({ a: [1, true, null, 'ä\u{1f600}'] });
    expect(Buffer.from(response.body.raw, 'base64').toString()).toBe(text);
  });

  it('may be absent', async () => {
    expect((await client(booted.origin).send('POST', '/echo')).body).toEqual({ missing: true });
    expect((await post('', JSON_TYPE)).body).toEqual({ missing: true });
    const chunked = await client(booted.origin).raw(
      'POST /echo HTTP/1.1',
      'Host: a',
      'Transfer-Encoding: chunked',
      'Content-Type: application/json',
      'Connection: close',
      '',
      '0',
      '',
    );
    expect(chunked).toContain('"missing":true');
  });

  it('must be JSON in UTF-8', async () => {
    for (const type of [
      'application/json',
      'Application/JSON; charset=UTF-8',
      'application/json;charset="utf-8"',
    ])
      expect((await post('{}', { 'Content-Type': type })).status).toBe(201);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      'text/json',
      'application/json; charset=utf-16',
      'application/json, text/plain',
      'application/problem+json',
      'json',
      'application/ json',
    ])
      expect([type, (await post('{}', { 'Content-Type': type })).status]).toEqual([type, 415]);
    const untyped = await client(booted.origin).raw(
      'POST /echo HTTP/1.1',
      'Host: a',
      'Content-Length: 2',
      'Connection: close',
      '',
      '{}',
    );
    expect(untyped).toContain(' 415 ');
    const twice = await client(booted.origin).raw(
      'POST /echo HTTP/1.1',
      'Host: a',
      'Content-Type: application/json',
      'Content-Type: text/plain',
      'Content-Length: 2',
      'Connection: close',
      '',
      '{}',
    );
    expect(twice).toContain(' 415 ');
  });

  it('may not be compressed', async () => {
    for (const encoding of ['gzip', 'deflate', 'br', 'identity, gzip'])
      expect((await post('{}', { ...JSON_TYPE, 'Content-Encoding': encoding })).status).toBe(415);
    expect((await post('{}', { ...JSON_TYPE, 'Content-Encoding': 'identity' })).status).toBe(201);
  });

  it('may have exactly 256 KiB', async () => {
    const exact = `"${'x'.repeat(256 * 1024 - 2)}"`;
    expect((await post(exact)).status).toBe(201);
    expect(await post(`${exact} `)).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
  });

  it('may have 32 levels', async () => {
    expect((await post(nested(32))).status).toBe(201);
    await expectInvalid(nested(33));
    await expectInvalid('{"a":'.repeat(33) + '1' + '}'.repeat(33));
    await expectInvalid(nested(100_000));
    await expectInvalid('['.repeat(200_000));
    // Brackets inside strings do not count.
    expect((await post(JSON.stringify('['.repeat(100)))).status).toBe(201);
  });

  it('must be UTF-8 without a byte order mark', async () => {
    await expectInvalid(Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]));
    await expectInvalid(Buffer.from([0x22, 0xff, 0x22]));
    await expectInvalid(Buffer.from([0x22, 0xc0, 0xaf, 0x22])); // overlong "/"
    await expectInvalid(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])); // a surrogate
    await expectInvalid(Buffer.from('{"a":1}', 'utf16le'));
  });

  describe('attacks', () => {
    it('rejects keys that reach a prototype', async () => {
      for (const body of [
        '{"__proto__":{"isAdmin":true}}',
        '{"a":[{"__proto__":1}]}',
        '{"\\u005f_proto__":{"isAdmin":true}}',
        '{"constructor":{"prototype":{"isAdmin":true}}}',
        '{"a":{"constructor":{"b":1,"prototype":{}}}}',
        '{"constructor":{"\\u0070rototype":{}}}',
      ])
        await expectInvalid(body);
      expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
      for (const harmless of [
        '{"constructor":1}',
        '{"prototype":1}',
        '["__proto__","constructor","prototype"]',
        '{"constructor":{"a":{"prototype":1}}}',
      ])
        expect((await post(harmless)).status).toBe(201);
    });

    it('rejects duplicate keys in any spelling', async () => {
      for (const body of [
        '{"role":"user","role":"admin"}',
        '{"a":1,"\\u0061":2}',
        '{"a":{"b":1,"c":[{}],"b":2}}',
        '[{"":1,"":2}]',
        '{"a":"}","a":1}',
        '{"\\ud83d\\ude00":1,"\u{1f600}":2}',
        '{"a":[1,{"a":1}],"a":2}',
      ])
        await expectInvalid(body);
      for (const fine of [
        '{"a":{"a":{"a":1}},"b":{"a":1}}',
        '[{"a":1},{"a":1}]',
        '{"a":"a","b":"a:a"}',
        '{"a":1,"A":2}',
      ])
        expect((await post(fine)).status).toBe(201);
    });

    it('rejects invalid JSON with 400 and accepts every valid document', async () => {
      // prettier-ignore
      const valid = [
        '[]', '{}', ' [ ] ', '"a"', '1', '-0', '0.5e-10', '1E+2', 'true', 'null', '[null,1,"1",{}]',
        '"\\u0000"', '"\\uD834\\uDd1e"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\u2028"', '"\u007f"', '{"":0}',
        '{"a":"b","":[]}', '\t[\r\n1 ]\n', '-1', '1e400', '123456789012345678901234567890', '"\\ud800"',
      ];
      for (const text of valid) expect([text, (await post(text)).status]).toEqual([text, 201]);
      // prettier-ignore
      const invalid = [
        ' ', '[', ']', '[1,]', '[,1]', '[1,,2]', '{"a":1,}', '{a:1}', "{'a':1}", '{"a" 1}', '{"a":}',
        '{"a":1 "b":2}', '{"a"', '[1 true]', '[1]x', '{}{}', '[][]', 'tru', 'True', 'nul', 'NaN',
        'Infinity', '-Infinity', 'undefined', '01', '-01', '+1', '.5', '1.', '1e', '1e+', '0x1', '--1',
        '1_000', '- 1', '"a', 'a"', '"\t"', '"\n"', '"\0"', '"\\x41"', '"\\u12"', '"\\u00G0"', '"\\',
        '"\\a"', '"\u0001"', '/**/1', '1//', '#1', '[1]\u00a0', '\u2060[]', '[\f]', '[\v1]', '{"a":1}#',
        '*', '<a/>', '{"a":"b"}/**/', '["a":1]', '{"a","b"}', '[1:2]', '{1:1}', '{null:1}', '[}', '{]',
        '[{', '["a', '\\u0022a"', '{"a":1}}', '[1]]', 'true false', '\uff11', '[+1]', '[-]', '[1e1e1]',
        '[0.e1]', '"" ""',
      ];
      for (const text of invalid) await expectInvalid(text);
    });
  });
});
