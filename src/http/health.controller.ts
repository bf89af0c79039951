import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { HealthCheckService, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { z } from 'zod';
import { WriteCheck } from '../database/write-check.service.js';
import { Describe, Tag } from '../authentication/describe.js';
import { Public } from '../authentication/plan.js';

const Health = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });

const TIMEOUT_MS = 1_000;

/** Health checks for an orchestrator. The responses never contain a reason. */
@Controller('health')
@Tag('Health', 'Checks for an orchestrator.')
@Public()
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
    private readonly writeCheck: WriteCheck,
  ) {}

  /** Liveness: restart the process if this fails. */
  @Get('live')
  @Describe('Check that the process runs', { response: Health })
  checkLiveness() {
    return { status: 'ok' };
  }

  /**
   * Readiness: the database responds and can be written. Send the process no requests if this fails.
   * @throws ServiceUnavailableException `service_unavailable`
   */
  @Get('ready')
  @Describe('Check that the process can serve requests', { response: Health })
  async checkReadiness() {
    // The exception of terminus names the failed check and the reason. The problem filter omits both.
    await this.health.check([() => this.database.pingCheck('database', { timeout: TIMEOUT_MS })]);
    await this.assertWritable();
    return { status: 'ok' };
  }

  private async assertWritable(): Promise<void> {
    const deadline = new AbortController();
    const timeout = setTimeout(TIMEOUT_MS, new Error('it takes too long'), { signal: deadline.signal });
    const failure = this.writeCheck.run().catch((error: Error) => error);
    const error = await Promise.race([failure, timeout]);
    deadline.abort();
    if (error) throw new ServiceUnavailableException(`The database cannot be written: ${error.message}`);
  }
}
