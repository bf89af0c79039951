/** The proof by a recovery code, for `/auth/mfa` and `/auth/step-up`. */
export const recoveryCodeProof = (code: string) => ({ factor: 'recovery-code', code });
