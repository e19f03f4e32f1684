// A key pressed in a widget of ours is for the widget.

/**
 * JupyterLab takes keys on the document ("x" would cut the cell), so they are kept from there on the window. Keys with a
 * modifier (Ctrl+S) and Escape go on to JupyterLab, unless `take` says that the widget has taken them.
 */
export function keepKeys(root: HTMLElement, take: (event: KeyboardEvent) => boolean): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (!root.contains(event.target as Node)) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && event.key !== 'Escape';
    if (take(event) || plain) event.stopPropagation();
  };
  window.addEventListener('keydown', onKey, true);
  return () => window.removeEventListener('keydown', onKey, true);
}
