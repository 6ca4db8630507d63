/** How wide this is; 80 where there is no terminal, or one that does not know, which says 0. */
export function columnsOf({ columns }: { readonly columns?: number }): number {
  return columns || 80;
}
