import { pathToFileURL } from 'node:url';

/**
 * Runs in a child process, with pairs of a copy's name and a compiled file of it as arguments. Calls the function `observe` of each
 * file in turn, and sends its result to the parent.
 */
const pairs = process.argv.slice(2);
for (let i = 0; i < pairs.length; i += 2) {
  const { observe } = (await import(pathToFileURL(pairs[i + 1]!).href)) as {
    observe: (name: string) => Promise<object>;
  };
  const result = await observe(pairs[i]!);
  await new Promise<void>((resolve, reject) =>
    process.send!(result, (error: Error | null) => (error ? reject(error) : resolve())),
  );
}
process.disconnect();
