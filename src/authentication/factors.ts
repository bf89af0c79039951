/** The kinds of factors (NIST SP 800-63B-4 section 2): something the person knows, has or is. */
export type FactorKind = 'knowledge' | 'possession' | 'inherence';

/** The authentication context classes (`acr`) of this application, from weak to strong. */
export const ACRS = ['pwd', 'mfa', 'phr'] as const;
export type Acr = (typeof ACRS)[number];

/** How a method proves a person. */
export interface FactorProperties {
  /** The label of its field on a page, or the end of the label of its button: `Use …`. */
  readonly label: string;
  readonly kinds: readonly FactorKind[];
  /** A fake site cannot pass the proof on. */
  readonly phishingResistant: boolean;
  /** Authentication method references (RFC 8176 section 2). */
  readonly amr: readonly string[];
  /** The context class of a sign-in by this method alone, and together with a factor of another kind. Absent: none. */
  readonly acr: { readonly alone?: Acr; readonly combined?: Acr };
  /** Starts a sign-in. */
  readonly first: boolean;
  /** Completes the sign-in of an account that has a second factor. */
  readonly second: boolean;
  /** Whether the person proves the factor with every request, or once at the sign-in. */
  readonly freshness: 'request' | 'sign-in';
}

/**
 * The methods with which a person signs in. Rules, step-up challenges, `acr_values`, the OpenAPI document and the docs read this
 * table. Its keys are plain texts, so that a removed method leaves no error here.
 *
 * `mca`: the mail is a second channel. It is no second factor: a mailbox is not bound to a device (NIST SP 800-63B-4 section 3.1.3.1).
 * `phr`: phishing-resistant, from OpenID Connect Extended Authentication Profile ACR Values 1.0.
 */
export const FACTORS = {
  password: {
    label: 'Password',
    kinds: ['knowledge'],
    phishingResistant: false,
    amr: ['pwd'],
    acr: { alone: 'pwd', combined: 'mfa' },
    first: true,
    second: false,
    freshness: 'sign-in',
  },
  basic: {
    label: 'Password',
    kinds: ['knowledge'],
    phishingResistant: false,
    amr: ['pwd'],
    acr: { alone: 'pwd' },
    first: true,
    second: false,
    freshness: 'request',
  },
  digest: {
    label: 'Password',
    kinds: ['knowledge'],
    phishingResistant: false,
    amr: ['pwd'],
    acr: { alone: 'pwd' },
    first: true,
    second: false,
    freshness: 'request',
  },
  'magic-link': {
    label: 'Code in the mail',
    kinds: ['possession'],
    phishingResistant: false,
    amr: ['mca'],
    acr: { combined: 'mfa' },
    first: true,
    second: false,
    freshness: 'sign-in',
  },
  totp: {
    label: 'Code in your authenticator app',
    kinds: ['possession'],
    phishingResistant: false,
    amr: ['otp'],
    acr: { combined: 'mfa' },
    first: false,
    second: true,
    freshness: 'sign-in',
  },
  'recovery-code': {
    label: 'Recovery code',
    kinds: ['possession'],
    phishingResistant: false,
    amr: ['otp'],
    acr: { combined: 'mfa' },
    first: false,
    second: true,
    freshness: 'sign-in',
  },
  /** With user verification: a key, and the PIN or the biometric that unlocks it. */
  passkey: {
    label: 'a passkey',
    kinds: ['possession', 'inherence'],
    phishingResistant: true,
    amr: ['swk', 'user', 'mfa'],
    acr: { alone: 'phr', combined: 'phr' },
    first: true,
    second: true,
    freshness: 'sign-in',
  },
  /** The provider's `amr` says more, if the provider is trusted with it. */
  'oidc-login': {
    label: 'another provider',
    kinds: [],
    phishingResistant: false,
    amr: [],
    acr: { combined: 'mfa' },
    first: true,
    second: false,
    freshness: 'sign-in',
  },
} as const satisfies Readonly<Record<string, FactorProperties>>;

export type FactorName = keyof typeof FACTORS;

/** A passkey without user verification: a second factor, never the only one. */
export const UNVERIFIED_PASSKEY_AMR: readonly string[] = ['swk', 'user'];

/** The value of `amr` for several factors of different kinds. */
const MULTIPLE_FACTORS = 'mfa';

/** The values of `amr` that are accepted, also from trusted providers, with what they prove. */
const AMR: Readonly<Record<string, { readonly person: boolean; readonly secondFactor: boolean }>> = {
  pwd: { person: true, secondFactor: false },
  mca: { person: true, secondFactor: false },
  user: { person: true, secondFactor: false },
  otp: { person: true, secondFactor: true },
  mfa: { person: true, secondFactor: true },
  hwk: { person: false, secondFactor: true },
  swk: { person: false, secondFactor: false },
  pop: { person: false, secondFactor: false },
};

export const provesPerson = (amr: readonly string[]): boolean => amr.some((each) => AMR[each]?.person);

export const provesSecondFactor = (amr: readonly string[]): boolean =>
  amr.some((each) => AMR[each]?.secondFactor);

/** Whether a proof is a whole sign-in with two factors, such as a passkey with user verification. */
export const provesMultipleFactors = (amr: readonly string[]): boolean => amr.includes(MULTIPLE_FACTORS);

const isPhishingResistant = (amr: readonly string[]): boolean => amr.includes('swk') || amr.includes('hwk');

/** The `amr` of a sign-in that a second factor completes. */
export const completedAmr = (first: readonly string[], second: readonly string[]): string[] => [
  ...new Set([...first, ...second, MULTIPLE_FACTORS]),
];

/** The context classes that a sign-in reaches, the strongest last. */
export function reachedAcrs(amr: readonly string[]): Acr[] {
  if (!provesPerson(amr)) return [];
  const secondFactor = provesSecondFactor(amr);
  return ACRS.filter((acr) => {
    if (acr === 'pwd') return amr.includes('pwd') || secondFactor;
    return secondFactor && (acr === 'mfa' || isPhishingResistant(amr));
  });
}

/**
 * The `acr` claim of a sign-in for a request.
 * @param requested the values that the client requested; the strongest reached one if it requested none
 */
export const acrFor = (amr: readonly string[], requested: readonly string[]): Acr | undefined =>
  reachedAcrs(amr).findLast((acr) => requested.includes(acr)) ?? acrOf(amr);

/** The strongest context class that a sign-in reaches: the `acr` claim. */
export const acrOf = (amr: readonly string[]): Acr | undefined => reachedAcrs(amr).at(-1);

/** The context class of a sign-in with a second factor, as rules and challenges name it (RFC 9470 section 3). */
export const SECOND_FACTOR: Acr = 'mfa';

/** The `amr` of a trusted issuer's token: the `acr` counts, too. */
export const amrWithAcr = (amr: readonly string[], acr: string | undefined): string[] =>
  acr === 'mfa' || acr === 'phr' ? [...new Set([...amr, MULTIPLE_FACTORS])] : [...amr];
