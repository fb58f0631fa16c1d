// Package turns has the system's scheduler give a process short turns at a
// processor, and in exchange give them soon. It takes no larger share of the
// processor, and needs no right that others lack. It is apart from package
// platform because a plugin links nothing that it does not use. It also has Go's runtime
// take fewer turns of its own.
//
// Attack: a user keeps every processor busy. An elevation is a relay of
// processes, each of which does little; without this each of them waits until a
// whole turn of whatever else computes is over.
package turns
