package sudo

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"kpm/core/door"
	"kpm/core/port/caller"
)

// request is what the service is asked, and the handles that travel with it.
type request struct {
	door.Request
	directory uintptr
	program   uintptr // if HasExecutable
}

// newRequest opens what the command line names as the caller, who may not lend
// the service's eyes to see what they cannot.
func newRequest(o *options, host caller.Host) (*request, *failure) {
	command := o.command[0]
	r := &request{Request: door.Request{
		HasExecutable: isPath(command), NonInteractive: o.nonInteractive, Anew: o.memory == door.Forget, Desktop: o.desktop, FileAccess: o.fileAccess, List: o.list, JSON: o.json, For: o.remember,
		Command: command, TargetUser: o.user, Argv: o.command, Env: offered(os.Environ()), Reason: o.reason,
	}}
	screen := host.Console.Screen()
	r.Rows, r.Columns = screen.Rows, screen.Columns
	// Nobody who waits without a terminal can see for what, or give it up.
	r.NoWait = o.noWait || !o.wait && (o.nonInteractive || !screen.Terminal)
	r.Terminal, r.Background, r.Apart = screen.Terminal, screen.Background, screen.Apart
	var err error
	if host.Random != nil {
		if err = host.Random(r.Key[:]); err != nil {
			return nil, &failure{exitRefused, "there is nothing random to be had: " + err.Error()}
		}
	}
	if r.directory, err = host.Handles.Directory(); err != nil {
		return nil, &failure{exitRefused, "the working directory cannot be opened: " + err.Error() + "; go to another one"}
	}
	if r.HasExecutable {
		switch r.program, err = host.Handles.Program(command); {
		case errors.Is(err, fs.ErrNotExist):
			return nil, &failure{exitNotFound, command + ": no such file"}
		case err != nil:
			return nil, &failure{exitUnusable, command + ": " + err.Error()}
		}
	}
	if size := len(r.Encode()); size > door.MaxFrame {
		return nil, &failure{exitUsage, "the command line is too long: " + strconv.Itoa(size) +
			" bytes, at most " + strconv.Itoa(door.MaxFrame) + " are possible"}
	}
	return r, nil
}

// send sends the request. What it refers to stays open: it may be sent again.
func (r *request) send(host caller.Host) {
	standard := host.Handles.Standard()
	handles := append([]uintptr{r.directory}, standard[:]...)
	if r.HasExecutable {
		handles = append(handles, r.program)
	}
	// A service that is full refuses and closes before it has read anything;
	// that is then still to be heard, and attend notices if nothing is.
	_ = host.Service.Send(door.Append(nil, door.TypeRequest, r.Encode()), handles...)
}

// isPath reports whether command names a program by its path.
func isPath(command string) bool {
	for i := range len(command) {
		if os.IsPathSeparator(command[i]) {
			return true
		}
	}
	return false
}

// offered returns the variables that the service may keep (docs/settings.md,
// "Environment of elevated commands"). It looks at the values itself.
func offered(environ []string) []string {
	kept := []string{}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "NO_COLOR":
		default:
			if !strings.HasPrefix(name, "LC_") {
				continue
			}
		}
		kept = append(kept, variable)
	}
	return kept
}
