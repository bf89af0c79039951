import { INSTALLED_METHODS } from '../../../src/app.module.js';
import { boot } from '../app.js';
import { startsSignIn } from '../contracts.js';
import { callMethod, signInByCeremony, type MethodResponses } from './call-method.js';

/** The responses of an application from which a part was removed. */
export interface Observation {
  /** The error of a start that failed; then nothing else was observed. */
  readonly startError?: string;
  /** The names at `GET /methods`. */
  readonly listed: readonly string[];
  /** The status of the removed part's own route. */
  readonly removedRouteStatus: number;
  readonly responses: Readonly<Record<string, MethodResponses>>;
  /** The status at the end of each ceremony, by its name and its issuer's. */
  readonly ceremonyStatuses: Readonly<Record<string, number>>;
}

/** A route of the removed part. */
const routeOf = (removed: string) =>
  removed === 'authorization-server' ? '/oidc/.well-known/openid-configuration' : `/demo/${removed}`;

async function observeRunning(removed: string): Promise<Observation> {
  const booted = await boot({ methods: INSTALLED_METHODS });
  const listed = (await (await fetch(`${booted.origin}/methods`)).json()) as { name: string }[];
  const responses: Record<string, MethodResponses> = {};
  const ceremonyStatuses: Record<string, number> = {};
  const issuers = INSTALLED_METHODS.filter(({ issuer }) => issuer);
  for (const { name, strategy } of INSTALLED_METHODS)
    if (strategy) responses[name] = await callMethod(booted, name, '/me');
  const ceremonies = INSTALLED_METHODS.filter(({ strategy }) => !strategy);
  for (const { name } of [
    ...ceremonies.filter(startsSignIn),
    ...ceremonies.filter((each) => !startsSignIn(each)),
  ])
    for (const issuer of issuers)
      ceremonyStatuses[`${name} as ${issuer.name}`] = await signInByCeremony(booted, name, issuer.name);
  const { status: removedRouteStatus } = await fetch(booted.origin + routeOf(removed));
  await booted.close();
  return { listed: listed.map(({ name }) => name), removedRouteStatus, responses, ceremonyStatuses };
}

/** Runs in the copy: starts the application without the removed part, and calls every remaining method. */
export const observe = (removed: string): Promise<Observation | Pick<Observation, 'startError'>> =>
  observeRunning(removed).catch((error: unknown) => ({ startError: String(error) }));
