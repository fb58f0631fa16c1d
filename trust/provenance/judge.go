package provenance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/reader"
)

// maxSidecar bounds a detached signature, in bytes.
const maxSidecar = 64 << 10

// judge asks everything that can know something about the file. What a user
// could have chosen, its bytes and the signatures in them, beside it and in its
// attributes, is looked at by the Reader alone.
//
// protected says that administrators alone can change f; of what is returned,
// that this is true of everything that was read.
func (v *Verifier) judge(ctx context.Context, t *Trusted, f *os.File, info port.FileInfo, origin *os.File, protected bool) (p core.Provenance, safe bool, err error) {
	beside, err := v.cfg.Files.Inspect(origin)
	if err != nil {
		return core.Provenance{}, false, err
	}
	detached := v.detached(t, beside.Path)
	safe = protected && !detached.changeable
	// The packages are asked while the Reader works, which is elsewhere.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listed := make(chan []core.Evidence, 1)
	go func() { listed <- v.listed(ctx, beside.Path, f, info.Size) }()
	p, err = v.read(ctx, t, f, info.Size, origin, detached, safe)
	if err != nil {
		cancel()
	}
	p.Evidence = append(p.Evidence, <-listed...) // waited for in any case: f is the caller's
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return p, false, err
	}
	if err := v.askSystem(ctx, f, info.Path, &p); err != nil {
		return p, false, err
	}
	strongest(p.Evidence)
	return p, safe, nil
}

// listed is what packages say of the file at path. The digests are the service's
// own, so that no Reader can have a file taken for a package's.
func (v *Verifier) listed(ctx context.Context, path string, f *os.File, size int64) []core.Evidence {
	if v.packages == nil {
		return nil
	}
	return v.packages.Evidence(ctx, path, reader.NewDigests(f, size).Digest)
}

// read has the signatures read that the file carries, and those beside it. safe
// says that administrators alone can change any of it.
func (v *Verifier) read(ctx context.Context, t *Trusted, f *os.File, size int64, origin *os.File, beside sidecars, safe bool) (core.Provenance, error) {
	plain, err := plain(f, size, t.Catalogs)
	if err != nil {
		return core.Provenance{}, err
	}
	facts, err := reader.Gather(v.cfg.System, origin)
	if err != nil {
		return core.Provenance{}, err
	}
	if plain != "" && facts.Empty() && len(beside.signatures) == 0 {
		return core.Provenance{Format: plain, Evidence: beside.unread}, ctx.Err() // nothing is signed
	}
	found, err := t.Reader.Read(ctx, f, &reader.Question{Size: size, Now: v.cfg.Now(), Facts: facts, Detached: beside.signatures, Protected: safe})
	if errors.Is(err, errors.ErrUnsupported) {
		return core.Provenance{Format: "other", Evidence: beside.unread}, nil
	}
	if err != nil {
		return core.Provenance{}, err
	}
	if (found.Format == "elf") != (plain == "elf") {
		return core.Provenance{}, fmt.Errorf("%w: it calls the file %q", reader.ErrAnswer, found.Format)
	}
	return core.Provenance{Format: found.Format, Evidence: append(found.Evidence, beside.unread...)}, nil
}

// plain is the format of a file that cannot have a signature in its bytes, or
// empty: the Reader must look. catalogs says that some are trusted, which may
// list any file but an ELF.
func plain(f *os.File, size int64, catalogs bool) (string, error) {
	content := make([]byte, 4, reader.MaxPlain)
	if !catalogs && size <= reader.MaxPlain {
		content = content[:cap(content)]
	}
	content = content[:min(int64(len(content)), size)]
	if _, err := f.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	switch {
	case reader.IsELF(content):
		return "elf", nil
	case !catalogs && size <= reader.MaxPlain && reader.IsPlainScript(content):
		return "script", nil
	}
	return "", nil
}

// sidecars are the OpenPGP signatures that lie beside a file.
type sidecars struct {
	signatures [][]byte
	unread     []core.Evidence // about those that are there and cannot be read
	// changeable is true if someone other than an administrator can change one.
	// Attack: a program of root's has a signature beside it that a user can
	// write. What is read of it is as little to be remembered as a user's own
	// program, and whoever has read it reads no other file.
	changeable bool
}

// detached looks for OpenPGP signatures beside the file.
func (v *Verifier) detached(t *Trusted, path string) sidecars {
	var s sidecars
	if t.OpenPGP == nil {
		return s
	}
	for _, suffix := range []string{".asc", ".sig"} {
		signature, safe, err := v.sidecar(path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		s.changeable = s.changeable || !safe
		switch {
		case err != nil:
			s.unread = append(s.unread, core.Evidence{Kind: core.KindOpenPGP, Rank: core.RankSigned, Standing: core.Untrusted,
				Reason: fmt.Sprintf("its detached signature cannot be read: %v", err)})
		default:
			s.signatures = append(s.signatures, signature)
		}
	}
	return s
}

// sidecar reads a file that a user may have put there: it never blocks, and
// reads no more than a signature has. safe is true if administrators alone can
// change it.
func (v *Verifier) sidecar(path string) (data []byte, safe bool, err error) {
	handle, err := v.cfg.Files.Locate(path)
	if err != nil {
		return nil, false, err
	}
	defer handle.Close()
	// Attack (CVE-2025-46717): the signature is a link to where only the service
	// may look, and what comes of it tells whether there is a file. So a link
	// counts as none, wherever it leads.
	info, err := v.cfg.Files.Inspect(handle)
	if err == nil && info.Path != path {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, false, err
	}
	safe = v.cfg.Files.Protected(handle) == nil
	file, err := v.cfg.Files.Open(handle)
	if err != nil {
		return nil, safe, err
	}
	defer file.Close()
	data, err = io.ReadAll(io.LimitReader(file, maxSidecar+1))
	if err == nil && len(data) > maxSidecar {
		err = fmt.Errorf("it has more than %d bytes", maxSidecar)
	}
	return data, safe, err
}
