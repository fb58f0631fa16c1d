package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
)

// On one processor others run while a long program is read, and not after it.
func TestADigestLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ran atomic.Bool
	go func() { ran.Store(true) }()
	reads := 0
	_, err := Digest(readerFunc(func(p []byte) (int, error) {
		if reads++; ran.Load() || reads == 10 {
			return 0, io.EOF
		}
		return len(p), nil
	}))
	if err != nil || !ran.Load() {
		t.Errorf("%v; after %d reads nobody else has run", err, reads)
	}
}

func TestDigest(t *testing.T) {
	data := make([]byte, 100<<10)
	want := sha256.Sum256(data)
	got, err := Digest(readerFunc(func(p []byte) (int, error) {
		if len(data) == 0 {
			return 0, io.EOF
		}
		n := copy(p, data)
		data = data[n:]
		return n, nil
	}))
	if err != nil || got != hex.EncodeToString(want[:]) {
		t.Errorf("%d bytes: %s, %v", 100<<10, got, err)
	}
	broken := errors.New("the disk does not answer")
	if got, err := Digest(readerFunc(func([]byte) (int, error) { return 0, broken })); !errors.Is(err, broken) || got != "" {
		t.Errorf("%s, %v", got, err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
