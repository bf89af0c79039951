import { Controller, Get } from '@nestjs/common';
import { HealthCheckService, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { Public } from '../authentication/plan.js';

/** Health checks for an orchestrator. The responses never contain a reason. */
@Controller('health')
@Public()
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
  ) {}

  /** Liveness: restart the process if this fails. */
  @Get('live')
  live() {
    return { status: 'ok' };
  }

  /**
   * Readiness: the database responds. Send the process no requests if this fails.
   * @throws ServiceUnavailableException `service_unavailable`
   */
  @Get('ready')
  async ready() {
    // The exception of terminus names the failed check and the reason. The problem filter omits both.
    await this.health.check([() => this.database.pingCheck('database', { timeout: 1_000 })]);
    return { status: 'ok' };
  }
}
