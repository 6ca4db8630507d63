/** A flag as it is parsed and as it is explained. */
export interface Flag {
  readonly help: string;
  readonly short?: string;
  /** Name of the flag's value in the help, for example `<dir>`; absent for a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly multiple?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

/** What a verb takes besides flags. */
export interface Operands {
  /** As the help shows it: `<reference>`, `[id…]`. */
  readonly text: string;
  readonly min: number;
  readonly max: number;
}

/** What can stand behind a verb. */
export interface Grammar {
  readonly name: string;
  readonly operands: Operands;
  readonly flags: Flags;
}
