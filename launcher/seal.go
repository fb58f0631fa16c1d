package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/filecache"
	"kpm/core/port"
	"kpm/core/wire"
)

// sealTime bounds finding, hashing and copying one program.
const sealTime = 10 * time.Second

// sealed is what was decided on and what will run: the same bytes, by handle.
type sealed struct {
	subject core.Subject
	digest  string
	handle  *os.File
	info    port.FileInfo           // of handle, when it was sealed
	script  string                  // path to execute it by, "" for a binary
	copied  bool                    // handle is our private copy, to be removed
	room    *fair.Slot[core.UserID] // the copy's bytes; nil if it is none
}

// close lets go of the program and removes the copy. What runs by then has
// opened what it needs.
func (s *sealed) close() {
	s.handle.Close()
	if s.copied {
		os.Remove(s.info.Path)
	}
	s.room.Release()
}

// seal fixes who asks for what (decision 26). The path, the hash and the bytes
// of the result cannot drift apart any more, whatever the caller does to the
// file system meanwhile.
func (l *Launcher) seal(ctx context.Context, k *Knock) (*sealed, error) {
	ctx, cancel := context.WithTimeout(ctx, sealTime)
	defer cancel()
	if err := admissible(k); err != nil {
		return nil, err
	}
	caller, err := l.cfg.Accounts.ByID(k.Peer.User)
	if err != nil {
		return nil, refuse(door.CodeNotFound, "user %s has no account on this machine", k.Peer.User)
	}
	target, err := l.target(k.TargetUser)
	if err != nil {
		return nil, err
	}
	dir, err := l.cfg.Files.Inspect(k.Dir)
	if err != nil || dir.Regular {
		return nil, refuse(door.CodeBadRequest, "the working directory does not exist any more: change to another one")
	}
	s := &sealed{subject: core.Subject{
		Caller: caller, Target: target, Argv: k.Argv, Dir: dir.Path,
		// A command that was elevated is not an administrator whom policy does
		// not concern, and neither is a plugin or task.
		Administrator: k.Peer.Administrator && l.cfg.Registry.administrator(k.Peer),
	}}
	s.subject.Executable.Requested = l.requested(k, dir.Path)
	handle, err := l.program(k)
	if err != nil {
		return nil, err
	}
	if err := l.fix(ctx, s, handle); err != nil {
		return nil, err
	}
	if err := fits(s.subject); err != nil {
		s.close()
		return nil, err
	}
	s.digest = s.subject.Digest()
	return s, nil
}

// admissible refuses callers whose identity, paths or pids do not mean what
// ours do, and requests that cannot be carried faithfully.
func admissible(k *Knock) error {
	switch {
	case k.Peer.Foreign:
		return refuse(door.CodeBadRequest, "the caller lives in another namespace (a container?): ask on the machine itself")
	case !k.Peer.SameIdentity || len(k.Peer.Processes) != 1:
		// Attack: connect as oneself, then exec a setuid program that
		// inherits the connection (decision 11).
		return refuse(door.CodeBadRequest, "the calling process has more than one identity: run keepersudo as yourself")
	case len(k.Argv) == 0 || k.Command == "":
		return refuse(door.CodeBadRequest, "there is no command")
	}
	for _, text := range append([]string{k.Command, k.TargetUser}, k.Argv...) {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return refuse(door.CodeBadRequest, "an argument is not UTF-8 text without NUL: %q", text)
		}
	}
	return nil
}

// fits refuses a subject that could not be shown to policy whole (decision 24a).
func fits(s core.Subject) error {
	size := len(s.Dir) + len(s.Executable.Requested) + len(s.Executable.Path) + len(s.Executable.Interpreter) +
		len(s.Caller.Name) + len(s.Target.Name)
	for _, arg := range s.Argv {
		size += len(arg) + 1
	}
	if size > wire.MaxSubject {
		return refuse(door.CodeBadRequest, "command line and names take %d bytes, the limit is %d: shorten it", size, wire.MaxSubject)
	}
	for _, path := range []string{s.Dir, s.Executable.Requested, s.Executable.Path} {
		if !utf8.ValidString(path) {
			return refuse(door.CodeBadRequest, "a path is not UTF-8 text: %q", path)
		}
	}
	return nil
}

// requested is the program as the caller named it, made absolute. It is the
// caller's word: DENY rules look at it as well, ALLOW rules do not.
func (l *Launcher) requested(k *Knock, dir string) string {
	if !l.cfg.Facts.Platform.IsBareName(k.Command) && !filepath.IsAbs(k.Command) {
		return filepath.Join(dir, k.Command)
	}
	return k.Command
}

// program returns a handle to what is to run: the caller's own, or what the
// bare name means on the service's path, whatever the caller's PATH says.
func (l *Launcher) program(k *Knock) (*os.File, error) {
	if k.Executable != nil {
		handle := k.Executable
		k.Executable = nil // the seal's now
		return handle, nil
	}
	if !l.cfg.Facts.Platform.IsBareName(k.Command) {
		return nil, refuse(door.CodeBadRequest, "a path came without the program")
	}
	handle, err := l.cfg.Files.Find(k.Command)
	if err != nil {
		return nil, refuse(door.CodeNotFound, "there is no program %q on the service's path: give a full path", k.Command)
	}
	return handle, nil
}

