package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
)

// appendForever is the process that TestKillLosesNothing kills: it prints the
// seq of each record once Append has returned.
func appendForever(dir string) {
	cfg := config(dir)
	cfg.SegmentBytes = 4096
	j, _, err := Open(cfg)
	for i := 0; err == nil; i++ {
		err = j.Append(Record{Type: []Type{Opened, Denied}[i%2], Request: core.RequestID(fmt.Sprint(i / 2))})
		fmt.Println(j.at.Seq)
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	for range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "JOURNAL_CRASH_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		begun := make([]byte, 2000)
		if n, err := io.ReadFull(out, begun); err != nil {
			t.Fatalf("%v: %s", err, begun[:n])
		}
		cmd.Process.Kill()
		rest, _ := io.ReadAll(out)
		cmd.Wait()
		heard := strings.Split(string(begun)+string(rest), "\n")
		var last uint64
		if _, err := fmt.Sscan(heard[max(0, len(heard)-2)], &last); err != nil {
			t.Fatalf("%q: %v", heard, err)
		}
		report := verified(t, config(dir))
		if report.Last < last {
			t.Errorf("record %d was appended, the journal ends with %d", last, report.Last)
		}
		if len(report.Noted) > 0 {
			t.Errorf("noted: %v", report.Noted)
		}
	}
}

func TestATornTailIsCutAndRecorded(t *testing.T) {
	for name, tail := range map[string]string{
		"a partial record":                `{"seq":6,"time":"2026-`,
		"a whole record without its end":  `{"seq":6,"type":"x"}`,
		"zeros where data never arrived":  strings.Repeat("\x00", 512),
		"zeros and a line":                strings.Repeat("\x00", 512) + "\n{}\n",
		"a record that follows something": `{"seq":6,"time":"2026-01-01T00:00:00Z","type":"control","prev":"` + noHash + `"}` + "\n",
		"one beyond the limit":            strings.Repeat("x", MaxLine+2),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			crashed(t, cfg, Record{Type: Opened, Request: "A"}, Record{Type: Denied, Request: "A"}, Record{Type: Opened, Request: "B"})
			path := filepath.Join(cfg.AuditDir, segmentName(1))
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, string(whole)+tail)
			_, replay := opened(t, cfg)
			if replay.Cut != int64(len(tail)) || replay.Fault != nil {
				t.Errorf("cut %d bytes (%v), expected %d", replay.Cut, replay.Fault, len(tail))
			}
			if len(replay.Open) != 1 || replay.Open[0].Request != "B" {
				t.Errorf("open: %+v", replay.Open)
			}
			all := lines(t, cfg)
			if last := all[len(all)-1]; last.Type != Start || last.Cut != int64(len(tail)) || last.Seq != 6 {
				t.Errorf("the start was recorded as %+v", last)
			}
			verified(t, cfg)
		})
	}
}

func TestAnUnfinishedLineIsNoFaultWhileTheServiceWrites(t *testing.T) {
	cfg := config(t.TempDir())
	crashed(t, cfg)
	path := filepath.Join(cfg.AuditDir, segmentName(1))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(whole)+`{"seq":3,`)
	if report := verified(t, cfg); report.Unfinished != 9 || report.Last != 2 {
		t.Errorf("verified as %+v", report)
	}
}

func write(t testing.TB, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file with f.
func edit(t testing.TB, path string, f func(lines []string) []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Join(f(strings.SplitAfter(string(data), "\n")), ""))
}

