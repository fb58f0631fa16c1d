// Package judge reads the signatures within a file, beside it and in its
// attributes: what a reader without privilege does with one file.
//
// It parses what users chose, so nothing that has a privilege may import it;
// the service asks package reader. It opens nothing and asks the operating
// system nothing: both are the service's.
package judge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"kpm/core"
	"kpm/trust/authenticode"
	"kpm/trust/ima"
	"kpm/trust/macho"
	"kpm/trust/reader"
)

// Judge judges files by whom it trusts.
type Judge struct {
	trusted *Trusted
	now     func() time.Time
}

var _ reader.Judge = (*Judge)(nil)

// New returns a Judge that trusts whom b names. The error names the setting and
// the file that cannot be understood.
func New(b *reader.Bundle, now func() time.Time) (*Judge, error) {
	trusted, err := Parse(b, now)
	if err != nil {
		return nil, err
	}
	return Trusting(trusted, now), nil
}

// Trusting returns a Judge that trusts whom t names.
func Trusting(t *Trusted, now func() time.Time) *Judge { return &Judge{t, now} }

// Read judges f in this process. It is for programs that have no more privilege
// than whoever chose the file.
func (j *Judge) Read(ctx context.Context, f *os.File, q *reader.Question) (reader.Verdict, error) {
	return j.Verdict(ctx, f, q)
}

// Verdict implements reader.Judge.
func (j *Judge) Verdict(ctx context.Context, content io.ReaderAt, q *reader.Question) (reader.Verdict, error) {
	head := make([]byte, min(4096, q.Size))
	if _, err := content.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return reader.Verdict{}, err
	}
	v := reader.Verdict{Format: formatOf(head)}
	if err := j.embedded(ctx, content, q.Size, head, &v); err != nil {
		return reader.Verdict{}, err
	}
	digests := reader.NewDigests(content, q.Size)
	found, err := ima.Evidence(ctx, ima.File{Content: content, Size: q.Size, Digest: digests.Digest, System: &q.Facts}, j.trusted.FileKeys)
	if err != nil {
		return reader.Verdict{}, err
	}
	v.Evidence = append(v.Evidence, found...)
	for _, signature := range q.Detached {
		e, err := j.detached(ctx, content, q.Size, signature)
		if err != nil {
			return reader.Verdict{}, err
		}
		v.Evidence = append(v.Evidence, e)
	}
	v.Clean()
	return v, nil
}

func formatOf(head []byte) string {
	switch {
	case reader.IsELF(head):
		return "elf"
	case bytes.HasPrefix(head, []byte("#!")):
		return "script"
	}
	return "other"
}

// embedded reads signatures that lie within the bytes, and what catalogs list.
func (j *Judge) embedded(ctx context.Context, content io.ReaderAt, size int64, head []byte, v *reader.Verdict) error {
	if v.Format == "elf" {
		return nil
	}
	if macho.Recognise(head) {
		v.Format = "mach-o"
		found, err := macho.Verify(ctx, content, size, j.trusted.Anchors)
		v.Evidence = append(v.Evidence, found...)
		return err
	}
	format, found, err := authenticode.Verify(ctx, content, size, j.trusted.Anchors, j.trusted.Catalogs...)
	if format != "" {
		v.Format = format
	}
	v.Evidence = append(v.Evidence, found...)
	return err
}

// detached judges an OpenPGP signature that lies beside the file. Whoever can
// put one there can at most make the file worth less.
func (j *Judge) detached(ctx context.Context, content io.ReaderAt, size int64, signature []byte) (core.Evidence, error) {
	bytes := &section{ctx: ctx, r: io.NewSectionReader(content, 0, size)}
	e := j.trusted.OpenPGP.Verify(ctx, bytes, signature, j.now())
	return e, bytes.err
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
