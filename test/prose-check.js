// Finds sentences that open with a relative clause used as a noun ("What is bound to … is bound", "Whoever reads …"). Name the thing
// instead: such a sentence has to be read twice. Checks comments, messages and test titles of the code, and the text of the pages.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const OPENERS =
  'What|Whatever|Whoever|Whose|Whom|Who|So many|So much|How far|How long|How many|Nobody|Somebody|Of what|Of whom|That which|Where nobody';
const START = String.raw`^\s*(?:\/\/|\/?\*+)?\s*|[.;:!?]\s+|\|\s*|['"\`]`;
const SENTENCE = new RegExp(String.raw`(?:${START})((?:${OPENERS})(?:'s)?\b[^.?|'"\`]*[.|'"\`]?)`, 'g');
const COMMENT = /^\s*(\/\/|\/?\*)/;
const MESSAGE = /detail:|Error\(|Exception\(|\b(it|test|describe)(\.each\(.*\))?\(/;

const files = execFileSync('git', [
  'ls-files',
  '--cached',
  '--others',
  '--exclude-standard',
  'src',
  'test',
  'docs',
  '*.md',
])
  .toString()
  .split('\n')
  .filter((file) => /\.(ts|md)$/.test(file) && existsSync(file));

/** The lines of a file that hold prose, with their numbers: no code block, no heading and no code. */
function proseOf(file) {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((text, index) => ({ text, number: index + 1 }));
  if (!file.endsWith('.md')) return lines.filter(({ text }) => COMMENT.test(text) || MESSAGE.test(text));
  let inCodeBlock = false;
  return lines.filter(({ text }) => {
    if (/^\s*```/.test(text)) inCodeBlock = !inCodeBlock;
    return !inCodeBlock && !/^#+ |^\s*\|?\s*-{3}/.test(text);
  });
}

const isQuestion = (text, sentence) => /^[^.|]*\?/.test(text.slice(text.indexOf(sentence)));

const found = [...new Set(files)].flatMap((file) =>
  proseOf(file).flatMap(({ text, number }) =>
    [...text.matchAll(SENTENCE)]
      .filter(([, sentence]) => !isQuestion(text, sentence))
      .map(([, sentence]) => `${file}:${number}: ${sentence.trim().slice(0, 120)}`),
  ),
);
for (const each of found) console.log(each);
if (found.length) console.log(`${found.length} sentences to rewrite`);
process.exitCode = found.length ? 1 : 0;