// Each case changes a journal of three segments, of which the last has ten
// records, all known to the head.
func TestTamperingIsFound(t *testing.T) {
	// place is where Verify must see it: in a segment (0 to 2) and line, or in
	// another file.
	type place struct {
		segment, line int
		file          string
	}
	cases := map[string]struct {
		do     func(t *testing.T, cfg Config, list []string)
		verify place
		// opens is true when Open, which reads the last segment only, finds
		// it too.
		opens bool
	}{
		"a changed field in the last segment": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string { l[4] = strings.Replace(l[4], "ada", "bob", 1); return l })
		}, place{2, 6, ""}, true},
		"a changed field in an old segment": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[0], func(l []string) []string { l[4] = strings.Replace(l[4], "ada", "bob", 1); return l })
		}, place{0, 6, ""}, false},
		"the last record of an old segment changed": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[1], func(l []string) []string {
				l[len(l)-2] = strings.Replace(l[len(l)-2], "ada", "bob", 1)
				return l
			})
		}, place{2, 1, ""}, false},
		"the last record changed": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string {
				l[len(l)-2] = strings.Replace(l[len(l)-2], "ada", "bob", 1)
				return l
			})
		}, place{2, 10, ""}, true},
		"a removed record": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string { return append(l[:3], l[4:]...) })
		}, place{2, 4, ""}, true},
		"two records exchanged": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string { l[3], l[4] = l[4], l[3]; return l })
		}, place{2, 4, ""}, true},
		"a record put in": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string { return append(l[:3], append([]string{l[2]}, l[3:]...)...) })
		}, place{2, 4, ""}, true},
		"the end removed": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string { return l[:len(l)-2] })
		}, place{file: "Audit"}, true},
		"the end cut inside a record": {func(t *testing.T, cfg Config, list []string) {
			edit(t, list[2], func(l []string) []string { l[9] = l[9][:20]; return l[:10] })
		}, place{2, 10, ""}, true},
		"the last segment removed": {func(t *testing.T, cfg Config, list []string) {
			remove(t, list[2])
		}, place{file: "Audit"}, true},
		"the last segment emptied": {func(t *testing.T, cfg Config, list []string) {
			write(t, list[2], "")
		}, place{2, 1, ""}, true},
		"the first segment removed": {func(t *testing.T, cfg Config, list []string) {
			remove(t, list[0])
		}, place{0, 0, ""}, true},
		"a segment between removed": {func(t *testing.T, cfg Config, list []string) {
			remove(t, list[1])
		}, place{2, 1, ""}, false},
		"all segments removed": {func(t *testing.T, cfg Config, list []string) {
			for _, path := range list {
				remove(t, path)
			}
		}, place{0, 0, ""}, true},
		"the head removed": {func(t *testing.T, cfg Config, list []string) {
			remove(t, filepath.Join(cfg.StateDir, headName))
		}, place{file: headName}, true},
		"the head unreadable": {func(t *testing.T, cfg Config, list []string) {
			write(t, filepath.Join(cfg.StateDir, headName), "{}")
		}, place{file: headName}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			cfg.SegmentBytes = 3000
			j, _, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for {
				put(t, j, Record{Type: Opened, Request: core.RequestID(fmt.Sprint(j.at.Seq)), User: "ada", Argv: []string{strings.Repeat("x", 40)}},
					Record{Type: Denied, Request: core.RequestID(fmt.Sprint(j.at.Seq)), User: "ada", Message: strings.Repeat("x", 42)})
				if list, err := segments(cfg.AuditDir); err != nil || len(list) == 3 {
					break
				}
			}
			for j.at.Seq < j.at.Segment+9 {
				put(t, j, Record{Type: Control, User: "ada"})
			}
			if err := j.Settle(); err != nil {
				t.Fatal(err)
			}
			crash(t, j)
			seqs, err := segments(cfg.AuditDir)
			if err != nil || len(seqs) != 3 {
				t.Fatalf("prepared %v, %v", seqs, err)
			}
			var list []string
			for _, seq := range seqs {
				list = append(list, filepath.Join(cfg.AuditDir, segmentName(seq)))
			}
			verified(t, cfg)

			c.do(t, cfg, list)
			report, err := Verify(context.Background(), cfg.AuditDir, cfg.StateDir, Demand{})
			if err != nil {
				t.Fatal(err)
			}
			fault := report.Fault
			if fault == nil {
				t.Fatal("verify finds nothing")
			}
			file, seq := c.verify.file, uint64(0)
			if file == "" {
				file = list[c.verify.segment]
			}
			if c.verify.line > 0 {
				seq = seqs[c.verify.segment] + uint64(c.verify.line) - 1
			}
			if !strings.HasSuffix(fault.File, file) || fault.Line != c.verify.line || fault.Found == "" || fault.Expected == "" {
				t.Errorf("verify: %v; expected file %s, line %d", fault, file, c.verify.line)
			}
			if name != "a segment between removed" && fault.Seq != seq {
				t.Errorf("verify: record %d, expected %d", fault.Seq, seq)
			}

			before := contents(t, cfg)
			j, replay := opened(t, cfg)
			if (replay.Fault != nil) != c.opens || replay.Cut != 0 {
				t.Errorf("open: %v, cut %d", replay.Fault, replay.Cut)
			}
			if !c.opens {
				return
			}
			for path, data := range before {
				if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
					t.Errorf("%s was changed: the evidence is gone", path)
				}
			}
			put(t, j, Record{Type: Opened, Request: "new"})
			if report, err := Verify(context.Background(), cfg.AuditDir, cfg.StateDir, Demand{}); err != nil || report.Fault == nil && len(report.Noted) == 0 {
				t.Errorf("the service has started since, and verify finds nothing (%v)", err)
			}
		})
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func contents(t testing.TB, cfg Config) map[string][]byte {
	t.Helper()
	list, err := segments(cfg.AuditDir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, seq := range list {
		path := filepath.Join(cfg.AuditDir, segmentName(seq))
		if out[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestACrashBetweenSegmentAndHeadIsNoFault(t *testing.T) {
	for name, allowed := range map[string]int{"first segment": 1, "later segment": 4} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			cfg.SegmentBytes = 1000
			heads := 0
			full := cfg
			full.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
				if filepath.Base(path) == headName {
					if heads++; heads > allowed {
						return errors.New("power lost")
					}
				}
				return replace(path, data, perm)
			}
			j, _, err := Open(full)
			if err == nil {
				for err == nil {
					err = j.Append(Record{Type: Opened, Request: "A"})
				}
				crash(t, j)
			}
			if _, replay := opened(t, cfg); replay.Fault != nil || replay.Cut != 0 {
				t.Errorf("opened with %+v", replay)
			}
			verified(t, cfg)
		})
	}
}

