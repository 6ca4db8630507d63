import { plainLines } from './plain-text.ts';
import { toJson, toJsonLine } from './json.ts';
import { UsageError } from './usage-error.ts';

export interface Failure {
  readonly exitCode: 1 | 2;
  /** What to write to stderr. */
  readonly text: string;
}

export interface FailureStyle {
  readonly json: boolean;
  /** JSON in one line. */
  readonly isLined?: boolean;
  /** Also the causes beneath. */
  readonly verbose: boolean;
}

/** A thrown value as words for a human, or as JSON, and its exit status. */
export function describeFailure(error: unknown, { json, isLined = false, verbose }: FailureStyle): Failure {
  const exitCode = error instanceof UsageError ? 2 : 1;
  const { code, message, hint } = facts(error);
  const causes = verbose ? causesOf(error) : [];
  if (json) {
    const described = { code, message, ...(hint === undefined ? {} : { hint }), ...(verbose ? { causes } : {}) };
    return { exitCode, text: (isLined ? toJsonLine : toJson)({ error: described }) };
  }
  const lines = [
    `${code}: ${message}`,
    ...causes.map((cause) => `cause: ${cause}`),
    ...(hint === undefined ? [] : [`hint: ${hint}`]),
  ];
  return { exitCode, text: `${lines.map(plainLines).join('\n')}\n` };
}

interface FailureFacts {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** By shape and not by class: a usage error must not cost the loading of the library. */
function facts(error: unknown): FailureFacts {
  if (error instanceof UsageError) return { code: 'USAGE', message: error.message, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && error.name === 'SmartVMError' && 'code' in error && 'hint' in error) {
    return { code: String(error.code), message, hint: typeof error.hint === 'string' ? error.hint : undefined };
  }
  return { code: 'INTERNAL', message, hint: 'This is a fault in smartvm; --verbose shows where.' };
}

function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  if (facts(error).code === 'INTERNAL' && error instanceof Error && error.stack !== undefined) causes.push(error.stack);
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause !== undefined && causes.length < 20) {
    const { code, message } = facts(cause);
    const label = code === 'INTERNAL' ? nameOf(cause) : code;
    causes.push(message.startsWith(label) ? message : `${label}: ${message}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

/** The system error code (`ENOENT`), else the name of the class. */
function nameOf(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  return 'code' in cause ? String(cause.code) : cause.name;
}
