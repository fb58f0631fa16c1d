// Package wire holds RequestMessage, the one envelope of every first-party
// topic, and the payloads inside it. docs/wire.md is its specification.
//
// It encodes and checks shape; who may say what is the broker's business, and
// what an answer does to a request is the launcher's.
package wire
