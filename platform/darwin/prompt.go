//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// maxTyped bounds what a person can answer, in bytes.
const maxTyped = 64 << 10

// Prompts shows dialogs by osascript, as the person and in their session (attack
// class CVE-2026-2914: a dialog with more rights than whoever sees it).
type Prompts struct {
	Accounts port.Accounts
	Files    port.Opener
	Launcher port.Launcher
	Sessions port.Sessions
}

var _ port.Prompts = Prompts{}

// Ask implements port.Prompts.
func (p Prompts) Ask(ctx context.Context, session core.SessionID, text string, secret bool) (string, error) {
	answer, err := p.ask(ctx, session, text, secret)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("ask in session %s: %w", session, err)
	}
	return answer, nil
}

func (p Prompts) ask(ctx context.Context, session core.SessionID, text string, secret bool) (string, error) {
	all, err := p.Sessions.List(ctx)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(all, func(s core.Session) bool { return s.ID == session })
	if at < 0 {
		return "", fs.ErrNotExist
	}
	account, err := p.Accounts.ByID(all[at].User)
	if err != nil {
		return "", err
	}
	argv, script := tool.AskPerson(text, secret)
	program, err := p.Files.Locate(argv[0])
	if err != nil {
		return "", err
	}
	defer program.Close()
	dir, err := p.Files.Locate("/")
	if err != nil {
		return "", err
	}
	defer dir.Close()
	return p.run(ctx, port.LaunchSpec{
		As: core.Identity{RunAs: core.AsUserDesktop, Account: account, Session: session}, Executable: program, Dir: dir, Argv: argv, Env: tool.Environment(),
	}, script)
}

// run starts the dialog, tells it what to show, and hears what was entered.
func (p Prompts) run(ctx context.Context, spec port.LaunchSpec, script string) (string, error) {
	var theirs, ours [3]*os.File
	defer func() {
		for _, f := range append(theirs[:], ours[:]...) {
			if f != nil {
				f.Close()
			}
		}
	}()
	for i := range theirs {
		r, w, err := os.Pipe()
		if err != nil {
			return "", err
		}
		if theirs[i], ours[i] = w, r; i == 0 {
			theirs[i], ours[i] = r, w
		}
	}
	spec.Streams = port.Streams{Input: theirs[0], Output: theirs[1], Error: theirs[2]}
	held, err := p.Launcher.Prepare(ctx, spec)
	if err != nil {
		return "", err
	}
	process, err := held.Release(ctx)
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { process.Kill() })
	defer stop()
	for _, f := range theirs {
		f.Close()
	}
	// The pipes hold more than a script and a sentence: nobody waits for the other.
	_, told := io.WriteString(ours[0], script)
	ours[0].Close()
	output, err1 := io.ReadAll(io.LimitReader(ours[1], maxTyped))
	said, err2 := io.ReadAll(io.LimitReader(ours[2], maxTyped))
	status, err := process.Wait(ctx)
	if err := errors.Join(told, err1, err2, err); err != nil {
		return "", err
	}
	return tool.ParseAnswer(string(output), string(said), status.Shell())
}
