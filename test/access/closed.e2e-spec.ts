import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { Public, SelfService } from '../../src/auth/index.js';
import { as, boot, client, type Booted } from '../app.js';

@Controller()
class Routes {
  @Get('open') @Public() open() {
    return { reached: true };
  }
  @Get('mine') @SelfService() mine() {
    return { reached: true };
  }
  @Get('no-rule') noRule() {
    return { reached: true };
  }
}

describe('closed by default', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ also: [Routes] })));
  afterAll(() => booted.close());

  it('opens only what says so', async () => {
    const anonymous = client(booted.origin);
    expect((await anonymous.get('/open')).status).toBe(200);
    const refused = await anonymous.get('/mine');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('Test');
    const alice = client(booted.origin, as({ id: 'alice' }));
    expect((await alice.get('/mine')).status).toBe(200);
    expect((await alice.get('/no-rule')).status).toBe(403);
  });
});
