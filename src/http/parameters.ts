import { BadRequestException } from '@nestjs/common';
import { parse, type ParsedUrlQuery } from 'node:querystring';

const MAX_PARAMETERS = 1_000;

/** @param text a query or a form */
export const hasTooManyParameters = (text: string): boolean =>
  text.length > MAX_PARAMETERS && text.split('&', MAX_PARAMETERS + 1).length > MAX_PARAMETERS;

export const tooManyParameters = () =>
  new BadRequestException({
    code: 'too_many_parameters',
    detail: `The query or the form has more than ${MAX_PARAMETERS} parameters.`,
  });

/** Parses a query or a form. By default Node drops the parameters after the first 1,000 silently. */
export const parseParameters = (text: string): ParsedUrlQuery =>
  parse(text, undefined, undefined, { maxKeys: 0 });
