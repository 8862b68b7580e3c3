// SPDX-License-Identifier: Apache-2.0
// What both ways to draw the graph have in common.

export const LEAST_ZOOM = 0.05, MOST_ZOOM = 3;
export const FIT_ZOOM = 1.3; // at most, where all is to be seen
export const FONT = "system-ui, sans-serif";
export const PADDING = 26; // of a box around a namespace

// A color of page.css as it is now.
export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// The same of the same node or edge, as long as the mesh's age is.
export const idOf = (thing) => (thing.key ? thing.key : `e${thing.id}`);

// "service", "workload", "outside", "namespace"
export const kindOf = (node) => (node.kind === "workload" && node.name === "unknown" ? "outside" : node.kind);
