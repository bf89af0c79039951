import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { Schema } from '../database/data-source.js';
import { LogoutController } from './logout.controller.js';
import { Tenant, User } from './user.entity.js';
import { UsersDemo } from './users.demo.js';
import { Users1700000001000, UsersEpoch1700000300000 } from './users.migration.js';

export const usersSchema: Schema = {
  entities: [Tenant, User],
  migrations: [Users1700000001000, UsersEpoch1700000300000],
};

@Module({
  imports: [TypeOrmModule.forFeature([User])],
  controllers: [LogoutController],
  providers: [UsersDemo],
  exports: [TypeOrmModule],
})
export class UsersModule {}
