/**
 * The names of events, from OWASP's Logging Vocabulary Cheat Sheet, so that whatever reads logs knows them.
 * https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
 */
export const AUDIT_EVENTS = [
  'authn_login_success',
  'authn_login_fail',
  'authn_password_change',
  'authn_token_created',
  'authn_token_revoked',
  'authn_token_reuse',
  'session_created',
  'session_renewed',
  'session_expired',
  'authz_fail',
  'authz_change',
  'sensitive_create',
  'sensitive_read',
  'sensitive_update',
  'sensitive_delete',
  'input_validation_fail',
  'excess_rate_limit_exceeded',
] as const;

export type AuditEventName = (typeof AUDIT_EVENTS)[number];
