// Package inventory is the task that writes down what there is on this machine: the
// machine itself, its accounts and who is logged in, or the programs on its disks. The
// inventory is a file; what is printed says where it is and how long.
//
// It sends nothing anywhere, asks no directory, and decides nothing: an inventory is for
// people and for a backend to read.
package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// ID is the task's command.
const ID = "KeeperInventory"

// Exit codes.
const (
	ExitOK    = 0
	ExitFault = 1
	ExitUsage = 2
)

// usage is what was expected.
const usage = "usage: KeeperInventory files|users --out=PATH"

// document is the file that is written.
type document struct {
	Kind    string    `json:"kind"` // files or users
	Taken   time.Time `json:"taken"`
	Machine machine   `json:"machine"`
	Users   *people   `json:"users,omitempty"`
	Files   []program `json:"files,omitempty"`
	// Cut says that there are more files than an inventory holds.
	Cut bool `json:"cut,omitempty"`
	// Unread are places that could not be read, the first hundred.
	Unread []string `json:"unread,omitempty"`
}

// summary is printed for the job's context.
type summary struct {
	InventoryKind  string
	InventoryFile  string
	InventoryCount int
	InventoryCut   bool
}

// Main runs the task and returns its exit code. It ends early, and writes nothing, when ctx
// is done.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	kind, out, err := parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", ID, err)
		return ExitUsage
	}
	said, err := take(ctx, kind, out)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(said)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", ID, wire.PrintableLine(err.Error()))
		return ExitFault
	}
	return ExitOK
}

func parse(args []string) (kind, out string, err error) {
	if len(args) == 0 || args[0] != "files" && args[0] != "users" {
		return "", "", errors.New(usage)
	}
	flags := flag.NewFlagSet(ID, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&out, "out", "", "the file to write")
	if err := flags.Parse(args[1:]); err != nil {
		return "", "", fmt.Errorf("%w; %s", err, usage)
	}
	if flags.NArg() > 0 || !filepath.IsAbs(out) {
		return "", "", fmt.Errorf("--out is %q, expected an absolute path; %s", out, usage)
	}
	return args[0], out, nil
}

func take(ctx context.Context, kind, out string) (summary, error) {
	d := document{Kind: kind, Taken: time.Now().UTC()}
	said := summary{InventoryKind: kind, InventoryFile: out}
	var err error
	if d.Machine, err = thisMachine(ctx); err != nil {
		return said, fmt.Errorf("the machine: %w", err)
	}
	if kind == "users" {
		if d.Users, err = thePeople(ctx); err != nil {
			return said, fmt.Errorf("users: %w", err)
		}
		said.InventoryCount = len(d.Users.Accounts)
	} else {
		remote, err := remoteFolders(ctx)
		if err != nil {
			return said, fmt.Errorf("mounted file systems: %w", err)
		}
		system := core.PlatformOf(d.Machine.OS)
		w := walk{system: system, most: maxFound, skip: remote}
		if err := w.all(ctx, roots(system, os.Getenv)); err != nil {
			return said, err
		}
		d.Files, d.Cut, d.Unread = w.found, w.cut, w.unread
		said.InventoryCount, said.InventoryCut = len(w.found), w.cut
	}
	return said, write(out, d)
}

// write replaces the file. Nobody but the service reads it: it names who has an account.
func write(out string, d document) error {
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(out), ".inventory-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(append(data, '\n'))
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), out)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
