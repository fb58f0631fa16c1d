package reader_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core/port"
	"kpm/trust/reader"
	"kpm/trust/reader/readertest"
	"kpm/trust/trusttest"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// script returns an open file that has no signature, and what is asked about it.
func script(t *testing.T, protected bool) (*os.File, *reader.Question) {
	t.Helper()
	const text = "#!/bin/sh\n"
	path := filepath.Join(t.TempDir(), "script")
	check(t, os.WriteFile(path, []byte(text), 0o755))
	f, err := os.Open(path)
	check(t, err)
	t.Cleanup(func() { f.Close() })
	facts, err := reader.Gather(bare{}, f)
	check(t, err)
	return f, &reader.Question{Size: int64(len(text)), Now: time.Now(), Facts: facts, Protected: protected}
}

// bare is a system whose files carry nothing.
type bare struct{ port.SystemSignatures }

func (bare) Attribute(*os.File, string) ([]byte, error) { return nil, port.ErrNoAttribute }
func (bare) Verity(*os.File) (port.Verity, error)       { return port.Verity{}, port.ErrNoAttribute }

// pool returns readers that end with the test.
func pool(t *testing.T, c *readertest.Confiner, b *reader.Bundle, limits reader.Limits) *reader.Pool {
	t.Helper()
	p, err := reader.NewPool(c, b, limits)
	check(t, err)
	t.Cleanup(func() { p.Close(); c.Wait() })
	return p
}

// Attack: a file takes its reader over, which then lies about the files of
// others.
func TestAReaderOfWhatUsersCanChangeReadsNothingElse(t *testing.T) {
	for _, c := range []struct {
		name      string
		protected bool
		started   int64
	}{{"an administrator's files", true, 1}, {"a user's files", false, 3}} {
		confiner := &readertest.Confiner{}
		p := pool(t, confiner, &reader.Bundle{}, reader.Limits{Most: 1})
		f, q := script(t, c.protected)
		for range 3 {
			v, err := p.Read(t.Context(), f, q)
			if err != nil || v.Format != "script" || len(v.Evidence) != 0 {
				t.Errorf("%s: %+v, %v", c.name, v, err)
			}
		}
		if n := confiner.Started.Load(); n != c.started {
			t.Errorf("%s: %d readers, expected %d", c.name, n, c.started)
		}
	}
}

func TestNoReaderIsStartedBeforeItIsNeeded(t *testing.T) {
	confiner := &readertest.Confiner{}
	p := pool(t, confiner, &reader.Bundle{}, reader.Limits{Ready: 2, Most: 2})
	if n := confiner.Started.Load(); n != 0 {
		t.Errorf("%d readers", n)
	}
	f, q := script(t, true)
	_, err := p.Read(t.Context(), f, q)
	check(t, err)
	for confiner.Started.Load() < 2 { // the other one follows by itself
		runtime.Gosched()
	}
}

// Whom to trust is understood by the reader, and what it cannot understand is
// said as if the service had.
func TestWhomToTrustIsUnderstood(t *testing.T) {
	root := trusttest.PEM(trusttest.New(t).Get(trusttest.Root).Certificate)
	for _, c := range []struct {
		source reader.Source
		says   string
	}{
		{reader.Source{Setting: reader.Roots, Path: "/ca.pem", Data: root}, ""},
		{reader.Source{Setting: reader.Roots, Path: "/ca.pem", Data: []byte("text")}, "appsettings.json, Trust:Roots: /ca.pem: expected certificates, PEM or DER"},
		{reader.Source{Setting: reader.OpenPGPKeys, Path: "/k", Data: []byte("text")}, "appsettings.json, Trust:OpenPgpKeys: /k: expected OpenPGP public keys"},
		{reader.Source{Setting: reader.Catalogs, Path: "/c", Data: []byte("text")}, "appsettings.json, Trust:Catalogs: /c: expected a signed catalog"},
	} {
		p := pool(t, &readertest.Confiner{}, &reader.Bundle{Sources: []reader.Source{c.source}}, reader.Limits{Most: 1})
		err := p.Start(t.Context())
		if (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%v, expected %q", err, c.says)
		}
	}
}

// message is what a reader writes.
func message(kind byte, body string) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind), body...)
}

// accepting reads whom to trust and says that it does, takes a question and
// leaves the rest to then.
func accepting(then func(port.Confinement) error) func(port.Confinement) error {
	return func(service port.Confinement) error {
		take := func() error {
			head := make([]byte, 5)
			for n := 0; n < len(head); {
				got, _, err := service.Receive(head[n:])
				if err != nil {
					return err
				}
				n += got
			}
			body := make([]byte, binary.BigEndian.Uint32(head))
			for n := 0; n < len(body); {
				got, _, err := service.Receive(body[n:])
				if err != nil {
					return err
				}
				n += got
			}
			return nil
		}
		if err := take(); err != nil {
			return err
		}
		if _, err := service.Write(message('A', "")); err != nil {
			return err
		}
		if err := take(); err != nil {
			return err
		}
		return then(service)
	}
}

func saying(answer []byte) func(port.Confinement) error {
	return accepting(func(service port.Confinement) error {
		_, err := service.Write(answer)
		return err
	})
}

