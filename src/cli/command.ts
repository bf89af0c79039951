import type { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../app.module.js';
import { Settings } from '../config/settings.js';
import { startupErrorText } from '../config/startup-error.js';
import { dataSourceOptions, openDataSource } from '../database/data-source.js';
import { DemoDataService } from '../database/demo-data.service.js';
import { assertSecretOfDatabase } from '../users/secret-of-database.js';

/** @returns the message to print, and whether the command succeeded */
export type Command = (
  dataSource: DataSource,
  settings: Settings,
) => Promise<[message: string, success?: boolean]>;

/**
 * Runs a command on the application's database in a process of its own. The exit code is 0 on success, 1 on failure and 2
 * for invalid arguments.
 *
 * @param parse finds the command in the arguments, or returns undefined if they are invalid
 */
export function runCommand(usage: string, parse: (args: readonly string[]) => Command | undefined): void {
  const command = parse(process.argv.slice(2));
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
    await assertSecretOfDatabase(dataSource, settings);
    await new DemoDataService(dataSource, settings).onModuleInit();
    const [message, success = true] = await command(dataSource, settings);
    (success ? process.stdout : process.stderr).write(`${message}\n`);
    process.exitCode = success ? 0 : 1;
  } finally {
    await dataSource.destroy();
  }
}
