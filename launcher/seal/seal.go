package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/filecache"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/refusal"
)

// sealTime bounds finding, hashing and copying one program.
const sealTime = 10 * time.Second

// Sealed is what was decided on and what will run: the same bytes, by handle.
type Sealed struct {
	Subject core.Subject
	Digest  string // of Subject
	Handle  *os.File
	info    port.FileInfo           // of handle, when it was sealed
	Script  string                  // path to execute it by, which may lead through links; "" for a binary
	copied  bool                    // handle is our private copy, to be removed
	payer   core.UserID             // whose limits it counts for
	room    *fair.Slot[core.UserID] // the copy's bytes; nil if it is none
}

// Close lets go of the program and removes the copy. What runs by then has
// opened what it needs.
func (sealed *Sealed) Close() {
	sealed.Handle.Close()
	if sealed.copied {
		os.Remove(sealed.info.Path)
	}
	sealed.room.Release()
}

// Seal fixes who asks for what (decision 26). The path, the hash and the bytes
// of the result cannot drift apart any more, whatever the caller does to the
// file system meanwhile.
func (s *Sealer) Seal(ctx context.Context, r *Request) (*Sealed, error) {
	ctx, cancel := context.WithTimeout(ctx, sealTime)
	defer cancel()
	if err := admissible(r); err != nil {
		return nil, err
	}
	caller, membership, err := s.caller(r.Peer)
	if err != nil {
		return nil, err
	}
	target, err := s.target(r.TargetUser)
	if err != nil {
		return nil, err
	}
	dir, err := s.Files.Inspect(r.Dir)
	if core.OutOfResources(err) {
		return nil, fmt.Errorf("working directory: %w", err)
	}
	if err != nil || dir.Regular {
		return nil, refusal.New(door.CodeBadRequest, "the working directory does not exist any more: change to another one")
	}
	sealed := &Sealed{payer: r.Peer.Payer(), Subject: core.Subject{
		Caller: caller, Membership: membership, Target: target, Argv: r.Argv, Dir: dir.Path,
		// A command that was elevated is not an administrator whom policy does
		// not concern, and neither is a plugin or task.
		Administrator: r.Peer.Administrator && s.Administrator(r.Peer),
	}}
	sealed.Subject.Executable.Requested = s.requested(r, dir.Path)
	handle, err := s.program(r)
	if err != nil {
		return nil, err
	}
	if err := s.fix(ctx, sealed, handle); err != nil {
		return nil, err
	}
	name, path := s.called(r, sealed)
	sealed.Subject.Argv = slices.Concat([]string{name}, r.Argv[1:])
	if sealed.Script != "" && !sealed.copied {
		sealed.Script = path // a script learns what it is called from there
	}
	if err := fits(sealed.Subject); err != nil {
		sealed.Close()
		return nil, err
	}
	sealed.Digest = sealed.Subject.Digest()
	return sealed, nil
}

// admissible refuses callers whose identity, paths or pids do not mean what
// ours do, and requests that cannot be carried faithfully.
func admissible(r *Request) error {
	switch {
	case r.Peer.Foreign:
		return refusal.New(door.CodeBadRequest, "the caller is in another namespace (a container?): make the request on the machine itself")
	case !r.Peer.SameIdentity || len(r.Peer.Processes) != 1:
		// Attack: connect as oneself, then exec a setuid program that
		// inherits the connection (decision 11).
		return refusal.New(door.CodeBadRequest, "the calling process has more than one identity: run keepersudo as yourself")
	case r.Peer.Confined != "":
		// Attack: a sandbox asks for a process outside of itself.
		return refusal.New(door.CodeBadRequest, "the calling process is confined (%s), and what is started for it would not be: ask from outside", r.Peer.Confined)
	case len(r.Argv) == 0 || r.Command == "":
		return refusal.New(door.CodeBadRequest, "there is no command")
	}
	for _, text := range []string{r.Command, r.TargetUser} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return refusal.New(door.CodeBadRequest, "a program or user is not UTF-8 text without NUL: %q", text)
		}
	}
	for _, arg := range r.Argv {
		if strings.ContainsRune(arg, 0) {
			return refusal.New(door.CodeBadRequest, "an argument has a NUL: %q", arg)
		}
	}
	return nil
}

// fits refuses a subject that could not be shown to policy whole (decision 24a).
func fits(sealed core.Subject) error {
	size := len(sealed.Dir) + len(sealed.Executable.Requested) + len(sealed.Executable.Path) + len(sealed.Executable.Interpreter) +
		len(sealed.Caller.Name) + len(sealed.Target.Name)
	for _, arg := range sealed.Argv {
		size += len(arg) + 1
	}
	if size > wire.MaxSubject {
		return refusal.New(door.CodeBadRequest, "command line and names take %d bytes, the limit is %d: shorten it", size, wire.MaxSubject)
	}
	for _, path := range []string{sealed.Dir, sealed.Executable.Requested, sealed.Executable.Path} {
		if !utf8.ValidString(path) {
			return refusal.New(door.CodeBadRequest, "a path is not UTF-8 text: %q", path)
		}
	}
	return nil
}

