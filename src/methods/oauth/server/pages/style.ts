/** The stylesheet of all pages. */
export const STYLE = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 26rem; margin: 0 auto; padding: 1.5rem 1rem; }
`;
