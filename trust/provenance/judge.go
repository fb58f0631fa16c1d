package provenance

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/authenticode"
	"kpm/trust/ima"
	"kpm/trust/macho"
)

// maxSidecar bounds a detached signature, in bytes.
const maxSidecar = 64 << 10

// judge asks everything that can know something about the file.
func (v *Verifier) judge(ctx context.Context, t *Trusted, f *os.File, info port.FileInfo, origin *os.File) (core.Provenance, error) {
	head := make([]byte, min(4096, info.Size))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return core.Provenance{}, err
	}
	p := core.Provenance{Format: formatOf(head)}
	if err := v.embedded(ctx, t, f, info.Size, head, &p); err != nil {
		return p, err
	}
	sums := &digests{r: f, size: info.Size, known: map[crypto.Hash][]byte{}}
	beside, err := v.cfg.Files.Inspect(origin)
	if err != nil {
		return p, err
	}
	for _, ask := range []func() ([]core.Evidence, error){
		func() ([]core.Evidence, error) {
			return ima.Evidence(ctx, ima.File{Content: f, Size: info.Size, Digest: sums.digest, Handle: origin, System: v.cfg.System}, t.FileKeys)
		},
		func() ([]core.Evidence, error) { return v.detached(ctx, t, f, info.Size, beside.Path) },
		func() ([]core.Evidence, error) {
			if v.packages == nil {
				return nil, nil
			}
			return v.packages.Evidence(ctx, beside.Path, sums.digest), ctx.Err()
		},
	} {
		found, err := ask()
		if err != nil {
			return p, err
		}
		p.Evidence = append(p.Evidence, found...)
	}
	if err := v.askSystem(ctx, f, info.Path, &p); err != nil {
		return p, err
	}
	strongest(p.Evidence)
	return p, nil
}

func formatOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return "elf"
	case bytes.HasPrefix(head, []byte("#!")):
		return "script"
	}
	return "other"
}

// embedded reads signatures that lie within the bytes, and what catalogs list.
func (v *Verifier) embedded(ctx context.Context, t *Trusted, f *os.File, size int64, head []byte, p *core.Provenance) error {
	if p.Format == "elf" {
		return nil
	}
	if macho.Recognise(head) {
		p.Format = "mach-o"
		found, err := macho.Verify(ctx, f, size, t.Anchors)
		p.Evidence = append(p.Evidence, found...)
		return err
	}
	format, found, err := authenticode.Verify(ctx, f, size, t.Anchors, t.Catalogs...)
	if format != "" {
		p.Format = format
	}
	p.Evidence = append(p.Evidence, found...)
	return err
}

// detached looks for an OpenPGP signature beside the file. Whoever can put one
// there can at most make the file worth less.
func (v *Verifier) detached(ctx context.Context, t *Trusted, f *os.File, size int64, path string) ([]core.Evidence, error) {
	if t.OpenPGP == nil {
		return nil, nil
	}
	var found []core.Evidence
	for _, suffix := range []string{".asc", ".sig"} {
		signature, err := v.sidecar(path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			found = append(found, core.Evidence{Kind: core.KindOpenPGP, Rank: core.RankSigned, Standing: core.Untrusted,
				Reason: fmt.Sprintf("its detached signature cannot be read: %v", err)})
			continue
		}
		content := &section{ctx: ctx, r: io.NewSectionReader(f, 0, size)}
		found = append(found, t.OpenPGP.Verify(ctx, content, signature, v.cfg.Now()))
		if content.err != nil {
			return nil, content.err
		}
	}
	return found, nil
}

// sidecar reads a file that a user may have put there: it never blocks, and
// reads no more than a signature has.
func (v *Verifier) sidecar(path string) ([]byte, error) {
	handle, err := v.cfg.Files.Locate(path)
	if err != nil {
		return nil, err
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
		return nil, err
	}
	file, err := v.cfg.Files.Open(handle)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSidecar+1))
	if err == nil && len(data) > maxSidecar {
		err = fmt.Errorf("it has more than %d bytes", maxSidecar)
	}
	return data, err
}

// section remembers that reading failed, which is no verdict about a signature.
type section struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *section) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
