import { Controller, Get, Module, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { AuthMethod } from '../../src/authentication/method.js';
import { Public, SelfService } from '../../src/authentication/plan.js';
import { AbilityFactory } from '../../src/authorization/ability.factory.js';
import type { AppAbility } from '../../src/authorization/app-ability.js';
import { accessiblePage } from '../../src/authorization/sql/keyset-pages.js';
import { Document } from '../../src/documents/document.entity.js';
import { PRINCIPAL } from './principal.js';

/** The baseline of the guarded routes: the same responses without authentication. */
@Controller()
class UnguardedController {
  private readonly ability: AppAbility;

  constructor(
    private readonly dataSource: DataSource,
    abilities: AbilityFactory,
  ) {
    this.ability = abilities.for(PRINCIPAL);
  }

  @Get('unguarded/demo')
  @Public()
  demo() {
    return PRINCIPAL;
  }

  @Post('unguarded/demo')
  @Public()
  post() {
    return PRINCIPAL;
  }

  @Post('signed-in/demo')
  @SelfService()
  postSignedIn() {
    return PRINCIPAL;
  }

  @Get('unguarded/documents')
  @Public()
  open() {
    return this.documents();
  }

  @Get('signed-in/documents')
  @SelfService()
  signedIn() {
    return this.documents();
  }

  /** The SQL of bob's page, with an ability that is created once. */
  private async documents() {
    const { rows } = await accessiblePage(this.dataSource.manager, Document, this.ability, {
      action: 'read',
      sort: { property: 'createdAt', direction: 'DESC' },
      limit: 20,
      relations: ['shares'],
    });
    return { items: rows, nextCursor: null };
  }
}

@Module({ controllers: [UnguardedController] })
class UnguardedModule {}

/** A method of the application without a strategy, which adds the routes. */
export const unguarded = { name: 'unguarded', module: UnguardedModule } as unknown as AuthMethod;
