//go:build linux

package corpus

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/platform/none"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

// every has TestEveryByte turn over a bit in every byte of the large files too
// (make soak).
var every = flag.Bool("every", false, "change every byte of the large files too")

// changed is a file of which one byte is another.
type changed struct {
	content []byte
	at      int64
	bit     byte
}

// ReadAt implements io.ReaderAt.
func (c changed) ReadAt(p []byte, at int64) (int, error) {
	n, err := bytes.NewReader(c.content).ReadAt(p, at)
	if i := c.at - at; i >= 0 && i < int64(n) {
		p[i] ^= c.bit
	}
	return n, err
}

// small is a real file that is to be changed byte by byte.
type small struct {
	content  []byte
	code     int // where its signature begins
	detached []byte
	// free are bytes before the signature that no signature is about.
	free func(at int) bool
	// How far apart the bytes of code, and of the signature, are that are changed
	// without -every; but for the head, where each is.
	stride, signed, head int
}

func smallFiles(t *testing.T) map[string]small {
	pe, boot := real(t, editor, "CompilerServices.Unsafe.dll"), real(t, fwupd, ".signed")
	script, formats := real(t, editor, "DSC.psd1"), real(t, editor, "PSReadLine.format.ps1xml")
	catalog := real(t, editor, "PSReadLine.cat")
	image := real(t, msal, "msal-node-runtime.node")
	signature := bytes.LastIndex(image, []byte{0xfa, 0xde, 0x0c, 0xc0})
	block := func(text []byte, mark string) int { return bytes.Index(text, []byte(mark)) }
	const module = "/github.com/hashicorp/hc-install@v0.9.2/releases/testdata/mock_terraform_builds/0.14.11/terraform_0.14.11_SHA256SUMS"
	listed, err := os.ReadFile(fetch(t, sums) + module)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := os.ReadFile(fetch(t, sums) + module + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	none := func(int) bool { return false }
	return map[string]small{
		"pe":      {content: pe, code: table(pe), free: family{content: pe}.checksum, stride: 1, signed: 53},
		"efi":     {content: boot, code: table(boot), free: family{content: boot}.checksum, stride: 64, signed: 7, head: 512},
		"script":  {content: script, code: block(script, "# SIG #"), free: none, stride: 1, signed: 53},
		"ps1xml":  {content: formats, code: block(formats, "<!-- SIG #"), free: none, stride: 31, signed: 97},
		"catalog": {content: catalog, free: none, stride: 1, signed: 53},
		"mach-o":  {content: image, code: signature, free: none, stride: 997, signed: 211, head: 512},
		"openpgp": {content: listed, code: len(listed), detached: beside, free: none, stride: 1, signed: 1},
	}
}

// No byte of code of a real file can be another without the file losing its
// trust, and no byte of its signature so that it says something else.
func TestEveryByte(t *testing.T) {
	key, err := os.ReadFile(fetch(t, sums) + "/github.com/hashicorp/hc-install@v0.9.2/releases/testdata/2FCA0A85.pub")
	if err != nil {
		t.Fatal(err)
	}
	anchors := []byte(anchorsPEM(t, ""))
	j, err := judge.New(&reader.Bundle{Sources: []reader.Source{
		{Setting: reader.Roots, Data: anchors}, {Setting: reader.TimeStampRoots, Data: anchors}, {Setting: reader.AppleRoots, Data: anchors},
		{Setting: reader.OpenPGPKeys, Data: key},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range smallFiles(t) {
		t.Run(name, func(t *testing.T) { s.turnOver(t, j) })
	}
}

// judged is what j says of a file without attributes at a time.
func (s small) judged(t *testing.T, j *judge.Judge, content io.ReaderAt, now time.Time) core.Provenance {
	facts, err := reader.Gather(none.Signatures{}, nil)
	if err != nil {
		t.Error(err)
	}
	q := reader.Question{Size: int64(len(s.content)), Now: now, Facts: facts}
	if s.detached != nil {
		q.Detached = [][]byte{s.detached}
	}
	v, err := j.Verdict(context.Background(), content, &q)
	if err != nil {
		t.Error(err)
	}
	return core.Provenance{Evidence: v.Evidence}
}

func (s small) turnOver(t *testing.T, j *judge.Judge) {
	verdict := func(content io.ReaderAt) core.Provenance { return s.judged(t, j, content, time.Now()) }
	before := verdict(bytes.NewReader(s.content))
	if len(before.Evidence) == 0 || before.Evidence[0].Standing == core.Broken {
		t.Fatalf("untouched: %+v", before)
	}
	var mu sync.Mutex
	free, tried := 0, 0
	positions := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for at := range positions {
				after := verdict(changed{s.content, int64(at), 1 << (at % 8)})
				why := s.wrong(at, before, after)
				mu.Lock()
				tried++
				if why == "" && slices.EqualFunc(before.Evidence, after.Evidence, sameClaim) {
					free++
				}
				mu.Unlock()
				if why != "" {
					t.Errorf("a bit at %#x: %s: %+v", at, why, after)
				}
			}
		})
	}
	for at := range s.content {
		stride := s.stride
		if at >= s.code {
			stride = s.signed
		}
		if *every || at < s.head || at%stride == 0 {
			positions <- at
		}
	}
	close(positions)
	workers.Wait()
	listed := uncovered(t, before)
	if free > listed+unsized {
		t.Errorf("%d bytes do not matter, but %d are listed as not covered", free, listed)
	}
	t.Logf("%d of %d bytes changed, %d of them free, %d before the signature; %d are listed as not covered", tried, len(s.content), free, s.code, listed)
}

// unsized bounds the bytes of versions, algorithms that are announced and empty
// parameters, which are listed without their number.
const unsized = 64

var sized = regexp.MustCompile(`\((\d+) bytes\)`)

// uncovered is how many bytes the evidence lists as not covered.
func uncovered(t *testing.T, p core.Provenance) (sum int) {
	for _, e := range p.Evidence {
		for _, c := range e.Checks {
			for _, size := range sized.FindAllStringSubmatch(c.Detail, -1) {
				n, err := strconv.Atoi(size[1])
				if err != nil {
					t.Error(err)
				}
				sum += n
			}
		}
	}
	return sum
}

// wrong says what is wrong with the verdict after a change at a byte, or nothing.
func (s small) wrong(at int, before, after core.Provenance) string {
	code := at < s.code && !s.free(at)
	for _, e := range after.Evidence {
		switch {
		case code && e.Standing != core.Broken && slices.ContainsFunc(before.Evidence, func(b core.Evidence) bool { return sameClaim(b, e) }):
			return "code that nobody signed"
		case e.Standing == core.Trusted && !slices.ContainsFunc(before.Evidence, func(b core.Evidence) bool { return sameClaim(b, e) || sameClaim(withoutStamp(b), e) }):
			return "it is believed to be signed by someone else"
		}
	}
	return ""
}

// sameClaim: who signed what, how and when.
func sameClaim(a, b core.Evidence) bool {
	return a.Kind == b.Kind && a.Standing == b.Standing && a.Signer == b.Signer && a.Digest == b.Digest && a.TeamID == b.TeamID &&
		a.Identifier == b.Identifier && a.SignedAt.Equal(b.SignedAt) && a.TimeStamp == b.TimeStamp && slices.Equal(a.Chain, b.Chain)
}

func withoutStamp(e core.Evidence) core.Evidence {
	e.SignedAt, e.TimeStamp = time.Time{}, ""
	return e
}

// A large file: a bit in bytes all over it.
func TestBytesOfARealPackage(t *testing.T) {
	content := real(t, twain, ".msi")
	anchors := []byte(anchorsPEM(t, ""))
	j, err := judge.New(&reader.Bundle{Sources: []reader.Source{{Setting: reader.Roots, Data: anchors}, {Setting: reader.TimeStampRoots, Data: anchors}}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s := small{content: content, code: len(content), free: func(int) bool { return false }, stride: len(content) / 10, head: 4}
	if *every {
		s.stride = len(content) / 6000
	}
	before := s.judged(t, j, bytes.NewReader(content), time.Now()).Evidence
	if len(before) != 1 || before[0].Standing != core.Untrusted {
		t.Fatalf("untouched: %+v", before)
	}
	kept := 0
	for at := 1; at < len(content); at += s.stride {
		after := s.judged(t, j, changed{content, int64(at), 1}, time.Now()).Evidence
		if len(after) == 1 && sameClaim(before[0], after[0]) {
			kept++
			if !strings.Contains(fmt.Sprint(after[0].Checks), "unused") {
				t.Errorf("a bit at %#x: %+v", at, after)
			}
		}
	}
	t.Logf("%d of %d free", kept, len(content)/s.stride)
}
