import { mongoQueryMatcher } from '@casl/ability';

export const conditionsMatcher = mongoQueryMatcher;

export function assertExpressible(_conditions: unknown): void {}
