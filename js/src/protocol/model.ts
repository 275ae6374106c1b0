// `TraitModel`: the part of a widget model that is used here.

/** A live comm, or the traits of a saved page. */
export interface TraitModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(event: string, callback: (...args: never[]) => void): void;
  off(event: string, callback: (...args: never[]) => void): void;
  save_changes(): void;
}
