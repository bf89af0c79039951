import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { html } from '../../src/pages/html.js';
import { contentSecurityPolicy, formActionSources } from '../../src/pages/layout.js';

const RUNS = { numRuns: 10_000 };
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('<', '>', '"', "'", '`', '&', '=', ' ', '/', 'script', 'x', '${', '\0', '\u202e'))
    .map((parts) => parts.join('')),
);
const unescaped = (written: string) =>
  written
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&#96;', '`')
    .replaceAll('&amp;', '&');

describe('the html template tag', () => {
  it('escapes text so that it cannot end an element or attribute', () => {
    fc.assert(
      fc.property(text, (given) => {
        const written = html`${given}`.toString();
        expect(written).not.toMatch(/[<>"'`]|&(?!(?:amp|lt|gt|quot|#39|#96);)/);
        const text = unescaped(written);
        expect(text.replaceAll('\ufffd', '').length).toBeLessThanOrEqual(given.length);
        if (!/[\p{Bidi_Control}\p{Cc}]/u.test(given)) expect(text).toBe(given);
      }),
      RUNS,
    );
  });

  it('replaces bidirectional control characters', () => {
    expect(html`${'good\u202egpj.exe'}`.toString()).toBe('good\ufffdgpj.exe');
  });

  it('inserts html values as they are, joins lists, and omits undefined and false', () => {
    const items = ['<a>', '<b>'].map((item) => html`<li>${item}</li>`);
    const list = html`<ul>
        ${items}
      </ul>
      ${undefined}${false}${0}`.toString();
    expect(list.replaceAll(/\s/g, '')).toBe('<ul><li>&lt;a&gt;</li><li>&lt;b&gt;</li></ul>0');
  });
});

describe('the form-action sources of a redirect URI', () => {
  it('are its origin, or the scheme of a native application', () => {
    expect(formActionSources('https://app.example/callback?x=1')).toEqual(['https://app.example']);
    expect(formActionSources('http://127.0.0.1:4711/callback')).toEqual(['http://127.0.0.1:4711']);
    expect(formActionSources('http://[::1]:4711/callback')).toEqual(['http:']);
    expect(formActionSources('com.example.app:/callback')).toEqual(['com.example.app:']);
    expect(formActionSources(undefined)).toEqual([]);
  });

  it('cannot add a directive or a policy', () => {
    const count = contentSecurityPolicy({ title: '', body: html`` }).split(/[;,]/).length;
    const address = fc
      .tuple(fc.constantFrom('https://', 'http://', 'a:', ''), text)
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(address, fc.webUrl()), (given) => {
        const sources = formActionSources(given);
        expect(
          contentSecurityPolicy({ title: '', body: html``, formAction: sources }).split(/[;,]/),
        ).toHaveLength(count);
        for (const source of sources) expect(source).toMatch(/^[a-z][a-z0-9+.-]*:(?:\/\/[\w.:-]+)?$/);
      }),
      RUNS,
    );
  });
});
