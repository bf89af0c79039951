import type { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../app.module.js';
import { Settings } from '../config/settings.js';
import { startupErrorText } from '../config/startup-error.js';
import { dataSourceOptions, openDataSource } from '../database/data-source.js';

/** @returns what there is to say, and whether all is well */
export type Command = (
  dataSource: DataSource,
  settings: Settings,
) => Promise<[sentence: string, well?: boolean]>;

/**
 * Runs a command on the application's database, in a process of its own. It exits with 0; with 1 where it failed or
 * all is not well; with 2 where it was not understood.
 *
 * @param understand finds the command in what was typed behind `--`
 */
export function runCommand(
  usage: string,
  understand: (words: readonly string[]) => Command | undefined,
): void {
  const command = understand(process.argv.slice(2));
  if (!command) {
    process.stderr.write(`${usage}\n`);
    process.exitCode = 2;
    return;
  }
  run(command).catch((error: unknown) => {
    process.stderr.write(`${startupErrorText(error)}\n`);
    process.exitCode = 1;
  });
}

async function run(command: Command): Promise<void> {
  const settings = Settings.from(process.env);
  const dataSource = await openDataSource(dataSourceOptions(settings, schemaOf(INSTALLED_METHODS)));
  try {
    const [sentence, well = true] = await command(dataSource, settings);
    (well ? process.stdout : process.stderr).write(`${sentence}\n`);
    process.exitCode = well ? 0 : 1;
  } finally {
    await dataSource.destroy();
  }
}