func TestARecordThatIsTooLongIsRefused(t *testing.T) {
	cfg := config(t.TempDir())
	j, _ := opened(t, cfg)
	if err := j.Append(Record{Type: Opened, Message: strings.Repeat("x", MaxLine)}); !errors.Is(err, errLong) {
		t.Errorf("append: %v", err)
	}
	// The largest subject there can be fits, however it is escaped.
	put(t, j, Record{Type: Opened, Argv: []string{strings.Repeat("\x01", 128<<10)}})
	verified(t, cfg)
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-01-01T00:00:00Z","type":"segment","prev":"` + noHash + `"}`))
	f.Add([]byte(`{"seq":18446744073709551615,"type":"x","argv":[""],"child":{"pid":-1},"prev":""}`))
	f.Add([]byte("{}"))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseLine(line)
		if err == nil && (r.Seq == 0 || r.Type == "" || len(r.Prev) != len(noHash)) {
			t.Errorf("accepted %q as %+v", line, r)
		}
	})
}

// FuzzChain replaces one byte of a sound journal, or adds some at its end, and
// demands that Open neither panics nor takes a changed record for a sound one.
func FuzzChain(f *testing.F) {
	f.Add(uint16(0), byte('x'), []byte(nil))
	f.Add(uint16(120), byte('\n'), []byte("{}\n"))
	f.Add(uint16(300), byte(0), []byte{0, 0})
	dir := f.TempDir()
	sound := config(dir)
	crashed(f, sound, Record{Type: Opened, Request: "A", User: "ada"}, Record{Type: Denied, Request: "A"})
	whole, err := os.ReadFile(filepath.Join(sound.AuditDir, segmentName(1)))
	if err != nil {
		f.Fatal(err)
	}
	headData, err := os.ReadFile(filepath.Join(sound.StateDir, headName))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at uint16, with byte, tail []byte) {
		cfg := config(t.TempDir())
		changed := bytes.Clone(whole)
		changed[int(at)%len(whole)] = with
		same := bytes.Equal(changed, whole)
		if err := errors.Join(os.Mkdir(cfg.AuditDir, 0o700), os.Mkdir(cfg.StateDir, 0o700)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(cfg.AuditDir, segmentName(1)), string(append(changed, tail...)))
		write(t, filepath.Join(cfg.StateDir, headName), string(headData))
		_, replay := opened(t, cfg)
		if same == (replay.Fault != nil) {
			t.Errorf("changed: %v, fault: %v", !same, replay.Fault)
		}
	})
}
