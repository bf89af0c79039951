import { Controller, Get } from '@nestjs/common';
import { HealthCheckService, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { Public } from '../authentication/plan.js';

/** For the orchestrator that starts and stops processes. Says whether, and never why. */
@Controller('health')
@Public()
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
  ) {}

  /** The process answers. Restart it where it does not. */
  @Get('live')
  live() {
    return { status: 'ok' };
  }

  /**
   * The process can work: its database answers. Send it no requests where it does not.
   * @throws ServiceUnavailableException `service_unavailable`
   */
  @Get('ready')
  async ready() {
    // What terminus throws says which check failed and why; the problem filter leaves that out.
    await this.health.check([() => this.database.pingCheck('database', { timeout: 1_000 })]);
    return { status: 'ok' };
  }
}
