import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** The files below a folder. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** The modules of this project that a file imports, for their values or their types, relative to the project. */
export const importsOf = (file: string): string[] => importsIn(file, readFileSync(file, 'utf8'));

/** {@link importsOf} for a file with this text. */
export const importsIn = (file: string, text: string): string[] =>
  ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((target) => target.startsWith('.'))
    .map((target) => join(dirname(file), target.replace(/\.js$/, '.ts')));