// fix makes s run exactly what is behind handle now. The caller opened handle
// by its own rights; whether it may execute the file is policy's decision, as
// the file is run by the target's rights. fix owns handle.
func (l *Launcher) fix(ctx context.Context, s *sealed, handle *os.File) (err error) {
	s.handle = handle
	origin := handle
	defer func() {
		if s.handle != origin {
			origin.Close()
		}
		if err != nil {
			s.close()
		}
	}()
	exe := &s.subject.Executable
	if s.info, err = l.cfg.Files.Inspect(handle); err != nil {
		return err
	}
	exe.Path = s.info.Path
	switch {
	case !s.info.Regular:
		return refuse(door.CodeBadRequest, "%s is not a regular file", exe.Path)
	case !s.info.Exec:
		return refuse(door.CodeBadRequest, "%s is not executable: chmod +x it, or name its interpreter", exe.Path)
	}
	var found contents
	switch err = l.cfg.Files.Protected(handle); {
	case err == nil:
		exe.Protected = true
		found, err = l.contentsOf(ctx, handle, s.info)
	case errors.Is(err, core.ErrNotProtected):
		found, err = l.copy(ctx, s)
	}
	if errors.Is(err, errShebang) || errors.Is(err, errMoved) {
		return refuse(door.CodeBadRequest, "%s cannot be run: %v", exe.Path, err)
	}
	if err != nil {
		return err
	}
	exe.SHA256, exe.Interpreter = found.sha256, found.interpreter
	if err := l.sign(ctx, s.subject.Caller.User, exe, s.handle, origin); err != nil {
		return err
	}
	if exe.Interpreter == "" {
		return nil
	}
	s.script = s.info.Path
	return l.checkInterpreter(exe.Interpreter)
}

// sign fills in who vouches for the bytes that will run. What lies beside the
// bytes, attributes and packages, is the original's.
func (l *Launcher) sign(ctx context.Context, user core.UserID, exe *core.Executable, handle, origin *os.File) error {
	if l.cfg.Signatures == nil {
		return nil
	}
	judged, err := l.judging.Take(ctx, user, 1)
	if err != nil {
		return refuse(door.CodeUnavailable, "other programs of yours are being looked at: try again")
	}
	defer judged.Release()
	file, err := l.cfg.Files.Open(handle)
	if err != nil {
		return err
	}
	defer file.Close()
	if origin == handle {
		origin = file
	}
	p, err := l.cfg.Signatures.Provenance(ctx, file, origin)
	if err != nil {
		return fmt.Errorf("signatures of %s: %w", exe.Path, err)
	}
	exe.Signers, exe.SignersKnown = p.Signers(), true
	return nil
}

// copy replaces the handle in s by one to a private copy, which the caller
// cannot change: of this copy the hash is taken, this is decided, this runs.
// Attacks: rename, write, mapped write or an open writer between check and exec
// (CVE-2021-3969, CVE-2005-1993).
func (l *Launcher) copy(ctx context.Context, s *sealed) (contents, error) {
	size := s.info.Size
	room, err := l.copies.TryTake(s.subject.Caller.User, size)
	if err != nil {
		return contents{}, refuse(door.CodeUnavailable, "%s has %d bytes, and a copy of it must be made: there is no room for that now", s.info.Path, size)
	}
	s.room = room
	private, sum, err := l.cfg.Files.Copy(ctx, s.handle, l.cfg.ExecDir, filepath.Base(s.info.Path), s.subject.Target)
	if err != nil {
		return contents{}, err
	}
	s.handle = private // fix closes the other
	info, err := l.cfg.Files.Inspect(private)
	if err != nil {
		return contents{}, errors.Join(err, os.Remove(private.Name()))
	}
	s.info, s.copied = info, true
	if info.Size > size {
		return contents{}, errMoved
	}
	head, err := l.headOf(private)
	if err != nil {
		return contents{}, err
	}
	interpreter, err := shebang(head)
	return contents{sha256: sum, interpreter: interpreter}, err
}

// checkInterpreter accepts an interpreter that nobody but root can replace, by
// content or by a link on the way to it, and that is no script itself. The
// message is the same whatever is wrong: the service sees files that the caller
// may not, and must not tell which exist (CVE-2025-46717).
func (l *Launcher) checkInterpreter(path string) error {
	err := l.inspectInterpreter(path)
	if err != nil {
		l.cfg.Log.Info("interpreter refused", "path", path, "error", err)
		return refuse(door.CodeBadRequest, "its interpreter %s cannot be used: it must be a program that only an administrator can change", path)
	}
	return nil
}

func (l *Launcher) inspectInterpreter(path string) error {
	handle, err := l.cfg.Files.LocateProtected(path)
	if err != nil {
		return err
	}
	defer handle.Close()
	info, err := l.cfg.Files.Inspect(handle)
	if err != nil {
		return err
	}
	if !info.Regular || !info.Exec {
		return fmt.Errorf("%s: %w", path, core.ErrNotRegular)
	}
	head, err := l.headOf(handle)
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(head), "#!") {
		return errors.New("it is a script itself")
	}
	return nil
}

// recheck makes sure, right before the launch, that the handle still is what
// was decided on. Of a private copy nobody could have changed anything; of a
// Protected file root could, by an upgrade.
func (l *Launcher) recheck(s *sealed) error {
	now, err := l.cfg.Files.Inspect(s.handle)
	if err != nil {
		return fmt.Errorf("it is gone: %w", err)
	}
	if filecache.Identify(now, 0) != filecache.Identify(s.info, 0) || now.Path != s.info.Path {
		return errors.New("the program changed after it was decided on: try again")
	}
	return nil
}
