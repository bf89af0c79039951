import {
  Controller,
  Get,
  Header,
  Injectable,
  NotFoundException,
  Param,
  StreamableFile,
  type Type,
} from '@nestjs/common';
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { Describe, ExcludeFromOpenApi, Tag } from '../authentication/describe.js';
import { Public, SelfService } from '../authentication/plan.js';
import { OpenApiService } from './openapi.service.js';

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Auth Atlas</title>
    <link rel="icon" href="/openapi/favicon-32x32.png">
    <link rel="stylesheet" href="/openapi/swagger-ui.css">
    <link rel="stylesheet" href="/openapi/page.css">
  </head>
  <body>
    <main id="page"></main>
    <script src="/openapi/swagger-ui-bundle.js"></script>
    <script src="/openapi/page.js"></script>
  </body>
</html>
`;

/** Long words and wide tables scroll in their own box, so that the page fits a phone. */
const STYLE = `body { margin: 0; overflow: hidden auto; overflow-wrap: anywhere; }
.swagger-ui .wrapper { box-sizing: border-box; padding: 0 12px; }
.swagger-ui table, .swagger-ui pre { display: block; max-width: 100%; overflow-x: auto; }
@media (max-width: 640px) {
  .swagger-ui .opblock .opblock-summary, .swagger-ui .opblock-tag { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-path { max-width: 100%; }
  .swagger-ui .scheme-container .schemes { flex-direction: column; }
}
`;

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#page', deepLinking: true, validatorUrl: null });
`;

/** The files of Swagger UI. Only these names reach the file system. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const resolve = createRequire(import.meta.url).resolve;

/** Allows scripts, styles and requests of this origin only. Swagger UI sets inline styles. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * `GET /openapi.json` and Swagger UI at `GET /openapi`.
 *
 * Written here because the routes of `SwaggerModule.setup` bypass guards and need inline scripts
 * (test/http/openapi.e2e-spec.ts).
 */
@Injectable()
abstract class OpenApiController {
  constructor(private readonly openapi: OpenApiService) {}

  @Get('openapi.json')
  @Describe('Read this document', { response: z.looseObject({ openapi: z.string() }) })
  @Header('Content-Type', 'application/json; charset=utf-8')
  readOpenApiDocument(): Promise<string> {
    return this.openapi.json();
  }

  @Get('openapi')
  @ExcludeFromOpenApi()
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', PAGE_POLICY)
  page(): string {
    return PAGE;
  }

  @Get('openapi/page.css')
  @ExcludeFromOpenApi()
  @Header('Content-Type', 'text/css; charset=utf-8')
  style(): string {
    return STYLE;
  }

  @Get('openapi/page.js')
  @ExcludeFromOpenApi()
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  start(): string {
    return START;
  }

  @Get('openapi/:file')
  @ExcludeFromOpenApi()
  file(@Param('file') file: string): StreamableFile {
    const type = Object.hasOwn(FILES, file) ? FILES[file] : undefined;
    if (!type) throw new NotFoundException();
    return new StreamableFile(createReadStream(resolve(`swagger-ui-dist/${file}`)), { type });
  }
}

@Controller()
@Tag('OpenAPI', 'This document.')
@Public()
class PublicOpenApiController extends OpenApiController {}

@Controller()
@Tag('OpenAPI', 'This document.')
@SelfService()
class ProtectedOpenApiController extends OpenApiController {}

/** Public in development. In production it requires any credential, because the document helps an attacker. */
export const openApiController = (production: boolean): Type =>
  production ? ProtectedOpenApiController : PublicOpenApiController;
