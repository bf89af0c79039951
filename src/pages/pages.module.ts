import { Module } from '@nestjs/common';
import { ProblemModule } from '../http/problem.module.js';
import { PagesController } from './pages.controller.js';

/** The template set of all pages. */
@Module({ imports: [ProblemModule], controllers: [PagesController] })
export class PagesModule {}
