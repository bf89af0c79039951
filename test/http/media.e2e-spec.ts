import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { Public, Consumes } from '../../src/authentication/plan.js';
import { boot, client, type Booted } from '../support/app.js';

@Controller('media')
@Public()
class MediaRoutes {
  @Post('either')
  @HttpCode(200)
  @Consumes('form', 'json')
  either(@Body() body: unknown) {
    return { body };
  }

  @Post('form')
  @HttpCode(200)
  @Consumes('form')
  form(@Body() body: unknown) {
    return { body };
  }

  @Post('unsaid')
  @HttpCode(200)
  unsaid(@Body() body: unknown) {
    return { body };
  }
}

describe('media types of a body', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [MediaRoutes] })));
  afterAll(() => booted.close());

  const FORM = 'application/x-www-form-urlencoded';
  const send = async (path: string, type: string, body: string) => {
    const headers = { 'Content-Type': type };
    const response = await client(booted.origin).send('POST', `/media/${path}`, { body, headers });
    return [response.status, response.body.body ?? response.body.code];
  };

  it('must be JSON by default, because any page can send a form without a preflight', async () => {
    expect(await send('unsaid', 'application/json', '{"a":1}')).toEqual([200, { a: 1 }]);
    expect(await send('unsaid', FORM, 'a=1')).toEqual([415, 'unsupported_media_type']);
    expect(await send('unsaid', 'text/plain', '{"a":1}')).toEqual([415, 'unsupported_media_type']);
  });

  it('must be a form if the route declares so', async () => {
    expect(await send('form', FORM, 'a=1&b=%C3%A9+%26')).toEqual([200, { a: '1', b: 'é &' }]);
    expect(await send('form', `${FORM};charset=UTF-8`, 'a=1')).toEqual([200, { a: '1' }]);
    expect(await send('form', `${FORM};charset=latin1`, 'a=1')).toEqual([415, 'unsupported_media_type']);
    expect(await send('form', 'application/json', '{"a":1}')).toEqual([415, 'unsupported_media_type']);
  });

  it('may be either if the route declares both, and keeps repeated fields', async () => {
    expect(await send('either', 'application/json', '{"a":1}')).toEqual([200, { a: 1 }]);
    expect(await send('either', FORM, 'a=1&a=2')).toEqual([200, { a: ['1', '2'] }]);
  });

  it('has no field that reaches a prototype', async () => {
    expect(await send('form', FORM, '__proto__=1&constructor=2')).toEqual([
      200,
      JSON.parse('{"__proto__":"1","constructor":"2"}'),
    ]);
    expect(({} as { a?: unknown }).a).toBeUndefined();
  });
});
