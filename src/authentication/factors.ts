/**
 * The values of `amr` that this application sets or accepts (RFC 8176 section 2), with what they prove.
 * `person`: a person took part. `secondFactor`: more than a password was used.
 */
const FACTORS: Readonly<Record<string, { readonly person: boolean; readonly secondFactor: boolean }>> = {
  pwd: { person: true, secondFactor: false },
  user: { person: true, secondFactor: false },
  otp: { person: true, secondFactor: true },
  mfa: { person: true, secondFactor: true },
  hwk: { person: false, secondFactor: true },
  pop: { person: false, secondFactor: false },
};

/** The authentication context (`acr`) of a sign-in with a second factor, as challenges name it (RFC 9470 section 3). */
export const SECOND_FACTOR = 'mfa';

export const provesPerson = (amr: readonly string[]): boolean => amr.some((each) => FACTORS[each]?.person);

export const provesSecondFactor = (amr: readonly string[]): boolean =>
  amr.some((each) => FACTORS[each]?.secondFactor);
