/**
 * Elements in one call, and nothing more: no framework, no virtual tree.
 */

/**
 * Make an element: `h('button', { class: 'pad', onclick }, 'Play')`.
 *
 * `on…` are listeners, `data` and `style` are objects; values true and false set or omit an
 * attribute; children may be nodes, text, null or lists of them.
 */
export const h = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'data') Object.assign(element.dataset, value)
    else if (name === 'style') for (const [property, each] of Object.entries(value)) element.style.setProperty(property, each)
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false))
  return element
}

/** Replace what is inside `parent`. */
export const fill = (parent, ...children) => {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== false))
  return parent
}

/** Set text only where it differs, so that a selection in it survives. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text
}
