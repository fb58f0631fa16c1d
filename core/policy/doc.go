// Package policy is the policy engine: it reads policy files, compiles them
// into an immutable Set, and answers questions from it in about a microsecond,
// whatever the number of policies.
//
// It is pure. It opens no file, starts no process, looks nothing up and keeps
// no clock: what it needs to know about the machine comes in an Environment,
// and the time comes with the Question. Reading files and answering on the bus
// is the business of plugins/keeperpolicy.
//
// Every reading is fail-closed (decision 29), and one idea carries it. A policy
// meets a question with one of three strengths: not at all; it restricts,
// which means that its DENY and its controls count; or fully, which means that
// it may grant as well. Whatever is empty, unknown or cannot be resolved leaves
// a policy the strength to restrict and takes away the strength to grant.
//
// What differs between kinds of policy is a row of one table (Kinds), and a file
// of its own: elevation.go is the example to copy for the next kind.
package policy
