import { Controller, Get, Header } from '@nestjs/common';
import { ExcludeFromOpenApi } from '../authentication/describe.js';
import { Public } from '../authentication/plan.js';
import { STYLESHEET } from './stylesheet.js';

/** The files that all pages load. */
@Controller('pages')
@Public()
@ExcludeFromOpenApi()
export class PagesController {
  @Get('style.css')
  @Header('Content-Type', 'text/css; charset=utf-8')
  @Header('Cache-Control', 'public, max-age=3600')
  stylesheet(): string {
    return STYLESHEET;
  }
}
