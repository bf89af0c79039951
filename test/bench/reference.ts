import Database from 'better-sqlite3';

const ROWS = 20;
const REPETITIONS = 500;
/** The median counts: V8 compiles the code during the first ones. */
const RUNS = 15;

/**
 * The CPU time of work that no change of this project affects: rows of SQLite as JSON, in microseconds. System calls dominate a request of
 * node:http, and processors differ in their cost by a factor of three. They differ less in the cost of this.
 */
export function referenceCost(): number {
  const database = new Database(':memory:');
  database.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, title TEXT, body TEXT)');
  const insert = database.prepare('INSERT INTO rows (title, body) VALUES (?, ?)');
  for (let i = 0; i < ROWS; i++) insert.run(`title ${i}`, 'body '.repeat(20));
  const select = database.prepare('SELECT * FROM rows ORDER BY title DESC');
  const run = () => {
    for (let i = 0; i < REPETITIONS; i++) JSON.parse(JSON.stringify(select.all()));
  };
  const costs = Array.from({ length: RUNS }, () => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / REPETITIONS;
  });
  database.close();
  return costs.sort((a, b) => a - b)[RUNS >> 1]!;
}