// requested is the program as the caller named it, made absolute. It is the
// caller's word: DENY rules look at it as well, ALLOW rules do not.
func (s *Sealer) requested(r *Request, dir string) string {
	if !s.Facts.Platform.IsBareName(r.Command) && !filepath.IsAbs(r.Command) {
		return filepath.Join(dir, r.Command)
	}
	return r.Command
}

// program returns a handle to what is to run: the caller's own, or what the
// bare name means on the service's path, whatever the caller's PATH says.
func (s *Sealer) program(r *Request) (*os.File, error) {
	if r.Executable != nil {
		handle := r.Executable
		r.Executable = nil // the seal's from here on
		return handle, nil
	}
	if !s.Facts.Platform.IsBareName(r.Command) {
		return nil, refusal.New(door.CodeBadRequest, "a path came without the program")
	}
	handle, err := s.Files.Find(r.Command)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("find %q: %w", r.Command, err)
	}
	if err != nil {
		return nil, refusal.New(door.CodeNotFound, "there is no program %q on the service's path: give a full path", r.Command)
	}
	return handle, nil
}

// fix makes sealed run exactly what is behind handle now. The caller opened handle
// by its own rights; whether it may execute the file is policy's decision, as
// the file is run by the target's rights. fix owns handle.
func (s *Sealer) fix(ctx context.Context, sealed *Sealed, handle *os.File) (err error) {
	sealed.Handle = handle
	origin := handle
	defer func() {
		if sealed.Handle != origin {
			origin.Close()
		}
		if err != nil {
			sealed.Close()
		}
	}()
	exe := &sealed.Subject.Executable
	if sealed.info, err = s.Files.Inspect(handle); err != nil {
		return err
	}
	exe.Path = sealed.info.Path
	switch {
	case !sealed.info.Regular:
		return refusal.New(door.CodeBadRequest, "%s is not a regular file", exe.Path)
	case !sealed.info.Exec:
		return refusal.New(door.CodeBadRequest, "%s is not executable: give it permission to execute, or name its interpreter", exe.Path)
	}
	signed := sync.OnceValue(func() error { return s.sign(ctx, sealed.payer, exe, sealed.Handle, origin) })
	var found contents
	switch err = s.Files.Protected(handle); {
	case err == nil:
		exe.Protected = true
		found, err = s.contentsOf(ctx, sealed.Subject.Caller.User, handle, sealed.info, func() { signed() })
	case errors.Is(err, core.ErrNotProtected):
		found, err = s.copy(ctx, sealed)
	}
	if denied := mayNot(err, exe.Path, sealed.Subject.Target.Name); denied != nil {
		return denied
	}
	if errors.Is(err, errShebang) || errors.Is(err, errMoved) {
		return refusal.New(door.CodeBadRequest, "%s cannot be run: %v", exe.Path, err)
	}
	if err != nil {
		return err
	}
	exe.SHA256, exe.Interpreter = found.sha256, found.interpreter
	if err := signed(); err != nil {
		return err
	}
	if exe.Interpreter == "" {
		return nil
	}
	sealed.Script = sealed.info.Path
	return s.checkInterpreter(exe.Interpreter)
}

// mayNot words that whom a program is to run as may not run it. That is by
// design: a handle of somebody's private program is easily had, and a copy that
// its owner did not mean would show what is in it.
func mayNot(err error, path, target string) error {
	var what, instead string
	switch {
	case errors.Is(err, core.ErrMayNotRun):
		what, instead = "may not execute it", "let them execute it"
	case errors.Is(err, core.ErrMayNotRead):
		what, instead = "may execute it and not read it, and a script is read by its interpreter", "let them read it"
	default:
		return nil
	}
	return refusal.New(door.CodeBadRequest, "%s would run as %s, who %s. Others than root can change it, so it would run from a copy, and a copy allows no more than the program itself: %s, or run it as another user", path, target, what, instead)
}

// Recheck makes sure, right before the launch, that the handle still is what
// was decided on. Of a private copy nobody could have changed anything; of a
// Protected file root could, by an upgrade.
func (s *Sealer) Recheck(sealed *Sealed) error {
	now, err := s.Files.Inspect(sealed.Handle)
	if err != nil {
		return fmt.Errorf("it is gone: %w", err)
	}
	if filecache.Identify(now, 0) != filecache.Identify(sealed.info, 0) || now.Path != sealed.info.Path {
		return errors.New("the program changed after it was decided on: try again")
	}
	return nil
}
