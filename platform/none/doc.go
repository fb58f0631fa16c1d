// Package none holds a port of every kind that answers errors.ErrUnsupported:
// nothing is started, nobody is identified, nothing is called safe.
//
// A platform embeds these, or takes them as they are, for what it does not do,
// so that its own folder contains only what it really does. Tests embed them in
// fakes for the same reason.
package none
