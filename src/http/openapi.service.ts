import { Injectable, type INestApplication } from '@nestjs/common';

/** Builds the OpenAPI document for its first reader: Nest's module for Swagger is too large to load at every start. */
@Injectable()
export class OpenApiService {
  private app!: INestApplication;
  private text: string | undefined;

  setApplication(app: INestApplication): void {
    this.app = app;
  }

  /** The document as JSON text. */
  async json(): Promise<string> {
    const { OpenApiDocument } = await import('./openapi-document.js');
    return (this.text ??= JSON.stringify(new OpenApiDocument(this.app).build()));
  }
}
