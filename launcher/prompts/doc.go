// Package prompts has people asked at another terminal of theirs, by a keeperAgent that
// listens there, what a request of theirs that has no terminal needs: a reason, or a code.
//
// It finds out who may be asked, and hands a question there and its answer back. It does
// not verify an answer, and moves no request: whoever asks does that, as with a dialog.
// Who listens has been identified by the kernel; it does not find out who that is.
package prompts
