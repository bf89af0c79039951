import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

/** The secret of a demo, published in this file: production refuses it. */
export const DEMO_SECRET = 'demo-secret-published-in-the-source-of-auth-atlas';

const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');
const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((number) => number <= 65_535, 'must be a port number');
const origin = z.string().refine(isOrigin, 'must be an origin, as https://api.example.com');
const perMinute = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'must be how often a minute, as 600')
  .transform(Number);
const redis = z.url({
  protocol: /^rediss?$/,
  error: 'must be a URL that begins with redis:// or rediss://',
});
const postgres = z.url({ protocol: /^postgres(ql)?$/, error: 'must be a URL that begins with postgres://' });

function isOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return /^https?:$/.test(url?.protocol ?? '') && url?.origin === text.replace(/\/$/, '');
}

/** `10.0.0.1` or `10.0.0.0/8`, an IPv4 or IPv6 address with an optional prefix length; `isIP` knows no octal or short forms. */
export function isAddressRange(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (!family || address.includes('%') || rest.length) return false;
  return (
    prefix === undefined || (/^(0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
  );
}

/** No range of somebody's proxies is this wide. One over the IPv4-mapped addresses holds all of IPv4. */
function isTooWide(range: string): boolean {
  const [address = '', prefix] = range.split('/');
  if (prefix === undefined || !isAddressRange(range)) return false;
  if (isIP(address) === 4) return Number(prefix) < 8;
  const addresses = new BlockList();
  addresses.addSubnet(address, Number(prefix), 'ipv6');
  return Number(prefix) < 7 || addresses.check('::ffff:8.8.8.8', 'ipv6');
}

const trusted = z
  .string()
  .transform((list) => list.split(',').map((item) => item.trim()))
  .refine(
    (list) => list.every(isAddressRange),
    'must list the addresses or ranges of your proxies, as 10.0.0.0/8',
  )
  .refine((list) => !list.some(isTooWide), 'may not trust ranges so wide that anybody is in them');

const server = z.object({
  NODE_ENV: z
    .enum(['development', 'production', 'test'], 'must be development, production or test')
    .default('development'),
  PORT: port.default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  PUBLIC_URL: origin.optional(),
  HTTP_ADAPTER: z.enum(['fastify', 'express'], 'must be fastify or express').default('fastify'),
  TRUST_PROXY: trusted.default([]),
});

const data = z.object({
  DATA_DIR: z.string().min(1).default('data'),
  DATABASE_URL: postgres.optional(),
  DEMO: flag.optional(),
});

const limits = z.object({
  REDIS_URL: redis.optional(),
  RATE_LIMIT_PER_ADDRESS: perMinute.default(6_000),
  RATE_LIMIT_PER_CREDENTIAL: perMinute.default(3_000),
  RATE_LIMIT_BAD_CREDENTIALS: perMinute.default(100),
});

const secrets = z.object({
  APP_SECRET: z
    .string()
    .min(32, 'must have at least 32 characters, from a generator: openssl rand -base64 32')
    .optional(),
  APP_SECRET_PREVIOUS: z.string().min(32, 'must have at least 32 characters').optional(),
});

/** What must hold of production besides the form of each setting. */
const production = z.object({
  APP_SECRET: z
    .string('is required in production')
    .refine((secret) => secret !== DEMO_SECRET && !/demo|changeme|example/i.test(secret), 'is a demo secret'),
  PUBLIC_URL: z
    .string('is required in production')
    .startsWith('https:', 'must begin with https: in production'),
  DEMO: z.literal('false', 'may not be true in production, where demo accounts are never made').optional(),
});

const schema = z.object({ ...server.shape, ...data.shape, ...limits.shape, ...secrets.shape });

/** Bad configuration: one sentence per fault. */
export class InvalidSettings extends Error {
  constructor(readonly faults: readonly string[]) {
    super(`The configuration is not usable:\n${faults.map((fault) => `- ${fault}`).join('\n')}`);
  }
}

/** What the environment sets, checked once at start. A provider's token as well. */
export class Settings {
  private readonly proxies = new BlockList();

  private constructor(
    private readonly set: Readonly<Record<string, string | undefined>>,
    readonly environment: 'development' | 'production' | 'test',
    readonly port: number,
    readonly host: string,
    /** The origin that callers use, without a trailing slash. */
    readonly publicUrl: string,
    readonly httpAdapter: 'fastify' | 'express',
    /** The addresses and ranges whose `X-Forwarded-For` is believed. */
    readonly trustProxy: readonly string[],
    /** Where the embedded database lies: a folder, or `:memory:`. */
    readonly dataDir: string,
    readonly databaseUrl: string | undefined,
    /** Whether the demo's accounts and documents are made. */
    readonly demo: boolean,
    /** The key of all keys: cookies, cursors, secrets at rest derive theirs from it. */
    readonly appSecret: string,
    /** The one before a rotation: what it sealed can still be read, and nothing new is made with it. */
    readonly previousAppSecret: string | undefined,
    /** Where processes count requests together. */
    readonly redisUrl: string | undefined,
    /** How often a minute. */
    readonly rateLimits: {
      readonly perAddress: number;
      readonly perCredential: number;
      /** Wrong credentials from one address. */
      readonly badCredentials: number;
    },
  ) {
    for (const range of trustProxy) {
      const [address = '', prefix] = range.split('/');
      const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
      this.proxies.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
    }
  }

  get production(): boolean {
    return this.environment === 'production';
  }

  /** Whether what a peer with this address says of the caller behind it is believed. */
  trusts(address: string | undefined): boolean {
    return isIP(address ?? '') !== 0 && this.proxies.check(address!, isIP(address!) === 4 ? 'ipv4' : 'ipv6');
  }

  /**
   * Whether a page of this server sends the given `Origin`: the origin of `PUBLIC_URL`, and outside production also the
   * loopback origins of `PORT`, which a developer may open instead.
   */
  isOwnOrigin(origin: string): boolean {
    if (origin === this.publicUrl) return true;
    return !this.production && loopbackOrigins(this.port).includes(origin);
  }

  /**
   * Whether a request that names this authority in its Host is meant for this server. In production only the host of
   * `PUBLIC_URL` is; elsewhere every name is.
   */
  answersTo(authority: string): boolean {
    return !this.production || hostOf(`http://${authority}`) === hostOf(this.publicUrl);
  }

  /**
   * The settings of one folder, which no other needs to know.
   * @throws BadSettings with a sentence for each fault
   */
  section<T extends z.ZodType>(of: T): z.output<T> {
    const parsed = of.safeParse(this.set);
    if (!parsed.success) throw new InvalidSettings(faultsOf(of, this.set));
    return parsed.data;
  }

  /** @throws BadSettings with a sentence for each fault */
  static from(environment: Readonly<Record<string, string | undefined>>): Settings {
    // A variable that is set to nothing is a variable that is not set, as in every shell's ${NAME:-default}.
    const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
    const faults = [...misspelt(Object.keys(set)), ...faultsOf(schema, set)];
    if (set['NODE_ENV'] === 'production') faults.push(...faultsOf(production, set));
    const parsed = schema.safeParse(set);
    if (faults.length || !parsed.success) throw new InvalidSettings([...new Set(faults)]);
    const env = parsed.data;
    return new Settings(
      set,
      env.NODE_ENV,
      env.PORT,
      env.HOST,
      (env.PUBLIC_URL ?? `http://localhost:${env.PORT}`).replace(/\/+$/, ''),
      env.HTTP_ADAPTER,
      env.TRUST_PROXY,
      env.DATA_DIR,
      env.DATABASE_URL,
      env.DEMO ?? env.NODE_ENV !== 'production',
      env.APP_SECRET ?? DEMO_SECRET,
      env.APP_SECRET_PREVIOUS,
      env.REDIS_URL,
      {
        perAddress: env.RATE_LIMIT_PER_ADDRESS,
        perCredential: env.RATE_LIMIT_PER_CREDENTIAL,
        badCredentials: env.RATE_LIMIT_BAD_CREDENTIALS,
      },
    );
  }
}

const loopbackOrigins = (port: number) =>
  ['localhost', '127.0.0.1', '[::1]'].map((host) => new URL(`http://${host}:${port}`).origin);

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : undefined);

const faultsOf = (against: z.ZodType, set: Record<string, string | undefined>) =>
  (against.safeParse(set).error?.issues ?? []).map((issue) => `${issue.path.join('.')} ${issue.message}.`);

/** Names that are almost one of ours: a typing error that would otherwise be ignored in silence. */
function misspelt(names: readonly string[]): string[] {
  const known = Object.keys(schema.shape);
  return names
    .filter((name) => !known.includes(name) && name.length > 5)
    .flatMap((name) => {
      const meant = known.find((each) => each.length > 5 && distance(name, each) <= 2);
      return meant ? [`${name} is not a setting; ${meant} is.`] : [];
    });
}

/** Levenshtein's distance: how many letters to add, drop or change. */
function distance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()];
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + Number(letter !== b[j])));
    row = next;
  }
  return row[b.length]!;
}
