import { closestMatch } from 'leven';
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { DEMO_SECRET, demoIsOn, unsafeDemo } from './demo-settings.js';
import { GUESSABLE, isGuessable } from './secret-strength.js';

const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');
const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((number) => number <= 65_535, 'must be a port number');
const origin = z.string().refine(isOrigin, 'must be an origin, as https://api.example.com');
const perMinute = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'must be a number of requests per minute, as 600')
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

/** An IPv4 or IPv6 address with an optional prefix length, such as `10.0.0.1` or `10.0.0.0/8`. Octal and short forms are invalid. */
export function isAddressRange(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (!family || address.includes('%') || rest.length) return false;
  return (
    prefix === undefined || (/^(0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
  );
}

/** Ranges that contain addresses of strangers. An IPv6 range over the IPv4-mapped addresses contains all of IPv4. */
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
  .refine((list) => !list.some(isTooWide), 'must not contain public address ranges');

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

/** The additional rules of production. */
const production = z.object({
  APP_SECRET: z.string('is required in production').refine((secret) => !isGuessable(secret), GUESSABLE),
  APP_SECRET_PREVIOUS: z
    .string()
    .refine((secret) => !isGuessable(secret), GUESSABLE)
    .optional(),
  PUBLIC_URL: z
    .string('is required in production')
    .startsWith('https:', 'must begin with https: in production'),
  DEMO: z.literal('false', 'must not be true in production').optional(),
});

const schema = z.object({ ...server.shape, ...data.shape, ...limits.shape, ...secrets.shape });

/** Invalid configuration: one sentence per error. */
export class InvalidSettings extends Error {
  constructor(readonly errors: readonly string[]) {
    super(`The configuration is invalid:\n${errors.map((error) => `- ${error}`).join('\n')}`);
  }
}

/** The settings from the environment, validated at start. Inject it by its class. */
export class Settings {
  private readonly proxies = new BlockList();

  private constructor(
    private readonly variables: Readonly<Record<string, string | undefined>>,
    readonly environment: 'development' | 'production' | 'test',
    readonly port: number,
    readonly host: string,
    /** The origin that clients use, without a trailing slash. */
    readonly publicUrl: string,
    readonly httpAdapter: 'fastify' | 'express',
    /** The addresses and ranges of trusted proxies. */
    readonly trustProxy: readonly string[],
    /** The folder of the embedded database, or `:memory:`. */
    readonly dataDir: string,
    readonly databaseUrl: string | undefined,
    /** Whether demo accounts and documents are created. */
    readonly demo: boolean,
    /** The root secret: the keys of cookies, cursors and stored secrets are derived from it. */
    readonly appSecret: string,
    /** The root secret before a rotation: still decrypts, no longer encrypts. */
    readonly previousAppSecret: string | undefined,
    /** The Redis in which all processes count requests. */
    readonly redisUrl: string | undefined,
    /** Requests per minute. */
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

  /** Whether this address is a trusted proxy, so that its forwarded headers count. */
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
   * Whether the server accepts this `Host`: in production only the host of `PUBLIC_URL`, otherwise any.
   */
  answersTo(authority: string): boolean {
    return !this.production || hostOf(`http://${authority}`) === hostOf(this.publicUrl);
  }

  /**
   * The settings of one folder.
   * @throws InvalidSettings with a sentence per error
   */
  section<T extends z.ZodType>(rules: T): z.output<T> {
    const parsed = rules.safeParse(this.variables);
    if (!parsed.success) throw new InvalidSettings(errorsOf(rules, this.variables));
    return parsed.data;
  }

  /** @throws InvalidSettings with a sentence per error */
  static from(environment: Readonly<Record<string, string | undefined>>): Settings {
    // An empty variable counts as unset, as in the shell's ${NAME:-default}.
    const variables = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
    const errors = [...misspelledNames(Object.keys(variables)), ...errorsOf(schema, variables)];
    if (variables['NODE_ENV'] === 'production') errors.push(...errorsOf(production, variables));
    const parsed = schema.safeParse(variables);
    if (errors.length || !parsed.success) throw new InvalidSettings([...new Set(errors)]);
    const env = parsed.data;
    const unsafe = unsafeDemo(env);
    if (unsafe) throw new InvalidSettings([unsafe]);
    return new Settings(
      variables,
      env.NODE_ENV,
      env.PORT,
      env.HOST,
      (env.PUBLIC_URL ?? `http://localhost:${env.PORT}`).replace(/\/+$/, ''),
      env.HTTP_ADAPTER,
      env.TRUST_PROXY,
      env.DATA_DIR,
      env.DATABASE_URL,
      demoIsOn(env),
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

const errorsOf = (rules: z.ZodType, variables: Record<string, string | undefined>) =>
  (rules.safeParse(variables).error?.issues ?? []).map(
    (issue) => `${issue.path.join('.')} ${issue.message}.`,
  );

const MIN_LENGTH_FOR_SUGGESTION = 6;

/** Names that differ from a setting in one or two letters. They would otherwise be ignored without notice. */
function misspelledNames(names: readonly string[]): string[] {
  const settings = Object.keys(schema.shape);
  const long = settings.filter((name) => name.length >= MIN_LENGTH_FOR_SUGGESTION);
  return names
    .filter((name) => !settings.includes(name) && name.length >= MIN_LENGTH_FOR_SUGGESTION)
    .flatMap((name) => {
      const setting = closestMatch(name, long, { maxDistance: 2 });
      return setting ? [`${name} is not a setting; ${setting} is.`] : [];
    });
}
