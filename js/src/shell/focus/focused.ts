// Which element has the focus, in a document as in a shadow tree.

/** What has the focus in the tree that an element is in. Of a shadow tree the document sees only the host. */
export function focusedBeside(element: Element): Element | null {
  return (element.getRootNode() as Partial<Document | ShadowRoot>).activeElement ?? null;
}
