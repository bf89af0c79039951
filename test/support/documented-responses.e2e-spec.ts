import { beforeAll, describe, expect, it } from '@jest/globals';
import { ConflictException, Controller, Get, Header, HttpStatus, Res } from '@nestjs/common';
import { z } from 'zod';
import { Describe } from '../../src/authentication/describe.js';
import { Public } from '../../src/authentication/plan.js';
import { boot, client } from './app.js';

const Thing = z.object({ name: z.string() });

/** Each route responds with one thing that its description lacks. */
@Controller('undocumented')
@Public()
class UndocumentedController {
  @Get('status') @Describe('Respond with a status', { response: Thing }) respondWithStatus(
    @Res({ passthrough: true }) response: { status: (status: number) => void },
  ) {
    response.status(HttpStatus.ACCEPTED);
    return { name: 'a' };
  }

  @Get('error') @Describe('Respond with an error', { response: Thing }) respondWithError() {
    throw new ConflictException();
  }

  @Get('code')
  @Describe('Respond with a code', { response: Thing, errors: ['409 known'] })
  respondWithCode() {
    throw new ConflictException({ code: 'unknown', detail: 'Unknown.' });
  }

  @Get('header')
  @Header('X-Thing', '1')
  @Describe('Respond with a header', { response: Thing })
  respondWithHeader() {
    return { name: 'a' };
  }

  @Get('field') @Describe('Respond with a field', { response: Thing }) respondWithField() {
    return { name: 'a', extra: 1 };
  }

  @Get('missing') @Describe('Respond without a field', { response: Thing }) respondWithoutField() {
    return {};
  }

  @Get('type') @Describe('Respond with a type', { response: Thing }) respondWithType() {
    return { name: 1 };
  }

  @Get('body') @Describe('Respond with a body') respondWithBody() {
    return { name: 'a' };
  }

  @Get('media') @Describe('Respond with a media type', { response: Thing }) respondWithMediaType(
    @Res({ passthrough: true }) response: { header: (name: string, value: string) => void },
  ) {
    response.header('Content-Type', 'text/plain; charset=utf-8');
    return 'a';
  }

  @Get('nothing') @Describe('Respond as described', { response: Thing }) respondAsDescribed() {
    return { name: 'a' };
  }
}

const requestEach = async (...routes: readonly string[]): Promise<string> => {
  const booted = await boot({ controllers: [UndocumentedController] });
  for (const route of routes) await client(booted.origin).get(`/undocumented/${route}`);
  return booted.close().then(
    () => 'no fault',
    (error: Error) => error.message,
  );
};

describe('a test application', () => {
  let message: string;
  beforeAll(async () => {
    message = await requestEach(
      ...['status', 'error', 'code', 'header', 'field', 'missing', 'type', 'body', 'media', 'nothing'],
    );
  });

  it.each([
    ['status', 'GET /undocumented/status 202: the status'],
    ['status of an error', 'GET /undocumented/error 409: the status'],
    ['error code', 'GET /undocumented/code 409: the code unknown'],
    ['header', 'GET /undocumented/header 200: the header x-thing'],
    ['field', 'GET /undocumented/field 200: data must NOT have additional properties'],
    ['absence of a field', "GET /undocumented/missing 200: data must have required property 'name'"],
    ['type', 'GET /undocumented/type 200: data/name must be string'],
    ['body', 'GET /undocumented/body 200: the media type application/json'],
    ['media type', 'GET /undocumented/media 200: the media type text/plain'],
  ])('fails to close after a response with an undescribed %s', (_what, fault) => {
    expect(message).toContain(fault);
  });

  it('closes after responses that are described', async () => {
    expect(message).not.toContain('/undocumented/nothing');
    expect(await requestEach('nothing')).toBe('no fault');
  });
});
