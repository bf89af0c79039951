import { html } from './html.js';

/** The name, logo and colours of all pages. Edit this file to show your own brand. */
export const BRAND = {
  name: 'Auth Atlas',
  /** An inline SVG. `currentColor` is the accent colour. No `style` attribute: the content security policy forbids it. */
  logo: html`<svg class="logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
    <path
      fill="currentColor"
      d="M12 1 3 4.5v6.6c0 5.3 3.8 9.9 9 11.9 5.2-2 9-6.6 9-11.9V4.5L12 1Zm5 8.4-6 6-4-4 1.4-1.4 2.6 2.6L15.6 8 17 9.4Z"
    />
  </svg>`,
  /** Text on `accent` has the colour `onAccent`. Their contrast must be at least 4.5 : 1 (WCAG 2.2, 1.4.3). */
  light: { accent: '#1f5fc4', onAccent: '#ffffff' },
  dark: { accent: '#8ab4f8', onAccent: '#10151d' },
} as const;
