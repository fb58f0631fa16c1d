package seal

import (
	"kpm/core"
	"kpm/core/door"
	"kpm/launcher/refusal"
)

// SealFile fixes who asks for access to which file. Nothing of it is read or run, so
// that there is no copy and no hash: what was decided on is told from another file by
// device and inode (Sealed.Identity), until access is given.
func (s *Sealer) SealFile(r *Request) (*Sealed, error) {
	if err := admissible(r); err != nil {
		return nil, err
	}
	caller, membership, err := s.caller(r.Peer)
	if err != nil {
		return nil, err
	}
	dir, err := s.Files.Inspect(r.Dir)
	if err != nil || dir.Regular {
		return nil, refusal.New(door.CodeBadRequest, "the working directory does not exist any more: change to another one")
	}
	if r.Executable == nil {
		return nil, refusal.New(door.CodeBadRequest, "a file came without a path")
	}
	sealed := &Sealed{payer: r.Peer.Payer(), Subject: core.Subject{
		Caller: caller, Membership: membership, Target: caller, Administrator: s.isAdministrator(r.Peer), Dir: dir.Path,
	}}
	sealed.Subject.Executable.Requested = s.requested(r, dir.Path)
	if sealed.Handle, err = s.program(r); err != nil {
		return nil, err
	}
	if sealed.info, err = s.Files.Inspect(sealed.Handle); err != nil {
		sealed.Close()
		return nil, err
	}
	path := sealed.info.Path
	sealed.Subject.Executable.Path, sealed.Subject.Argv = path, []string{path}
	if !sealed.info.Regular {
		sealed.Close()
		return nil, refusal.New(door.CodeBadRequest, "%s is not a regular file", path)
	}
	if err := fits(sealed.Subject); err != nil {
		sealed.Close()
		return nil, err
	}
	sealed.Digest = sealed.Subject.Digest()
	return sealed, nil
}

// Identity tells the sealed file from every other one.
func (sealed *Sealed) Identity() (device, inode uint64) { return sealed.info.Device, sealed.info.Inode }