// Attack: a reader that was taken over, or has a fault. It costs the verdict,
// and the next file is read by another one.
func TestReadersThatLie(t *testing.T) {
	for name, c := range map[string]struct {
		work func(port.Confinement) error
		want error
	}{
		"it ends":                     {accepting(func(port.Confinement) error { return nil }), reader.ErrEnded},
		"it ends within its answer":   {saying(message('V', "\x02pe\x00")[:7]), reader.ErrEnded},
		"a length without bound":      {saying([]byte{0xff, 0xff, 0xff, 0xff, 'V'}), reader.ErrAnswer},
		"a length just beyond":        {saying([]byte{0, 0x10, 0, 1, 'V'}), reader.ErrAnswer},
		"nonsense":                    {saying(message('V', "nonsense")), reader.ErrAnswer},
		"nothing":                     {saying(message('V', "")), reader.ErrAnswer},
		"an answer to something else": {saying(message('A', "")), reader.ErrAnswer},
		"another kind of message":     {saying(message('Q', "\x02pe\x00")), reader.ErrAnswer},
		"a package":                   {saying(message('V', "\x02pe\x01\x03\x02\x04dpkg")), reader.ErrAnswer},
		"it cannot read":              {saying(message('F', "input/output error\x1b[2J")), reader.ErrUnread},
	} {
		confiner := &readertest.Confiner{Work: c.work}
		p := pool(t, confiner, &reader.Bundle{}, reader.Limits{Most: 1})
		f, q := script(t, true)
		for range 2 {
			v, err := p.Read(t.Context(), f, q)
			if !errors.Is(err, c.want) || v.Format != "" || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%s: %+v, %v", name, v, err)
			}
		}
		if n := confiner.Started.Load(); n != 2 {
			t.Errorf("%s: %d readers for two files", name, n)
		}
	}
}

// Attack: a reader hangs. Whoever asked has its own patience, and others their
// own reader.
func TestAReaderThatHangs(t *testing.T) {
	asked := make(chan struct{}, 1)
	hang := accepting(func(service port.Confinement) error {
		asked <- struct{}{}
		_, _, err := service.Receive(make([]byte, 1)) // until it is ended
		return err
	})
	confiner := &readertest.Confiner{Work: hang}
	p := pool(t, confiner, &reader.Bundle{}, reader.Limits{Most: 1})
	f, q := script(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := p.Read(ctx, f, q); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	<-asked
	// The only place is taken.
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := p.Read(given, f, q); !errors.Is(err, context.Canceled) {
		t.Errorf("without a place: %v", err)
	}
	cancel()
	all.Wait()
	confiner.Work = nil
	if v, err := p.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("after it: %+v, %v", v, err)
	}
}

// A reader that never takes in whom to trust is none.
func TestAReaderThatDoesNotBegin(t *testing.T) {
	for name, work := range map[string]func(port.Confinement) error{
		"it ends": func(port.Confinement) error { return nil },
		"nonsense": func(s port.Confinement) error {
			io.CopyN(io.Discard, endless{s}, 7)
			s.Write([]byte("nonsense"))
			return nil
		},
	} {
		p := pool(t, &readertest.Confiner{Work: work}, &reader.Bundle{}, reader.Limits{Most: 1})
		if err := p.Start(t.Context()); err == nil {
			t.Errorf("%s: it is one", name)
		}
	}
}

// endless reads what a reader receives.
type endless struct{ port.Confinement }

func (e endless) Read(p []byte) (int, error) {
	n, _, err := e.Receive(p)
	return n, err
}

// One that was killed while it waited has cost nobody anything yet.
func TestAReaderThatWasKilledWhileItWaited(t *testing.T) {
	killed := make(chan struct{})
	first := true
	confiner := &readertest.Confiner{}
	confiner.Work = func(service port.Confinement) error {
		if !first {
			return readertest.Read(service)
		}
		first = false
		defer close(killed)
		head := make([]byte, 5)
		io.ReadFull(endless{service}, head)
		io.CopyN(io.Discard, endless{service}, int64(binary.BigEndian.Uint32(head)))
		_, err := service.Write(message('A', ""))
		return err
	}
	p := pool(t, confiner, &reader.Bundle{}, reader.Limits{Most: 1})
	check(t, p.Start(t.Context()))
	<-killed
	f, q := script(t, true)
	if v, err := p.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("%+v, %v", v, err)
	}
}

// A pool that was closed, because there is another, still answers who asked it.
func TestAClosedPoolKeepsNoReader(t *testing.T) {
	confiner := &readertest.Confiner{}
	p := pool(t, confiner, &reader.Bundle{}, reader.Limits{Ready: 2, Most: 2})
	check(t, p.Start(t.Context()))
	p.Close()
	f, q := script(t, true)
	if v, err := p.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("%+v, %v", v, err)
	}
	confiner.Wait() // none is left
}

func TestNoReaderCanBeStarted(t *testing.T) {
	p := pool(t, &readertest.Confiner{Err: errors.ErrUnsupported}, &reader.Bundle{}, reader.Limits{Ready: 1, Most: 1})
	f, q := script(t, true)
	if _, err := p.Read(t.Context(), f, q); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
