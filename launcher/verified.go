package launcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/mfa"
	"kpm/launcher/refusal"
)

// Memory is who was verified a short time ago, where, and for which policies.
// mfa.Memory does it.
type Memory interface {
	// Lasts is for how long; 0 if nothing is remembered.
	Lasts() time.Duration
	Remembered(place mfa.Place, policies []core.PolicyRef) bool
	Remember(place mfa.Place, policies []core.PolicyRef)
	Forget(place mfa.Place)
	ForgetUser(user core.UserID)
}

// place is where a caller is, by what the kernel says of the process that holds
// the connection. A process of which that is not known has no terminal.
//
// Attack: a coding agent asks in the terminal in which a person has entered a code
// lately. It has no place, and so nothing is remembered for it.
func (l *Launcher) place(submitted *Submission) mfa.Place {
	place := mfa.Place{User: submitted.Peer.User}
	if by := l.behind(submitted).By; l.cfg.Behind != nil && (by == core.ByAgent || by == core.ByUnknown) {
		return place
	}
	processes := submitted.Peer.Processes
	if l.cfg.TerminalOf == nil || len(processes) != 1 {
		return place
	}
	terminal, err := l.cfg.TerminalOf(processes[0])
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			l.cfg.Log.Debug("the terminal of a caller is not known", "process", processes[0], "error", err)
		}
		return place
	}
	place.Terminal = terminal
	if l.cfg.SessionOf == nil {
		return place
	}
	if place.Session, err = l.cfg.SessionOf(processes[0]); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return mfa.Place{User: place.User} // it may be any
	}
	return place
}

// maxShown bounds the command line in a prompt, in bytes.
const maxShown = 400

// what is what a request would run, as prompts have it: the sealed program, whom it
// would run as, the request's code and the command line. It is printable, and no
// argument can look like another or like what follows.
//
// Attack: the arguments that matter stand behind so many others that nobody sees
// them. What is left out is said.
func (l *Launcher) what(e *elevation) string {
	if e.file {
		return l.whatFile(e)
	}
	program, line := l.programAndLine(e)
	return fmt.Sprintf("%s as %s (request %s: %s)", program, wire.Escaped(e.sealed.Subject.Target.Name), e.id.Code(), line)
}

// programAndLine are the sealed program, with what it is called if that is something
// else, and the command line, each as prompts have it.
func (l *Launcher) programAndLine(e *elevation) (program, line string) {
	s := e.sealed.Subject
	quoted := func(words ...string) string {
		for i, word := range words {
			words[i] = wire.Escaped(word)
		}
		return wire.Quoted(l.cfg.Facts.Platform, words)
	}
	program = quoted(s.Executable.Path)
	if s.Called() != s.Executable.Path {
		program = quoted(s.Argv[0]) + " (" + program + ")"
	}
	return program, atMost(quoted(slices.Clone(s.Argv)...))
}

// atMost is text, or its beginning and how much more there is.
func atMost(text string) string {
	if len(text) <= maxShown {
		return text
	}
	shown := strings.ToValidUTF8(text[:maxShown], "")
	return fmt.Sprintf("%s ... and %d more bytes that are not shown", shown, len(text)-len(shown))
}

// forgetVerified forgets what is remembered of a caller: theirs alone, whom the kernel
// has named. It needs nobody's decision.
func (l *Launcher) forgetVerified(submitted Submission) Result {
	key := l.behind(&submitted).Key()
	if submitted.Memory.Do == door.ForgetAll {
		l.cfg.Memory.ForgetUser(submitted.Peer.User)
		key = ""
	} else {
		l.cfg.Memory.Forget(l.place(&submitted))
	}
	if l.cfg.Grants != nil && (key != "" || submitted.Memory.Do == door.ForgetAll) {
		l.cfg.Grants.Forget(submitted.Peer.User, key, core.Principal{Kind: core.User, User: submitted.Peer.User})
	}
	return Result{Done: true}
}

// validate has a caller verified now, for every policy that asks this caller for a
// second factor. It opens no request, and moves none.
func (l *Launcher) validate(ctx context.Context, submitted Submission, c Caller) Result {
	place := l.place(&submitted)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // which ends with this call
		select {
		case <-l.detach:
			cancel()
		case <-ctx.Done():
		}
	}()
	verifier, is := l.verifier(core.ControlMFA).(control.MFA)
	if !is {
		return Result{Refused: refusal.New(door.CodeUnavailable, "nothing on this machine can verify a second factor")}
	}
	who, listing, refused := l.permissions(ctx, submitted)
	if refused != nil {
		return Result{Refused: refused}
	}
	var policies []core.PolicyRef
	for _, p := range listing.Permissions {
		if slices.Contains(p.Controls, core.ControlMFA) {
			policies = append(policies, core.PolicyRef{ID: p.ID, Name: p.Name})
		}
	}
	switch {
	case len(policies) == 0:
		return Result{Listing: "No policy asks you for a code of a second factor.\n"}
	case submitted.Memory.NonInteractive && l.cfg.Memory.Remembered(place, policies):
		return Result{Done: true}
	}
	_, err := verifier.Verify(ctx, control.Question{
		Subject: who, NonInteractive: submitted.Memory.NonInteractive, Place: place, What: "commands that ask for your code",
		Ask: func(ctx context.Context, p control.Prompt) (string, error) {
			return c.Prompt(ctx, p, l.limits().Prompt)
		},
	})
	var late *control.Refused
	switch {
	case errors.As(err, &late) && late.Late:
		return Result{Refused: refusal.New(door.CodeExpired, "%s", late.Message)}
	case errors.As(err, &late):
		return Result{Refused: refusal.New(door.CodeDenied, "%s", late.Message)}
	case l.isClosed():
		return Result{Later: true}
	case err != nil:
		l.cfg.Log.Error("a second factor cannot be verified", "user", who.Caller.Name, "error", err)
		return Result{Refused: refusal.New(door.CodeFailed, "your second factor cannot be verified now: tell whoever manages this machine")}
	}
	l.cfg.Memory.Remember(place, policies)
	if place.Terminal.None() || l.cfg.Memory.Lasts() == 0 {
		return Result{Listing: "The code is right. Nothing is remembered here: you are asked again each time.\n"}
	}
	return Result{Done: true}
}
