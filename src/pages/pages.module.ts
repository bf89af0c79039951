import { Module } from '@nestjs/common';
import { PagesController } from './pages.controller.js';

/** The template set of all pages. */
@Module({ controllers: [PagesController] })
export class PagesModule {}
