package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/launcher/refusal"
)

// sign fills in who has signed the bytes that will run. What lies beside the
// bytes, attributes and packages, is the original's.
func (s *Sealer) sign(ctx context.Context, user core.UserID, exe *core.Executable, handle, origin *os.File) error {
	if s.Signatures == nil {
		return nil
	}
	judged, err := s.Judging.Take(ctx, s.People.Of(user), 1)
	if err != nil {
		text := "the signatures of other programs are still being read"
		s.budget.mention(user, text)
		return refusal.New(door.CodeUnavailable, "%s: try again in a moment", text)
	}
	defer judged.Release()
	if err := s.budget.wait(ctx, user); err != nil {
		return err
	}
	defer s.budget.used(user, time.Now())
	file, err := s.Files.Open(handle)
	if err != nil {
		return err
	}
	defer file.Close()
	if origin == handle {
		origin = file
	}
	p, err := s.Signatures.Provenance(ctx, file, origin)
	if err != nil {
		return fmt.Errorf("signatures of %s: %w", exe.Path, err)
	}
	exe.Signers, exe.SignersKnown = p.Signers(), true
	return nil
}

// copy replaces the handle in sealed by one to a private copy, which the caller
// cannot change: of this copy the hash is taken, this is decided, this runs.
// Attacks: rename, write, mapped write or an open writer between check and exec
// (CVE-2021-3969, CVE-2005-1993).
func (s *Sealer) copy(ctx context.Context, sealed *Sealed) (contents, error) {
	size := sealed.info.Size
	user := sealed.Subject.Caller.User
	room, err := s.Copies.TryTake(s.People.Of(sealed.payer), size)
	if err != nil {
		s.budget.mention(user, "private copies of programs have reached the limit")
		return contents{}, refusal.New(door.CodeUnavailable, "%s has %d bytes and must be copied before it runs, which would exceed the limit for copies: try again when other requests have ended, or have it installed where only an administrator can change it", sealed.info.Path, size)
	}
	sealed.room = room
	if err := s.budget.spend(ctx, user, sealed.info); err != nil {
		return contents{}, err
	}
	pace := s.budget.pace(ctx, user)
	private, sum, err := s.Files.Copy(ctx, sealed.Handle, s.Dir, filepath.Base(sealed.info.Path), sealed.Subject.Target, pace.step)
	pace.end()
	if err != nil {
		return contents{}, err
	}
	sealed.Handle = private // fix closes the other
	info, err := s.Files.Inspect(private)
	if err != nil {
		return contents{}, errors.Join(err, os.Remove(private.Name()))
	}
	sealed.info, sealed.copied = info, true
	if info.Size > size {
		return contents{}, errMoved
	}
	head, err := headOf(s.Files, private)
	if err != nil {
		return contents{}, err
	}
	interpreter, err := shebang(head)
	return contents{sha256: sum, interpreter: interpreter}, err
}
