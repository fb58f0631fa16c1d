// Package fault is the one form in which the agent says what is wrong with
// something that a person wrote: a settings, plugin, job or policy file, or the
// body of a request. It says where, what was found, what was expected and how
// to fix it.
//
// It reads nothing and decides nothing: core/strictjson finds places in JSON,
// and each package knows what it expects there.
package fault
