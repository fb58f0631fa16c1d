// Package view has one type for each thing that the service shows: packages
// return it, the API serves it as JSON, and tools decode the same type. The
// JSON names are published and stay as they are.
//
// It says how things look from outside, not how they work: no methods, and
// nothing in it decides anything.
package view
