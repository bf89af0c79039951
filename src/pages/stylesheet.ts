import { BRAND } from './brand.js';

/** The stylesheet of all pages: system fonts, light and dark colours, widths from 320 pixels. */
export const STYLESHEET = `
:root {
  color-scheme: light dark;
  --text: #1c2430;
  --quiet: #566071;
  --page: #f3f5f8;
  --card: #ffffff;
  --line: #8a94a6;
  --accent: ${BRAND.light.accent};
  --on-accent: ${BRAND.light.onAccent};
  --alert: #b3261e;
  --alert-page: #fdecea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6eaf0;
    --quiet: #a9b3c2;
    --page: #10151d;
    --card: #1a212c;
    --line: #6b778a;
    --accent: ${BRAND.dark.accent};
    --on-accent: ${BRAND.dark.onAccent};
    --alert: #ffb4ab;
    --alert-page: #3a1614;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--card); color: var(--text); font: 1.0625rem/1.5 system-ui, sans-serif; }
main {
  max-width: 28rem;
  margin: 0 auto;
  padding: 1.5rem;
  background: var(--card);
  overflow-wrap: anywhere;
}
@media (min-width: 32rem) {
  body { background: var(--page); }
  main { margin: 8vh auto; padding: 2rem 2.5rem 2.5rem; border-radius: 0.75rem; box-shadow: 0 1px 4px #0003; }
}
.brand { display: flex; gap: 0.5rem; align-items: center; margin: 0 0 1.25rem; color: var(--quiet); font-weight: 600; }
.logo { flex: none; color: var(--accent); }
h1 { margin: 0 0 0.75rem; font-size: 1.625rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
a { color: var(--accent); }
form + p a, .link a { display: inline-block; padding: 0.625rem 0; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
label { display: block; margin: 0 0 0.25rem; font-weight: 600; }
input:not([type='checkbox']) {
  width: 100%;
  min-height: 3rem;
  margin: 0 0 1rem;
  padding: 0.5rem 0.75rem;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  background: var(--card);
  color: var(--text);
  font: inherit;
}
input[type='hidden'] { display: none; }
.hint { margin: -0.5rem 0 1rem; color: var(--quiet); font-size: 0.9375rem; }
input[aria-invalid] { border-color: var(--alert); }
fieldset { margin: 0 0 1rem; padding: 0; border: 0; }
legend { padding: 0; margin: 0 0 0.25rem; font-weight: 600; }
.resource { font-weight: 400; }
.choice { display: flex; gap: 0.75rem; align-items: center; min-height: 2.75rem; margin: 0; font-weight: 400; }
input[type='checkbox'] { flex: none; width: 1.375rem; height: 1.375rem; margin: 0; accent-color: var(--accent); }
button {
  display: block;
  width: 100%;
  min-height: 3rem;
  margin: 0.75rem 0 0;
  padding: 0.5rem 1rem;
  border: 1px solid var(--accent);
  border-radius: 0.5rem;
  background: var(--accent);
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  cursor: pointer;
}
button.quiet { background: transparent; color: var(--accent); }
form + p, form + form { margin: 1.5rem 0 0; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.error {
  padding: 0.75rem 1rem;
  border-left: 4px solid var(--alert);
  background: var(--alert-page);
  color: var(--alert);
}
.note { padding: 0.75rem 1rem; border-left: 4px solid var(--line); background: var(--page); }
.mail { overflow-x: auto; white-space: pre-wrap; }
.code, .user-code { font-family: ui-monospace, monospace; }
.user-code { font-size: 1.5rem; letter-spacing: 0.15em; text-transform: uppercase; text-align: center; }
.qr { max-width: 16rem; margin: 0 auto 1rem; padding: 0.5rem; background: #ffffff; }
.qr svg { display: block; }
section { margin: 1.5rem 0 0; padding: 1rem 0 0; border-top: 1px solid var(--line); }
h2 { margin: 0 0 0.5rem; font-size: 1.25rem; line-height: 1.3; }
dl { margin: 0 0 1rem; }
dt { color: var(--quiet); font-size: 0.9375rem; }
dd { display: flex; flex-wrap: wrap; gap: 0 0.75rem; align-items: center; justify-content: space-between; margin: 0 0 0.5rem; }
dd a { padding: 0.375rem 0; }
.item { margin: 0 0 1rem; }
summary { min-height: 2.75rem; line-height: 2.75rem; color: var(--accent); cursor: pointer; }
.codes { padding: 0; list-style: none; text-align: center; }
`;
