//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/platform/windows/held"
)

// ErrNoDesktop is wrapped when whoever was logged on for a command is not admitted to
// the desktop of the session that it is for.
var ErrNoDesktop = core.NewError(core.Unavailable, "it has no desktop in the session")

// openDesktop has a logon that we have made admitted to the desktop of the session that
// its token is for. Windows secures a desktop for the logon that the session began with:
// windows of any other are never drawn, and programs that make some end at their start.
//
// A helper does it with our own rights, in that session: one session reaches no other's
// desktop. It takes it back when t is done with, or when we are gone.
func (l *Launcher) openDesktop(ctx context.Context, t *token, session core.SessionID) error {
	logon, err := logonOf(t.primary)
	if err != nil {
		return fmt.Errorf("session %s: %w: %w", session, ErrNoDesktop, err)
	}
	own, err := l.ownToken(session)
	if err != nil {
		return fmt.Errorf("session %s: %w: %w", session, ErrNoDesktop, err)
	}
	defer own.Close()
	theirs, orders, reports, err := connection()
	if err != nil {
		return err
	}
	defer windows.CloseHandle(theirs[0])
	defer windows.CloseHandle(theirs[1])
	made, err := held.Start{
		Token: own, Desktop: sessionDesktop, Flags: windows.DETACHED_PROCESS, Security: held.Administrators, Application: l.helper.path,
		CommandLine: held.Name + " " + held.DesktopArgument + " " + logon, Dir: systemDirectory(), Env: helperEnvironment(),
		Streams: [3]windows.Handle{theirs[0], theirs[1], 0},
	}.Create()
	if err != nil {
		return errors.Join(fmt.Errorf("session %s: %w: %w", session, ErrNoDesktop, explain(err)), orders.Close(), reports.Close())
	}
	defer windows.CloseHandle(made.Thread)
	leave := func() error {
		err := orders.Close() // it hears of that, and ends
		if _, waitErr := windows.WaitForSingleObject(made.Process, uint32(killTime.Milliseconds())); waitErr != nil {
			err = errors.Join(err, waitErr)
		}
		return errors.Join(err, reports.Close(), windows.CloseHandle(made.Process))
	}
	if err := admitted(ctx, made, reports); err != nil {
		windows.TerminateProcess(made.Process, exitKilled)
		return errors.Join(fmt.Errorf("session %s: %w: %w", session, ErrNoDesktop, err), leave())
	}
	t.desktop, t.leave = sessionDesktop, leave
	return nil
}

// admitted lets the helper run and reads what it says.
func admitted(ctx context.Context, made windows.ProcessInformation, reports *os.File) error {
	if _, err := windows.ResumeThread(made.Thread); err != nil {
		return fmt.Errorf("resume the helper: %w", err)
	}
	// Its pipes have no deadlines: its end is the end of every wait.
	stop := context.AfterFunc(ctx, func() { windows.TerminateProcess(made.Process, exitKilled) })
	defer stop()
	b := make([]byte, held.ReportSize)
	if _, err := io.ReadFull(reports, b); err != nil {
		return errors.Join(fmt.Errorf("the helper has ended: %w", err), ctx.Err())
	}
	said, _ := held.DecodeReport(b)
	if said.Step != held.StepDesktop || said.Errno != 0 {
		return fmt.Errorf("%s: %w", said.Step, explain(windows.Errno(said.Errno)))
	}
	return nil
}

// ownToken is this service's, in a session.
func (l *Launcher) ownToken(session core.SessionID) (windows.Token, error) {
	var mine windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_QUERY|windows.TOKEN_DUPLICATE, &mine); err != nil {
		return 0, fmt.Errorf("own token: %w", err)
	}
	defer mine.Close()
	own, err := primaryOf(mine)
	if err != nil {
		return 0, fmt.Errorf("own token: %w", err)
	}
	if err := inSession(own, session); err != nil {
		own.Close()
		return 0, explain(err)
	}
	return own, nil
}

// groupOfLogon is SE_GROUP_LOGON_ID (winnt.h).
const groupOfLogon = 0xc000_0000

// logonOf is the SID that a token's logon alone has.
func logonOf(t windows.Token) (string, error) {
	groups, err := t.GetTokenGroups()
	if err != nil {
		return "", fmt.Errorf("groups of a token: %w", err)
	}
	for _, g := range groups.AllGroups() {
		if g.Attributes&groupOfLogon == groupOfLogon {
			return g.Sid.String(), nil
		}
	}
	return "", errors.New("the token has no logon of its own")
}
