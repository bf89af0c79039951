import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Describe, Issued, Tag, listOf, text } from '../authentication/describe.js';
import { Caller, CurrentRequest, HttpsOnly, Public, SelfService } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { AccountFactors } from './account-factors.service.js';
import { SecondFactorService } from './second-factor.service.js';
import { User } from './user.entity.js';

const SIGN_IN_TAG = 'Sign-ins of all methods.';

const factor = text(40, 1);
const mfa_token = text(4_096, 1).optional();
const proof = {
  code: text(64, 1).optional(),
  password: text(1_024, 1).optional(),
  credential: z.record(text(64), z.json()).optional(),
};

const SecondStepOptions = z
  .strictObject({ factor, mfa_token })
  .meta({ id: 'SecondStepOptions', example: { factor: 'passkey' } });
const SecondStep = z
  .strictObject({ factor, mfa_token, ...proof })
  .meta({ id: 'SecondStep', example: { factor: 'totp', code: '287082' } });
const StepUpOptions = z
  .strictObject({ factor })
  .meta({ id: 'StepUpOptions', example: { factor: 'passkey' } });
const StepUp = z
  .strictObject({ factor, ...proof })
  .meta({ id: 'StepUp', example: { factor: 'totp', code: '287082' } });

const FactorView = z
  .object({
    factor: z.string(),
    kinds: z.array(z.string()),
    phishingResistant: z.boolean(),
    amr: z.array(z.string()),
    acr: z.object({ alone: z.string().optional(), combined: z.string().optional() }),
    enrolled: z.boolean(),
    /** Whether it completes a sign-in, and steps up, now. */
    usable: z.boolean(),
  })
  .meta({ id: 'Factor' });

/** The preparation of a proof: the options of a WebAuthn request, or nothing. */
const FactorOptions = z.looseObject({}).meta({ id: 'FactorOptions' });

const SECOND_STEP_ERRORS = ['400 duplicate_cookie', '401 invalid_mfa_token'] as const;
const PROOF_ERRORS = ['401 invalid_factor', '429 too_many_attempts'] as const;

/** The second step of a sign-in. The ticket of the first step replaces a credential. */
@Controller('auth/mfa')
@Tag('Sign-in', SIGN_IN_TAG)
@Public()
@HttpsOnly()
export class SecondStepController {
  constructor(private readonly secondFactor: SecondFactorService) {}

  /** Prepares a passkey's proof. A code needs no options. */
  @Post('options')
  @Describe('Prepare the second step of a sign-in', {
    response: FactorOptions,
    headers: ['Set-Cookie'],
    errors: SECOND_STEP_ERRORS,
  })
  @HttpCode(200)
  beginSecondStep(
    @Body({ schema: SecondStepOptions }) body: z.output<typeof SecondStepOptions>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    return this.secondFactor.beginSecondStep(body.mfa_token, body.factor, request);
  }

  /** Completes a sign-in that returned `mfa_required`. Returns the response of its issuer. */
  @Post()
  @Describe('Complete a sign-in by a second factor', {
    response: Issued,
    headers: ['Set-Cookie'],
    errors: [...SECOND_STEP_ERRORS, ...PROOF_ERRORS, '403 invalid_csrf_token'],
  })
  @HttpCode(200)
  completeSecondStep(
    @Body({ schema: SecondStep }) { factor, mfa_token, ...proof }: z.output<typeof SecondStep>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    return this.secondFactor.completeSecondStep(mfa_token, factor, proof, request);
  }
}

/** The caller's factors, and step-ups (RFC 9470). */
@Controller('auth')
@Tag('Sign-in', SIGN_IN_TAG)
@SelfService()
export class FactorsController {
  constructor(
    private readonly secondFactor: SecondFactorService,
    private readonly factors: AccountFactors,
    private readonly dataSource: DataSource,
  ) {}

  @Get('factors')
  @Describe('List the factors of the account', { response: listOf(FactorView) })
  async listFactors(@Caller() { id }: Principal) {
    const user = await this.dataSource.manager.findOneByOrFail(User, { id });
    const factors = await this.factors.enrolled(id);
    const enrolled = factors.map(({ name }) => name);
    const usable = this.factors.usableOf(user, factors).map(({ name }) => name);
    return {
      items: this.factors.installed.map(({ name, properties }) =>
        FactorView.parse({
          factor: name,
          ...properties,
          enrolled: enrolled.includes(name),
          usable: usable.includes(name),
        }),
      ),
    };
  }

  @Post('step-up/options')
  @Describe('Prepare a step-up', {
    response: FactorOptions,
    headers: ['Set-Cookie'],
    errors: ['400 not_signed_in'],
  })
  @HttpsOnly()
  @HttpCode(200)
  beginStepUp(
    @Body({ schema: StepUpOptions }) body: z.output<typeof StepUpOptions>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    this.secondFactor.issuedProof(caller);
    return this.secondFactor.beginStepUp(caller, body.factor, request);
  }

  /**
   * Proves a factor again. The session or token of this request then has a fresh sign-in: a token is replaced, a session gets a
   * new cookie.
   */
  @Post('step-up')
  @Describe('Prove a factor again', {
    response: Issued,
    headers: ['Set-Cookie'],
    errors: ['400 not_signed_in', '409 sign_in_ended', ...PROOF_ERRORS],
  })
  @HttpsOnly()
  @HttpCode(200)
  stepUp(
    @Body({ schema: StepUp }) { factor, ...proof }: z.output<typeof StepUp>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    return this.secondFactor.stepUp(caller, this.secondFactor.issuedProof(caller), factor, proof, request);
  }
}
