// Package execution decides about programs right before they run: those of elevated
// commands by the rules for child processes, and everybody's by policies of type
// FileAccess.
//
// It has two halves, which speak over one connection. The Holder is a process of its
// own (keeperexec), which the kernel asks: it remembers verdicts, and answers each
// execution within a second whatever the service does. The Server is in the service:
// it keeps a Holder running, knows which commands are elevated, asks KeeperPolicy and
// writes the journal.
//
// It is no part of it to stop programs: package port has that as ExecutionControl and
// Executions. Nor is it a wall against root, nor against what runs code without
// executing a file (docs/interception.md).
package execution
